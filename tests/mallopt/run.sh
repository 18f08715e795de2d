#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs the cases of mallopt(3) and prints TAP: each on plain libc first, which is the reference for
# what the parameters mean, then under the preloaded library.
#
#	tests/mallopt/run.sh [case...]
#
# STELE_LIB		the library; empty or "none": plain libc alone
# MALLOPT_DIR		where the programs are (default: the build tree, or ./build)
# MALLOPT_MODES		libc; auto: no STELE_CONF; any other word: STELE_CONF=percpu=WORD
# MALLOPT_TIMEOUT	seconds for one run
# MALLOPT_CASES		instead of all of them
# HARD_EMULATOR		for programs of another machine: see tests/hard/run.sh

here=$(cd "$(dirname "$0")" && pwd)
lib=${STELE_LIB:-none}
seconds=${MALLOPT_TIMEOUT:-600}
emulator=${HARD_EMULATOR:-}
all_cases="options environ conf_help badvalue secure trim top_pad mmap_threshold mmap_max mmap_none
	realtime perturb trim_call survivors trim_pause exact info_xml demand_zero reclaim migrate watermark
	kswapd psi thp limit oom usable_exact"
cases=${MALLOPT_CASES:-$all_cases}

if [ -z "$MALLOPT_DIR" ]; then
	MALLOPT_DIR=$here/../../build/tests/mallopt
	[ -n "$abs_top_builddir" ] && MALLOPT_DIR=$abs_top_builddir/tests/mallopt
fi
MALLOPT_DIR=$(cd "$MALLOPT_DIR" 2>/dev/null && pwd) || {
	echo "Bail out! no programs in MALLOPT_DIR"
	exit 1
}

if [ "$lib" = none ]; then
	modes=libc
else
	modes=${MALLOPT_MODES:-libc auto locked}
	lib=$(cd "$(dirname "$lib")" && pwd)/$(basename "$lib")
fi
STELE_LIB=$lib
export STELE_LIB
unset HARD_STELE STELE_CONF LD_PRELOAD GLIBC_TUNABLES

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM

# start MODE PROGRAM
# shellcheck disable=SC2086 # the emulator is a list of words
start() {
	if [ -n "$emulator" ]; then
		case $1 in
		libc) set -- $emulator "$2" ;;
		auto) set -- env HARD_STELE=1 $emulator -E LD_PRELOAD="$lib" "$2" ;;
		*) set -- env HARD_STELE=1 $emulator -E LD_PRELOAD="$lib" -E STELE_CONF="percpu=$1" "$2" ;;
		esac
		timeout -k 5 "$seconds" "$@"
		return
	fi
	case $1 in
	libc) set -- "$2" ;;
	auto) set -- env HARD_STELE=1 LD_PRELOAD="$lib" "$2" ;;
	*) set -- env HARD_STELE=1 LD_PRELOAD="$lib" STELE_CONF="percpu=$1" "$2" ;;
	esac
	timeout -k 5 "$seconds" "$@"
}

# start_secure MODE: a preload does not reach a program in secure mode, so one is linked to the
# library; which also means that no mode can be chosen there.
start_secure() {
	case $1 in
	libc) start libc "$MALLOPT_DIR/secure" ;;
	auto) timeout -k 5 "$seconds" env HARD_STELE=1 "$MALLOPT_DIR/secure_linked" ;;
	*)
		echo "skip: no mode can be chosen in secure mode"
		return 77
		;;
	esac
}

number=0

# run_case CASE MODE
run_case() {
	number=$((number + 1))
	label="$1 ($2)"
	# the braces keep the shell's own word about a signal out of the output
	{
		if [ "$1" = secure ]; then
			start_secure "$2"
		else
			start "$2" "$MALLOPT_DIR/$1"
		fi >"$log" 2>&1
	} 2>/dev/null
	status=$?
	case $status in
	0) verdict= ;;
	77)
		echo "ok $number - $label # SKIP $(sed -n '$s/.*skip: //p' "$log")"
		return
		;;
	124 | 137) verdict="no end within $seconds s" ;;
	*)
		verdict="exit status $status"
		[ "$status" -gt 128 ] && verdict="signal $((status - 128))"
		;;
	esac
	if [ -z "$verdict" ]; then
		echo "ok $number - $label"
		return
	fi
	echo "not ok $number - $label"
	echo "# $label: $verdict"
	tail -n 30 "$log" | cut -c 1-400 | sed 's/^/# /'
}

# shellcheck disable=SC2086 # the list is made of plain words
[ $# -gt 0 ] || set -- $cases
for c; do
	if [ ! -x "$MALLOPT_DIR/$c" ]; then
		echo "Bail out! no such case: $c"
		exit 1
	fi
done

# shellcheck disable=SC2086
echo "1..$(($# * $(echo $modes | wc -w)))"
for c; do
	for mode in $modes; do
		run_case "$c" "$mode"
	done
done
exit 0
