#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What STELE_CONF does to a program, seen from outside: warnings, help, summary, names to skip, and
# the one line for programs that are built with a sanitizer. Prints TAP.

lib=${STELE_LIB:?}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
number=0

result() {
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		sed 's/^/# /' "$dir/out" "$dir/err" 2>/dev/null
	fi
}

# with CONF PROGRAM...: its output and what it says on stderr
with() {
	conf=$1
	shift
	env STELE_CONF="$conf" LD_PRELOAD="$lib" "$@" >"$dir/out" 2>"$dir/err"
}

lines() {
	grep -c . "$dir/err"
}

echo "1..11"
cat >"$dir/prog.c" <<'C'
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
"${CC:-cc}" -fno-builtin -o "$dir/prog" "$dir/prog.c" || exit 1

with "" "$dir/prog"
[ "$(cat "$dir/out")" = "5120 0" ] && [ "$(lines)" -eq 0 ]
result $? "a program is served, and nothing is said"

with "nosuchname=1" "$dir/prog"
[ "$(lines)" -eq 1 ] && grep -q "^stele: STELE_CONF: unknown name 'nosuchname' ignored$" "$dir/err"
result $? "an unknown name: one line, and the program runs on"

with "mmap_threshold=12z,percpu=locked" "$dir/prog"
[ "$(lines)" -eq 1 ] && grep -q "^stele: mmap_threshold: bad value '12z', keeping 131072$" "$dir/err"
result $? "a malformed value: one line that says what is kept"

with "help" "$dir/prog"
grep -q "^mmap_threshold  *131072  default  *[a-z]" "$dir/err" && [ "$(lines)" -gt 8 ]
result $? "help prints the table of tunables"

with "stats=exit" bash -c ': ; exit 3'
[ $? -eq 3 ] && grep -q "^stele: pid [0-9]* served [0-9]* allocations" "$dir/err"
result $? "stats=exit prints a summary and keeps the exit status"

with "stats=exit" bash -c 'exec 2>&-; :'
grep -q "^stele: pid" "$dir/err"
result $? "the summary goes to the first stderr, also when the program closes it"

with "skip=other:prog" "$dir/prog"
[ "$(cat "$dir/out")" != "5120 0" ] && [ "$(lines)" -eq 0 ]
result $? "skip: the named program keeps libc's malloc"

with "skip=pro:progr:xprog" "$dir/prog"
[ "$(cat "$dir/out")" = "5120 0" ]
result $? "skip: only whole names count"

cat >"$dir/failing.c" <<'C'
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
"${CC:-cc}" -fno-builtin -o "$dir/failing" "$dir/failing.c" || exit 1
with "failslab=1:100:0:3:malloc" "$dir/failing"
[ "$(cat "$dir/out")" = "3 0" ] && [ "$(lines)" -eq 0 ]
result $? "failslab: three requests fail on purpose, and no more"

with "fail_page_alloc=1:100:1048576:-1" "$dir/failing"
[ "$(cat "$dir/out")" = "0 10" ] && [ "$(lines)" -eq 0 ]
result $? "fail_page_alloc: what needs fresh pages fails"

if "${CC:-cc}" -fno-builtin -fsanitize=thread -o "$dir/tsan" "$dir/prog.c" 2>/dev/null &&
	"$dir/tsan" >/dev/null 2>&1; then
	with "" "$dir/tsan"
	[ "$(lines)" -eq 1 ] && grep -q "built with a sanitizer" "$dir/err"
	result $? "a program with a sanitizer: one line, and it runs"
else
	number=$((number + 1))
	echo "ok $number - a program with a sanitizer # SKIP the compiler has none"
fi
