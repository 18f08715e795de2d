#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs the examples, each of which ends with 0 if it went well, 77 if it cannot run here.
# usage: examples/run.sh [PROGRAM...]    default: those that EXAMPLES names, below top_builddir
set -u

if [ $# -eq 0 ]; then
	: "${EXAMPLES:?must name the examples}" "${abs_top_builddir:?must be set}"
	for name in $EXAMPLES; do
		set -- "$@" "$abs_top_builddir/$name"
	done
fi

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
count=0
echo "1..$#"
for program in "$@"; do
	count=$((count + 1))
	timeout 60 "$program" >"$log" 2>&1 </dev/null
	status=$?
	case $status in
	0)
		if grep '^stele: ' "$log" >/dev/null; then
			echo "not ok $count - ${program##*/}: the library complained"
		else
			echo "ok $count - ${program##*/}"
		fi
		;;
	77) echo "ok $count - ${program##*/} # SKIP $(tail -n 1 "$log")" ;;
	*) echo "not ok $count - ${program##*/}: status $status" ;;
	esac
	sed 's/^/# /' "$log"
done
