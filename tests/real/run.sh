#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Real programs, each run twice over the same work: once on glibc's malloc and
# once with the library preloaded. What they print on stdout and how they end
# must be the same.
#
#	STELE_LIB=/path/to/libstele.so tests/real/run.sh [case...]
#
# STELE_LIB=none compares glibc with glibc: it tests the cases themselves.
# STELE_CONF and the malloc variables of glibc pass through to the programs, so
# the same suite serves every mode. TIMEOUT_FACTOR multiplies the time limits.
#
# A case is a file <name>.sh beside this one. It runs in an empty directory,
# under the preload itself, and stops at the first command that fails (set -e,
# pipefail included: no "| head" that leaves a writer behind).
# What a program does not repeat (pids, times, addresses) the case filters out;
# it never mixes stderr into stdout, where the library may print statistics.
# Two comment lines of it are read here:
#	# needs: programs without which the case is skipped
#	# timeout: seconds per run, 60 if not given

set -u

here=$(cd "$(dirname "$0")" && pwd)
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# What the shell, ld.so or the library say of a program that did not end well.
crash='Segmentation fault|Aborted|Bus error|Illegal instruction|Floating point'
crash+='|cannot be preloaded|(^|stele: )BUG\b'
# shellcheck disable=SC2016  # expanded when a case fails
report='echo "${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND: exit status $?" >&2'
count=0
failed=0

bail()
{
	echo "Bail out! $*"
	exit 1
}

# A case that was cut off may leave servers behind. They are known by their
# directory, or by their HOME where they have moved away from it.
end_leftovers()
{
	local dir pid

	for dir in /proc/[0-9]*; do
		pid=${dir#/proc/}
		case $(readlink "$dir/cwd" 2>/dev/null) in
		"$work" | "$work/"* | "$work (deleted)") ;;
		*) grep -zqsxF "HOME=$work" "$dir/environ" 2>/dev/null || continue ;;
		esac
		kill -KILL "$pid" 2>/dev/null
	done
}

finish()
{
	end_leftovers
	rm -rf "$tmp"
}

# Nothing of the caller's environment reaches the programs but the malloc
# variables: no jobserver of make, no settings of git or Python.
pass_environment()
{
	local name

	keep=("PATH=$path" "HOME=$work" "TMPDIR=$work" LC_ALL=C TZ=UTC TERM=xterm
	      SHELL=/bin/bash)
	for name in $(compgen -e); do
		case $name in
		STELE_* | MALLOC_* | GLIBC_TUNABLES) keep+=("$name=${!name}") ;;
		esac
	done
}

# in_scratch library seconds command...: SIGINT and SIGQUIT, which the shell ignores
# in the background, are the programs' own again.
in_scratch()
{
	local preload=() limit=$2

	[ "$1" = none ] || preload=("LD_PRELOAD=$1")
	shift 2
	rm -rf "$work"
	mkdir "$work" || bail "cannot make $work"
	(cd "$work" && exec env -i --default-signal=INT,QUIT "${keep[@]}" \
		setsid -w timeout -k 5 "$limit" env "${preload[@]}" "$@") </dev/null
}

# run_once case-file library result-name
run_once()
{
	local limit start end

	limit=$(sed -n 's/^# timeout: *\([0-9]*\).*/\1/p' "$1" | head -n 1)
	start=${EPOCHREALTIME/[.,]/}
	in_scratch "$2" $((${limit:-60} * ${TIMEOUT_FACTOR:-1})) bash -Eeuo pipefail \
		-c "trap '$report' ERR; . \"\$1\"" bash "$1" >"$tmp/$3.out" 2>"$tmp/$3.err" &
	# In the background, because a trap does not interrupt a foreground command.
	wait $!
	status=$?
	end=${EPOCHREALTIME/[.,]/}
	end_leftovers
	took=$(((end - start) / 1000))
}

result()
{
	count=$((count + 1))
	echo "$1 $count - $2"
	[ "$1" = ok ] || failed=$((failed + 1))
}

quote()
{
	head -n "${1:-20}" | sed 's/^/#   /'
}

missing_program()
{
	local program

	sed -n 's/^# needs: *//p' "$1" | tr ' ' '\n' | while read -r program; do
		if ! PATH=$path command -v "$program" >/dev/null; then
			echo "$program"
			break
		fi
	done
}

# Sets "why" to the first thing wrong with the two runs, or to nothing.
judge()
{
	why=
	if [ "$ref_status" -ne 0 ]; then
		why="on glibc already: exit status $ref_status"
	elif [ ! -s "$tmp/ref.out" ]; then
		why="on glibc already: no output to compare"
	elif [ "$status" -eq 124 ]; then
		why="timed out"
	elif [ "$status" -ne 0 ]; then
		why="exit status $status"
	elif ! cmp -s "$tmp/ref.out" "$tmp/new.out"; then
		why="stdout differs"
	elif grep -Eq "$crash" "$tmp/new.err" && ! grep -Eq "$crash" "$tmp/ref.err"; then
		why="a program crashed or went without the library"
	fi
}

run_case()
{
	local name=$1 file=$here/$1.sh missing

	missing=$(missing_program "$file")
	if [ -n "$missing" ]; then
		result ok "$name # SKIP $missing not installed"
		return
	fi

	run_once "$file" none ref
	ref_status=$status ref_took=$took
	run_once "$file" "$lib" new
	judge
	if [ -z "$why" ]; then
		result ok "$name"
	else
		result "not ok" "$name"
		echo "# $why"
		diff -u --label glibc --label "$STELE_LIB" "$tmp/ref.out" "$tmp/new.out" | quote
		if [ "$ref_status" -ne 0 ]; then
			tail -n 20 "$tmp/ref.err" | quote
		else
			tail -n 30 "$tmp/new.err" | quote 30
		fi
	fi
	echo "# $name: $ref_took ms on glibc, $took ms preloaded"
}

# Asked of a grandchild: the cases rely on it that the preload is inherited.
check_loaded()
{
	local name="programs and their children load the library"

	if [ "$lib" = none ]; then
		result ok "$name # SKIP STELE_LIB=none"
	elif in_scratch "$lib" 20 bash -c 'bash -c "cat /proc/self/maps; exit 0"' \
		2>"$tmp/new.err" | grep -qF "$lib"; then
		result ok "$name"
	else
		result "not ok" "$name"
		quote <"$tmp/new.err"
	fi
}

choose_cases()
{
	local file name

	cases=("$@")
	if [ $# -eq 0 ]; then
		for file in "$here"/*.sh; do
			name=$(basename "$file" .sh)
			[ "$name" = run ] || cases+=("$name")
		done
	fi
	for name in "${cases[@]}"; do
		if [ "$name" = run ] || [ ! -f "$here/$name.sh" ]; then
			bail "no such case: $name"
		fi
	done
}

choose_cases "$@"
[ -n "${STELE_LIB:-}" ] || bail "STELE_LIB must name libstele.so (or be none)"
lib=none
if [ "$STELE_LIB" != none ]; then
	# /proc/self/maps shows the file behind the links.
	lib=$(realpath -e "$STELE_LIB") || bail "$STELE_LIB: not found"
fi
tmp=$(mktemp -d "${TMPDIR:-/tmp}/stele-real.XXXXXX") || bail "mktemp failed"
tmp=$(realpath "$tmp")
work=$tmp/work
trap finish EXIT
trap 'exit 1' HUP INT TERM
ulimit -c 0
pass_environment

echo "1..$((${#cases[@]} + 1))"
check_loaded
for name in "${cases[@]}"; do
	run_case "$name"
done
[ "$failed" -eq 0 ]
