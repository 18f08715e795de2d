#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The manual pages, read by mandoc's own critic.
set -u
here=$(cd "$(dirname "$0")" && pwd)
man=${abs_top_srcdir:-$here/../..}/man

if ! command -v mandoc >/dev/null; then
	echo "1..0 # SKIP mandoc is not installed"
	exit 0
fi

set -- "$man"/*.[1-8]
echo "1..$#"
count=0
for page in "$@"; do
	count=$((count + 1))
	if complaints=$(mandoc -T lint -W warning "$page" 2>&1); then
		echo "ok $count - ${page##*/}"
	else
		printf '%s\n' "$complaints" | sed 's/^/# /'
		echo "not ok $count - ${page##*/}"
	fi
done
