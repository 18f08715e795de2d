#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a program reads back of its signal actions is what libc alone says, also where the kernel
# has handlers of the library's.

dir=$abs_top_builddir/tests/leak
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
[ -x "$dir/actions" ] || {
	echo "Bail out! no $dir/actions"
	exit 1
}

number=0
# against NAME CONF
against()
{
	number=$((number + 1))
	LD_PRELOAD=$STELE_LIB STELE_CONF=$2 "$dir/actions" >"$work/got" 2>"$work/err" </dev/null
	status=$?
	if [ $status = 0 ] && diff "$work/libc" "$work/got" >"$work/diff"; then
		echo "ok $number - $1"
		return
	fi
	echo "not ok $number - $1: status $status"
	head -n 30 "$work/diff" "$work/err" | sed 's/^/# /'
}

echo 1..3
"$dir/actions" >"$work/libc" </dev/null || exit 1
[ "$(wc -l <"$work/libc")" -gt 500 ] || exit 1
against "without leak=" ""
against "with leak=exit" "leak=exit,leak_output=$work/leaks"
# SIGUSR2 is 12
against "with leak_signal= too" "leak=exit,leak_output=$work/leaks,leak_signal=12"
