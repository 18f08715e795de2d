#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The truth program without the tool, by the library's own text on stderr; and with locked slots.
LEAK_CONF=${LEAK_CONF:-percpu=locked}
export LEAK_CONF
exec /usr/bin/python3 "$(dirname "$0")/truth.py" --by text "$@"
