# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034
#
# What the tests that are scripts share. Sourced from a directory below tests/, by the path from there:
#
#	. "$(dirname "$0")/../tap.sh"
#
# Sets $top (the sources), $build, and $work, a directory of the test's own. What a test leaves in
# $work/out and $work/err is shown when it fails.
set -u
LC_ALL=C
export LC_ALL
unset LD_PRELOAD STELE_CONF

top=$(cd "${abs_top_srcdir:-$(dirname "$0")/../..}" && pwd) || exit 1
build=${abs_top_builddir:-$top/build}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
number=0

bail_out()
{
	echo "Bail out! $1"
	exit 1
}

# need_program PATH: in the build tree; leaves where it is in $prog.
need_program()
{
	prog=$(readlink -f "$build/$1")
	[ -x "$prog" ] || bail_out "no $build/$1"
}

# result STATUS NAME
result()
{
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number - $2"
		return
	fi
	echo "not ok $number - $2"
	for shown in "$work/out" "$work/err"; do
		[ ! -e "$shown" ] || sed 's/^/# /' "$shown" | head -n 40
	done
}

# empty NAME: ok if $work/out is empty; its lines are the reason if it is not.
empty()
{
	[ ! -s "$work/out" ]
	result $? "$1"
}
