#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What STELE_CONF does to a program, seen from outside: warnings, help, summary, names to skip, and
# the one line for programs that are built with a sanitizer. Prints TAP.

# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"

lib=${STELE_LIB:?}

# with CONF PROGRAM...: its output and what it says on stderr
with() {
	conf=$1
	shift
	env STELE_CONF="$conf" LD_PRELOAD="$lib" "$@" >"$work/out" 2>"$work/err"
}

lines() {
	grep -c . "$work/err"
}

echo "1..12"
cat >"$work/prog.c" <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <malloc.h>
int main(void)
{
	char *p = realloc(malloc(100), 5000);
	size_t n = malloc_usable_size(p);
	char *q = aligned_alloc(4096, 4096), *z = calloc(10, 10);
	free(q);
	free(p);
	printf("%zu %d\n", n, z[99]);
	free(z);
	return 0;
}
C
"${CC:-cc}" -fno-builtin -o "$work/prog" "$work/prog.c" || exit 1

with "" "$work/prog"
[ "$(cat "$work/out")" = "5120 0" ] && [ "$(lines)" -eq 0 ]
result $? "a program is served, and nothing is said"

with "nosuchname=1" "$work/prog"
[ "$(lines)" -eq 1 ] && grep -q "^stele: STELE_CONF: unknown name 'nosuchname' ignored$" "$work/err"
result $? "an unknown name: one line, and the program runs on"

with "mmap_threshold=12z,percpu=locked" "$work/prog"
[ "$(lines)" -eq 1 ] && grep -q "^stele: mmap_threshold: bad value '12z', keeping 131072$" "$work/err"
result $? "a malformed value: one line that says what is kept"

with "help" "$work/prog"
grep -q "^mmap_threshold  *131072  default  *[a-z]" "$work/err" && [ "$(lines)" -gt 8 ]
result $? "help prints the table of tunables"

with "stats=exit" bash -c ': ; exit 3'
[ $? -eq 3 ] && grep -q "^stele: pid [0-9]* served [0-9]* allocations" "$work/err"
result $? "stats=exit prints a summary and keeps the exit status"

with "stats=exit" bash -c 'exec 2>&-; :'
grep -q "^stele: pid" "$work/err"
result $? "the summary goes to the first stderr, also when the program closes it"

with "skip=other:prog" "$work/prog"
[ "$(cat "$work/out")" != "5120 0" ] && [ "$(lines)" -eq 0 ]
result $? "skip: the named program keeps libc's malloc"

with "skip=pro:progr:xprog" "$work/prog"
[ "$(cat "$work/out")" = "5120 0" ]
result $? "skip: only whole names count"

cat >"$work/failing.c" <<'C'
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
	static void *volatile p[10];
	int small = 0, large = 0;

	for (int i = 0; i < 10; i++)
		small += !(p[i] = malloc(100));
	for (int i = 0; i < 10; i++)
		large += !(p[i] = malloc(10 << 20));
	printf("%d %d\n", small, large);
	return 0;
}
C
"${CC:-cc}" -fno-builtin -o "$work/failing" "$work/failing.c" || exit 1
with "failslab=1:100:0:3:malloc" "$work/failing"
[ "$(cat "$work/out")" = "3 0" ] && [ "$(lines)" -eq 0 ]
result $? "failslab: three requests fail on purpose, and no more"
with "failslab=1:100:0:3:malloc,percpu=locked" "$work/failing"
[ "$(cat "$work/out")" = "3 0" ] && [ "$(lines)" -eq 0 ]
result $? "failslab: with locked slots too"

with "fail_page_alloc=1:100:1048576:-1" "$work/failing"
[ "$(cat "$work/out")" = "0 10" ] && [ "$(lines)" -eq 0 ]
result $? "fail_page_alloc: what needs fresh pages fails"

if "${CC:-cc}" -fno-builtin -fsanitize=thread -o "$work/tsan" "$work/prog.c" 2>/dev/null &&
	"$work/tsan" >/dev/null 2>&1; then
	with "" "$work/tsan"
	[ "$(lines)" -eq 1 ] && grep -q "built with a sanitizer" "$work/err"
	result $? "a program with a sanitizer: one line, and it runs"
else
	result 0 "a program with a sanitizer # SKIP the compiler has none"
fi
