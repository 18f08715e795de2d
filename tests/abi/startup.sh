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

echo "1..8"
adds 14 faults 0 "page faults without a request"
adds 9 calls 0 "system calls without a request"
adds 24 memory 0 "KiB without a request"
adds 32 faults 1 "page faults with one request"
adds 11 calls 1 "system calls with one request"
adds 80 memory 1 "KiB with one request"

# Code that is not run is not mapped, however the file was written.
cp -L "$STELE_LIB" "$work/libstele.so"
for library in "$STELE_LIB" "$work/libstele.so"; do
	if [ "$(readelf -lW "$library" | grep -c 'LOAD.* R E ')" -ne 2 ]; then
		result 0 "the code is in one segment # SKIP the linker has no use for libstele.lds"
		continue
	fi
	code=$("$prog" code 1 "$library")
	[ "$code" -gt 0 ] && [ "$code" -le 96 ]
	result $? "KiB of code with one request: $code, at most 96"
done
