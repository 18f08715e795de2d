#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Counts the instructions of malloc's and free's hit paths in the built library, from the entry to
# the first ret, all branches not taken; and looks at what must not be among them. Prints TAP.

# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"

lib=${STELE_LIB:?}

# The library may be built for another machine than this one: what the ELF header says counts.
objdump=objdump
case $(od -An -tu2 -j18 -N2 "$lib" | tr -d ' ') in
62)
	malloc_limit=20 free_limit=22 usable_limit=26 wrong_cache=2
	leaves='^(call|jmp|push|pop)'
	locked='^(lock|xchg|mfence|cmpxchg)'
	loads='(%rdi'
	announces='%fs:0x8'
	;;
183)
	[ "$(uname -m)" = aarch64 ] || objdump=aarch64-linux-gnu-objdump
	malloc_limit=27 free_limit=31 usable_limit=30 wrong_cache=3
	leaves='^(bl|blr|br|b)[[:space:]]|sp[],]'
	locked='^(ld[a-z]*x|st[a-z]*x|lda|stl|cas|swp|ldadd|dmb|dsb)'
	loads='ld.*\[x0'
	announces='str.*x[0-9]*, #8\]'
	;;
*)
	echo "1..0 # SKIP no hit path for this machine"
	exit 0
	;;
esac

# hit FUNCTION: the instructions to the first ret, in $work/out; their number in $n
hit() {
	"$objdump" -d --no-show-raw-insn "$lib" | awk -v f="<$1>:" '
		$2 == f { on = 1; next }
		on { sub(/^[^:]*:[ \t]*/, ""); print; if ($1 == "ret") exit }' >"$work/out"
	n=$(grep -c . "$work/out")
}

# What malloc adds while blocks are sampled: from the count of bytes to the ret.
counted() {
	"$objdump" -d --no-show-raw-insn "$lib" | awk '
		$2 == "<malloc>:" { on = 1; next }
		on && NF == 0 { exit }
		on { sub(/^[^:]*:[ \t]*/, "") }
		on && $1 == "sbb" { counting = 1 }
		counting { print; if ($1 == "ret") exit }'
}

# Where they lie in a cache line decides some per cent of what they cost.
begins_line() {
	"$objdump" -T "$lib" | awk -v f="$1" '
		$NF == f && $1 ~ /[048c]0$/ { found = 1 } END { exit !found }'
}

echo "1..22"
for f in malloc free _Znwm _ZdlPvm; do
	begins_line $f
	result $? "$f begins with a cache line"
done
for f in malloc free; do
	limit=$malloc_limit
	[ $f = free ] && limit=$free_limit
	hit $f
	[ "$n" -gt 10 ] && [ "$n" -le "$limit" ]
	result $? "$f's hit path: $n instructions, at most $limit"
	! grep -Eq "$leaves" "$work/out"
	result $? "$f's hit path calls nothing and saves nothing"
	! grep -Eq "$locked" "$work/out"
	result $? "$f's hit path has no locked instruction"
	if [ $f = free ]; then
		! grep -q "$loads" "$work/out"
		result $? "free's hit path does not touch the object"
	else
		grep -q "$announces" "$work/out"
		result $? "malloc's hit path is the sequence"
	fi
done

# Asked at each malloc and free by programs that count their memory.
hit malloc_usable_size
[ "$n" -gt 10 ] && [ "$n" -le $usable_limit ]
result $? "malloc_usable_size of a slab's object: $n instructions, at most $usable_limit"
! grep -Eq "$leaves" "$work/out"
result $? "malloc_usable_size of a slab's object calls nothing and saves nothing"

# Objects of the program's caches: as malloc's, and a compare more to know the cache of what is freed.
for f in stele_kmem_cache_alloc stele_kmem_cache_free; do
	limit=$malloc_limit
	[ $f = stele_kmem_cache_free ] && limit=$((free_limit + wrong_cache))
	hit $f
	[ "$n" -gt 10 ] && [ "$n" -le "$limit" ]
	result $? "$f's hit path: $n instructions, at most $limit"
	! grep -Eq "$leaves" "$work/out"
	result $? "$f's hit path calls nothing and saves nothing"
	! grep -Eq "$locked" "$work/out"
	result $? "$f's hit path has no locked instruction"
done

# From the count on; before it are two comparisons and one load of an address.
if [ $malloc_limit -eq 20 ]; then
	code=$(counted)
	n=$(printf '%s\n' "$code" | grep -c .)
	[ "$n" -gt 10 ] && [ "$n" -le 17 ]
	result $? "malloc while sampling: $n instructions from the count on, at most 17"
	! printf '%s\n' "$code" | grep -Eq "$leaves|$locked"
	result $? "malloc while sampling calls nothing and saves nothing"
else
	result 0 "malloc while sampling # SKIP the count is left to the compiler"
	result 0 "malloc while sampling calls nothing # SKIP the count is left to the compiler"
fi
