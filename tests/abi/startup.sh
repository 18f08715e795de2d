#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the library adds to a process that does next to nothing: page faults, system calls, memory.
# Each limit is above what is needed, as page faults depend on how the file lies in the page cache,
# and below what was needed once.
# usage: STELE_LIB=.../libstele.so tests/abi/startup.sh
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"

: "${STELE_LIB:?must name libstele.so}"
need_program tests/abi/startup

# adds MOST WHAT REQUESTS NAME
adds()
{
	without=$("$prog" "$2" "$3")
	with=$("$prog" "$2" "$3" "$STELE_LIB")
	if [ "$without" -lt 0 ] || [ "$with" -lt 0 ]; then
		result 0 "$4 # SKIP cannot be counted here"
		return
	fi
	[ $((with - without)) -le "$1" ]
	result $? "$4: $without and $((with - without)) more, at most $1"
}

echo "1..9"
adds 10 faults 0 "page faults without a request"
adds 9 calls 0 "system calls without a request"
adds 16 memory 0 "KiB without a request"
adds 26 faults 1 "page faults with one request"
adds 11 calls 1 "system calls with one request"
adds 68 memory 1 "KiB with one request"

# Code that is not run is not mapped, however the file was written.
cp -L "$STELE_LIB" "$work/libstele.so"
for library in "$STELE_LIB" "$work/libstele.so"; do
	if [ "$(readelf -lW "$library" | grep -c 'LOAD.* R E ')" -ne 2 ]; then
		result 0 "the code is in one segment # SKIP the linker has no use for libstele.lds"
		continue
	fi
	code=$("$prog" code 1 "$library")
	[ "$code" -gt 0 ] && [ "$code" -le 60 ]
	result $? "KiB of code with one request: $code, at most 60"
done

# A name that is not kept up to date would lay code elsewhere, and say nothing.
cat "$top"/lib/*/*.[chS] | tr -c '[:alnum:]_' '[\n*]' | sort -u >"$work/words"
sed 's/\.text[.*]*/\n@/g' "$top/lib/libstele.lds" | sed -n 's/^@\([a-z_][a-z_0-9]*\).*/\1/p' |
	grep -vxE 'startup|exit|near|rseq_abort|_Zn.*|_Zd.*' | sort -u >"$work/placed"
[ "$(wc -l <"$work/placed")" -gt 50 ] || echo "libstele.lds names no functions" >"$work/out"
comm -23 "$work/placed" "$work/words" >>"$work/out"
empty "each function that libstele.lds places is there"
