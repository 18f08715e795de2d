#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs the hard cases under the preloaded library and prints TAP.
#
#	tests/hard/run.sh [case...]
#
# STELE_LIB	the library; empty or "none": plain libc, to see that a case is fair
# HARD_DIR	where the programs are (default: the build tree, or ./build)
# HARD_MODES	"auto" runs without STELE_CONF, any other word as STELE_CONF=percpu=WORD
# HARD_TIMEOUT	seconds for one run
# HARD_EMULATOR	for programs of another machine: the command that runs them, as qemu-aarch64 -L DIR
#
# Another directory of such programs has a run.sh of its own, which sets these and calls this one:
# HARD_SUITE	its name below tests/
# HARD_CASES	its programs
# HARD_LAUNCHERS, HARD_LAUNCHED	see start() below; the programs that each launcher runs
# HARD_LAUNCHED_MODES	in these modes (default: all)

here=$(cd "$(dirname "$0")" && pwd)
lib=${STELE_LIB:-none}
modes=${HARD_MODES:-auto locked}
seconds=${HARD_TIMEOUT:-300}
emulator=${HARD_EMULATOR:-}

suite=${HARD_SUITE:-hard}
cases=${HARD_CASES:-"contract align errno_free calloc_zero realloc_seq usable info
	stress crossfree threads tsd arenas forkfirst forkstorm forkheap exit_race signals sigalloc clock
	foreign_sbrk ulimit exhaust charge mappings core no_files refused nopie ctor ifunc late plugin
	self_dlopen deepbind spawn clone vfork_alloc own_kmalloc own_malloc cxx badptr"}

# What plain libc cannot be asked for, and why.
stele_only() {
	case $1 in
	loaded | self_dlopen) echo "there is no library to load" ;;
	badptr) echo "the reports are the library's own" ;;
	*) return 1 ;;
	esac
}

# What qemu-user cannot be asked for, and why; plain libc fails the same there.
not_emulated() {
	case $1 in
	ulimit | self_dlopen | badptr | deepbind | forkfirst | refused) echo "the emulator cannot start itself anew" ;;
	calloc_zero | exhaust | charge | core) echo "the emulator's own tables grow with address space" ;;
	clone) echo "the emulator makes processes and threads, and nothing between" ;;
	forkstorm | forkheap | vfork_alloc) echo "the emulator dies of fork among threads" ;;
	*) return 1 ;;
	esac
}

# Other ways to start a program; each runs a few cases that need not start themselves anew.
launchers=${HARD_LAUNCHERS:-"setarch ldso"}
[ -n "$emulator" ] && launchers=
launched=${HARD_LAUNCHED:-"loaded contract foreign_sbrk threads"}

if [ -z "$HARD_DIR" ]; then
	HARD_DIR=$here/../../build/tests/$suite
	[ -n "$abs_top_builddir" ] && HARD_DIR=$abs_top_builddir/tests/$suite
fi
HARD_DIR=$(cd "$HARD_DIR" 2>/dev/null && pwd) || {
	echo "Bail out! no programs in HARD_DIR"
	exit 1
}
HARD_LIBDIR=$HARD_DIR
[ -d "$HARD_DIR/.libs" ] && HARD_LIBDIR=$HARD_DIR/.libs
export HARD_LIBDIR

if [ "$lib" = none ]; then
	modes=libc
	unset STELE_LIB HARD_STELE
else
	STELE_LIB=$(cd "$(dirname "$lib")" && pwd)/$(basename "$lib")
	lib=$STELE_LIB
	HARD_STELE=1
	export STELE_LIB HARD_STELE
fi
unset STELE_CONF LD_PRELOAD

loaded=$HARD_DIR/loaded
[ -x "$loaded" ] || loaded=$HARD_DIR/../hard/loaded

for ld_so in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1 none; do
	[ -x "$ld_so" ] && break
done

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM

