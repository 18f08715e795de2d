#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Counts the instructions of malloc's and free's hit paths in the built library, from the entry to
# the first ret, all branches not taken; and looks at what must not be among them. Prints TAP.

lib=${STELE_LIB:?}
number=0

result() {
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		printf '%s\n' "$code" | sed 's/^/# /'
	fi
}

case $(uname -m) in
x86_64) ;;
*)
	echo "1..0 # SKIP the hit path is written for x86-64"
	exit 0
	;;
esac

# hit FUNCTION: the instructions to the first ret
hit() {
	objdump -d --no-show-raw-insn "$lib" | awk -v f="<$1>:" '
		$2 == f { on = 1; next }
		on { sub(/^[^:]*:[ \t]*/, ""); print; if ($1 == "ret") exit }'
}

echo "1..8"
for f in malloc free; do
	limit=20
	[ $f = free ] && limit=22
	code=$(hit $f)
	n=$(printf '%s\n' "$code" | grep -c .)
	[ "$n" -gt 10 ] && [ "$n" -le $limit ]
	result $? "$f's hit path: $n instructions, at most $limit"
	! printf '%s\n' "$code" | grep -Eq '^(call|jmp|push|pop)'
	result $? "$f's hit path calls nothing and saves nothing"
	! printf '%s\n' "$code" | grep -Eq '^(lock|xchg|mfence|cmpxchg)'
	result $? "$f's hit path has no locked instruction"
	if [ $f = free ]; then
		! printf '%s\n' "$code" | grep -q '(%rdi'
		result $? "free's hit path does not touch the object"
	else
		printf '%s\n' "$code" | grep -q '%fs:0x8'
		result $? "malloc's hit path is the sequence"
	fi
done
