#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A library that was configured --with-conf-file, as it differs from the one that was built here by
# one object: it reads the file before the environment, in secure mode too. Prints TAP.

build=${abs_top_builddir:?}
source=${abs_top_srcdir:?}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
number=0

result() {
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		sed 's/^/# /' "$dir/err"
	fi
}

echo "1..4"
objects=$(find "$build/lib" -path '*/.libs/libstele_la-*.o' ! -name '*-init.o')
core=$build/lib/.libs/libstelecore.a last=$build/lib/.libs/libstelelast.a
sed "s|^#define CONF_FILE .*|#define CONF_FILE \"$dir/stele.conf\"|" "$build/config.h" >"$dir/config.h"
# shellcheck disable=SC2086 # a list of words
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 -fPIC -fvisibility=hidden -ftls-model=initial-exec \
	-fno-strict-aliasing -fno-builtin-malloc -I"$dir" -I"$source/lib" -I"$source/include" \
	-shared -o "$dir/libconf.so" -Wl,-Bsymbolic -Wl,-z,initfirst \
	"$source/lib/life/init.c" $objects -Wl,--whole-archive "$core" "$last" -Wl,--no-whole-archive \
	2>"$dir/err"
result $? "the library links with a file's name in it"

printf '# a comment\ntop_pad=4096\nmmap_max=5,perturb=1\n' >"$dir/stele.conf"
MALLOC_MMAP_MAX_=6 STELE_CONF=confirm LD_PRELOAD=$dir/libconf.so /bin/true 2>"$dir/err"
grep -q '^stele: top_pad=4096 (file)$' "$dir/err" &&
	grep -q '^stele: perturb=1 (file)$' "$dir/err" &&
	grep -q '^stele: mmap_max=6 (environment)$' "$dir/err"
result $? "the file is read, and the environment wins"

rm "$dir/stele.conf"
STELE_CONF=confirm LD_PRELOAD=$dir/libconf.so /bin/true 2>"$dir/err"
grep -q '^stele: top_pad=131072 (default)$' "$dir/err"
result $? "no file, no word"

# Secure mode: a copy that is set-group-ID of somebody else, linked to the library.
cat >"$dir/prog.c" <<'C'
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
int main(void)
{
	size_t before = mallinfo2().hblks, i;

	if (!getauxval(AT_SECURE))
		return 77;
	for (i = 0; i < 10; i++)
		if (!malloc(8 << 20))
			return 2;
	return mallinfo2().hblks - before != 5;
}
C
printf 'mmap_max=5\n' >"$dir/stele.conf"
chmod 755 "$dir"
"${CC:-cc}" -fno-builtin -o "$dir/prog" "$dir/prog.c" "$dir/libconf.so" 2>"$dir/err" &&
	chgrp 65534 "$dir/prog" 2>/dev/null && chmod 2755 "$dir/prog" 2>/dev/null &&
	STELE_CONF=mmap_max=3,confirm "$dir/prog" 2>>"$dir/err"
status=$?
if [ "$status" = 77 ]; then
	number=$((number + 1))
	echo "ok $number - secure mode # SKIP no set-group-ID program can be made here"
else
	[ "$status" = 0 ] && ! grep -q confirm "$dir/err" && ! grep -q 'stele:' "$dir/err"
	result $? "in secure mode the file is read, and the environment is not"
fi