# preloaded MODE COMMAND...: by the environment, as nearly everyone does it
# shellcheck disable=SC2086 # the emulator is a list of words
preloaded() {
	mode_=$1
	shift
	if [ -n "$emulator" ]; then
		# the host's own loader must not see the library
		case $mode_ in
		libc) set -- $emulator "$@" ;;
		auto) set -- $emulator -E LD_PRELOAD="$lib" "$@" ;;
		*) set -- $emulator -E LD_PRELOAD="$lib" -E STELE_CONF="percpu=$mode_" "$@" ;;
		esac
		timeout -k 5 "$seconds" "$@"
		return
	fi
	case $mode_ in
	libc) set -- "$@" ;;
	auto) set -- env LD_PRELOAD="$lib" "$@" ;;
	*) set -- env LD_PRELOAD="$lib" STELE_CONF="percpu=$mode_" "$@" ;;
	esac
	timeout -k 5 "$seconds" "$@"
}

# by_ldso MODE PROGRAM: the dynamic linker is the program, and takes the library as an option
by_ldso() {
	case $1 in
	libc) timeout -k 5 "$seconds" "$ld_so" "$2" ;;
	auto) timeout -k 5 "$seconds" "$ld_so" --preload "$lib" "$2" ;;
	*) STELE_CONF="percpu=$1" timeout -k 5 "$seconds" "$ld_so" --preload "$lib" "$2" ;;
	esac
}

# start LAUNCHER MODE PROGRAM
# shellcheck disable=SC2046 # refuse-CALL-ERROR is a list of words
start() {
	case $1 in
	setarch) preloaded "$2" setarch -R "$3" ;;
	ldso) by_ldso "$2" "$3" ;;
	# libc registers no thread for restartable sequences; the kernel refuses CALL with ERROR
	tunable) preloaded "$2" env GLIBC_TUNABLES=glibc.pthread.rseq=0 "$3" ;;
	refuse-*) preloaded "$2" "$HARD_DIR/refuse" $(echo "$1" | cut -d- -f2- | tr - ' ') "$3" ;;
	*) preloaded "$2" "$3" ;;
	esac
}

# Why a job cannot run here; fails when it can.
skip_reason() {
	[ "$lib" = none ] && stele_only "$2" && return 0
	[ -n "$emulator" ] && not_emulated "$2" && return 0
	[ "$1" = setarch ] && ! setarch -R true 2>/dev/null &&
		echo "setarch -R is refused here" && return 0
	[ "$1" = ldso ] && [ "$ld_so" = none ] && echo "no known dynamic linker" && return 0
	return 1
}

number=0
failed=0

# run_job LAUNCHER CASE MODE
run_job() {
	number=$((number + 1))
	label="$2 ($3)"
	[ "$1" = plain ] || label="$1 $label"
	if reason=$(skip_reason "$1" "$2"); then
		echo "ok $number - $label # SKIP $reason"
		return
	fi
	# the braces keep the shell's own word about a signal out of the output
	{ start "$1" "$3" "$HARD_DIR/$2" >"$log" 2>&1; } 2>/dev/null
	status=$?
	verdict=
	case $status in
	0) grep -q '^stele: ' "$log" && verdict="the library wrote to stderr" ;;
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
	failed=$((failed + 1))
	echo "not ok $number - $label"
	echo "# $label: $verdict"
	tail -n 30 "$log" | cut -c 1-400 | sed 's/^/# /'
}

# Is CASE among the names asked for?  No names: all are.
wanted() {
	name=$1
	shift
	[ $# -eq 0 ] && return 0
	for asked; do
		[ "$asked" = "$name" ] && return 0
	done
	return 1
}

jobs=
for c in $cases; do
	wanted "$c" "$@" || continue
	for mode in $modes; do
		jobs="$jobs plain/$c/$mode"
	done
done
for l in $launchers; do
	wanted "$l" "$@" || continue
	for c in $launched; do
		for mode in ${HARD_LAUNCHED_MODES:-$modes}; do
			jobs="$jobs $l/$c/$mode"
		done
	done
done
if [ -z "$jobs" ]; then
	echo "Bail out! no such case: $*"
	exit 1
fi

# Every result below would be worthless if the library were not in the process.
if [ "$lib" = none ]; then
	echo "# plain libc: no library preloaded"
else
	for mode in $modes; do
		if ! preloaded "$mode" "$loaded" >"$log" 2>&1; then
			echo "Bail out! $lib is not in use ($mode): $(tail -n 1 "$log")"
			exit 1
		fi
	done
fi

# shellcheck disable=SC2086 # the list is made of plain words
set -- $jobs
echo "1..$#"
for job; do
	rest=${job#*/}
	run_job "${job%%/*}" "${rest%%/*}" "${rest#*/}"
done
exit 0
