#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a program reads back of its signal actions is what libc alone says, also where the kernel
# has handlers of the library's.

# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"

: "${STELE_LIB:?must name libstele.so}"
need_program tests/leak/actions

# against NAME CONF
against()
{
	LD_PRELOAD=$STELE_LIB STELE_CONF=$2 "$prog" >"$work/got" 2>"$work/err" </dev/null &&
		diff "$work/libc" "$work/got" >"$work/out"
	result $? "$1"
}

echo 1..3
"$prog" >"$work/libc" </dev/null || exit 1
[ "$(wc -l <"$work/libc")" -gt 500 ] || exit 1
against "without leak=" ""
against "with leak=exit" "leak=exit,leak_output=$work/leaks"
# SIGUSR2 is 12
against "with leak_signal= too" "leak=exit,leak_output=$work/leaks,leak_signal=12"
