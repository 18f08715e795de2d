#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Tracking by its tunables: a double free, and a free inside of a block, is told with the stacks that
# unwind=, depth= and free_stacks= promise, by every way to allocate.
set -u
LC_ALL=C
export LC_ALL
dir=${abs_top_builddir:-$(cd "$(dirname "$0")/../../build" && pwd)}/tests/debug
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
count=0

# run CONF ARGUMENT...: the program ends; what it said is in $out
run()
{
	conf=$1
	shift
	timeout 60 env LD_PRELOAD="$STELE_LIB" STELE_CONF="$conf" "$dir/dfree" "$@" >"$out" 2>&1
}

# stack TITLE: the functions of the program on that stack, innermost first, in one line
stack()
{
	awk -v title="  $1:" '
		$0 == "stele: " title { on = 1; next }
		/^stele:     / { if (on) print $3; next }
		{ on = 0 }' "$out" | sed -n 's|^\(.*/\)*dfree+||p' | while read -r at; do
		addr2line -f -e "$dir/dfree" "0x$(printf '%x' $((0x$at - 1)))" | head -n 1
	done | sed '/^main$/q' | tr '\n' ' ' | sed 's/ $//'
}

# expect LABEL WANTED HAVE
expect()
{
	count=$((count + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $count - $1"
	else
		sed 's/^/# /' "$out"
		echo "# not \"$2\" but \"$3\""
		echo "not ok $count - $1"
	fi
}

allocation="allocate_c allocate_b allocate_a main"

echo "1..22"
for how in malloc calloc realloc memalign; do
	run leak=on $how
	expect "$how, double free: the stack that allocated" "$allocation" "$(stack "allocated by")"
done
expect "the block and its cache are named" 1 \
	"$(grep -c '^stele: double free of 0x[0-9a-f]*: it is free already, cache kmalloc-192$' "$out")"
expect "no stack of the free without free_stacks" "" "$(stack "freed by")"

run leak=on,free_stacks=on
expect "free_stacks=on: the stack that freed" "release_b release_a main" "$(stack "freed by")"

run leak=on,free_stacks=on mapped
expect "a mapped block, which is gone: the stack that allocated" "$allocation" "$(stack "allocated by")"
expect "and the one that freed" "release_b release_a main" "$(stack "freed by")"
run leak=on mapped
expect "without free_stacks the first of them" "$allocation" "$(stack "allocated by")"
for how in malloc large mapped; do
	run leak=on $how inside
	expect "free inside of a block, $how: the stack that allocated" "$allocation" "$(stack "allocated by")"
done
expect "after a line that says so" 1 "$(grep -c '^stele: free: invalid free of 0x[0-9a-f]*: inside of the' "$out")"

run leak=exit,unwind=fp
expect "unwind=fp" "$allocation" "$(stack "allocated by")"
run leak=on,unwind=libunwind
expect "unwind=libunwind" "$allocation" "$(stack "allocated by")"
run leak=on,unwind=none
expect "unwind=none: no stack" 1 "$(grep -c "^stele: " "$out")"
run leak=on,depth=2
expect "depth=2" "allocate_c allocate_b" "$(stack "allocated by")"
run leak=on,depth=1
expect "depth=1" "allocate_c" "$(stack "allocated by")"

# With so small a mean every block is as good as certain to be a sample.
run profile=1
expect "profile=1: a sampled block is freed twice" "$allocation" "$(stack "allocated by")"

run leak=on malloc once
status=$?
expect "leak=on: a program without fault has nothing to say" "0 0" "$status $(grep -c . "$out")"
run profile=512K,leak=on malloc once
expect "profile= beside leak=: one line says that nothing is sampled" 1 \
	"$(grep -c '^stele: profile: every block is tracked for leak=, nothing is sampled$' "$out")"
