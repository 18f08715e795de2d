#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The tunables of leak reports, and each way in which a process ends or is asked.
# usage: STELE_LIB=.../libstele.so tests/abi/leak.sh
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"

: "${STELE_LIB:?must name libstele.so}"
need_program tests/abi/leak

# run CONF ARGUMENT...: what it prints is in out and err, its status in $status, snapshots in snap.*
run()
{
	conf=$1
	shift
	rm -f "$work"/snap.*
	(
		cd "$work" || exit 1
		ulimit -c 0
		LD_PRELOAD=$STELE_LIB STELE_CONF=$conf exec "$prog" "$@"
	) >"$work/out" 2>"$work/err"
	status=$?
} 2>/dev/null	# what bash says of a signal

# reported N [REASON]: exactly N whole snapshots, each with the two blocks and nothing else lost.
reported()
{
	n=0
	for file in "$work"/snap.*; do
		[ -e "$file" ] || continue
		n=$((n + 1))
		tail -n 1 "$file" | grep -q '^end ' || return 1
		[ "$(grep -Ec '^leak (direct|indirect|possible) ' "$file")" = 2 ] || return 1
		[ "$(grep -Ec '^leak direct [0-9]+ 1 100[12] ' "$file")" = 2 ] || return 1
		[ $# -lt 2 ] || grep -qx "reason $2" "$file" || return 1
	done
	[ "$n" = "$1" ]
}

# until_is COMMAND...: within half a minute
until_is()
{
	for _ in $(seq 1500); do
		"$@" && return
		sleep 0.02
	done
	return 1
}

# The child of $1 is the program with the library: SIGUSR2 has a handler. Its number is left in $pid.
answers()
{
	pid=$(pgrep -x -P "$1" leak) &&
		mask=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$pid/status") &&
		[ $((0x$mask >> 11 & 1)) = 1 ]
}

snap=leak=exit,leak_output=snap.%p.%n
echo 1..32

run leak=exit
grep -q 'unreferenced 1 object, 1001 bytes' "$work/err" && grep -q 'leak_here+0x' "$work/err"
result $? "leak=exit: the text names the function"
[ "$status" = 0 ] && [ ! -s "$work/out" ]
result $? "and the program is as it was"
! grep -q '^referenced' "$work/err"
result $? "what is reachable is not shown"
run leak=exit,leak_show=reachable
grep -q '^referenced 1 object, 1003 bytes' "$work/err" && ! grep -q '^unreferenced' "$work/err"
result $? "leak_show"

run leak=on
[ "$status" = 0 ] && [ ! -s "$work/err" ]
result $? "leak=on: nothing is reported by itself"

while read -r how want reason; do
	run "$snap" "$how"
	[ "$status" = "$want" ] && reported 1 "$reason"
	result $? "$how: one report, status $want"
done <<'END'
exit 0 exit
_exit 3 _exit
quick_exit 4 exit quick_exit
abort 134 signal SIGABRT
abort_handled 134 abort
term 143 signal SIGTERM
once 138 signal SIGUSR1
segv 139 signal SIGSEGV
exec 5 exec /bin/sh
no_exec 0 exit
END

run "$snap" fork
reported 2 exit
result $? "fork: a report for each of the two"
run leak=exit,leak_output=snap.one fork
reported 2 exit
result $? "and of a name without %p each has its own"

run "$snap" disposition
[ "$(cat "$work/out")" = "default default" ] && reported 1 exit
result $? "the program sees the default actions"

run leak=on,leak_output=snap.%n call
[ "$(cat "$work/out")" = "2 2003" ] && [ "$status" = 0 ] && reported 1 api
result $? "by call: counted, and reported"

run leak=on,leak_signal=12,leak_output=snap.%n wait "$work/snap.0" &
until_is answers $!
kill -USR2 "$pid"
wait $!
reported 1 "request SIGUSR2"
result $? "leak_signal: an idle process answers"

run leak=on,leak_control=control,leak_output=snap.%n wait "$work/snap.0" &
until_is [ -p "$work/control" ]
echo scan | timeout 10 tee "$work/control" >"$work/scrap"
wait $!
reported 1 "request control"
result $? "leak_control: an idle process answers"

run leak=on,leak_interval=1,leak_output=snap.%n wait "$work/snap.1"
reported 2 interval
result $? "leak_interval: reports come by themselves"
run leak=on,leak_interval=1,leak_history=10,leak_output=snap.%n wait "$work/snap.0"
# One each 10 ms at most, of the time that it took, and the report's own.
points=$(grep -c '^point ' "$work/snap.0")
[ "$points" -ge 20 ] && awk '
	$1 == "time" { uptime = $3 }
	$1 == "point" { if ($2 < last) exit 1; last = $2; n++ }
	END { if (n > uptime / 10 + 2) exit 1 }' "$work/snap.0"
result $? "leak_history: so many looks at the size before the first report ($points)"

run "$snap,leak_young=60000"
[ "$(cat "$work"/snap.* | grep -c '^leak young ')" = 2 ]
result $? "leak_young"

run leak=exit,leak_exit_code=23
[ "$status" = 23 ]
result $? "leak_exit_code: the status of a program with leaks"
run leak=exit,leak_exit_code=23 _exit
[ "$status" = 3 ]
result $? "but not in place of another"

printf '# known\nleak:leak_kn*wn\n' >"$work/known"
run leak=exit,leak_suppress=known
! grep -q leak_known "$work/err" && grep -q leak_here "$work/err"
result $? "leak_suppress: known leaks are left out"
printf 'leak:^%s$\n' "$prog" >"$work/known"
run leak=exit,leak_exit_code=23,leak_suppress=known
[ "$status" = 0 ] && [ ! -s "$work/err" ]
result $? "also by the module's path; then there are none"
run leak=exit,leak_suppress=nowhere
[ "$(grep -c '^stele: leak_suppress: ' "$work/err")" = 1 ]
result $? "leak_suppress: a file that is not there is one line"

run leak=exit,leak_output=/nonexistent/x
[ "$status" = 0 ] && [ "$(wc -l <"$work/err")" = 1 ]
result $? "leak_output: what cannot be written is one line"

run "$snap,scan=off"
grep -q '^alloc [0-9]* 1 1003 1 1003$' "$work"/snap.* && ! grep -q '^leak ' "$work"/snap.*
result $? "scan=off: a list of all blocks"

run profile=1,profile_output=snap.%p
grep -qx 'mode profile 1' "$work"/snap.* && grep -q '^alloc [0-9]* 1 1003 ' "$work"/snap.*
result $? "profile_output"
