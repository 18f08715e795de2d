#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Real programs under full tracking, with a report of every process: the cases of tests/real, and
# their output and exit status have to be those of libc, as there.
set -u

here=$(cd "$(dirname "$0")" && pwd)
reports=$(mktemp -d "${TMPDIR:-/tmp}/stele-leak-real.XXXXXX") || exit 1
trap 'rm -rf "$reports"' EXIT
trap 'exit 1' HUP INT TERM

[ $# -gt 0 ] || set -- sqlite3 git perl python3 node gcc redis bash
STELE_CONF=leak=exit,leak_output=$reports/%p.%n TIMEOUT_FACTOR=6 \
	"$here/../real/run.sh" "$@" >"$reports/tap" &
wait $!
status=$?
[ -s "$reports/tap" ] || {
	echo "Bail out! tests/real/run.sh printed nothing (status $status)"
	exit 1
}

# One more test than run.sh has: every report is whole.
count=$(sed -n 's/^1\.\.//p' "$reports/tap")
sed "s/^1\.\..*/1..$((count + 1))/" "$reports/tap"
rm "$reports/tap"
total=0 torn=0
for report in "$reports"/*; do
	[ -e "$report" ] || continue
	total=$((total + 1))
	if ! tail -n 1 "$report" | grep -q '^end [0-9]*$'; then
		torn=$((torn + 1))
		echo "# ${report##*/}: $(wc -l <"$report") lines, $(tail -n 1 "$report" | cut -c 1-200)"
	fi
done
if [ "$total" -gt 20 ] && [ "$torn" = 0 ]; then
	echo "ok $((count + 1)) - every process wrote its report"
else
	echo "not ok $((count + 1)) - every process wrote its report"
fi
echo "# $total reports, $torn torn"
exit "$status"
