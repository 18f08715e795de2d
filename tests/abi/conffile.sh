#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A library that was configured --with-conf-file, as it differs from the one that was built here by
# one object: it reads the file before the environment, in secure mode too. Prints TAP.

# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"

echo "1..4"
objects=$(MAKEFLAGS='' make -s -C "$build" print-objects | grep -v -e '-init\.lo$' |
	sed "s|\(.*\)/\(.*\)\.lo$|$build/\1/.libs/\2.o|")
core=$build/lib/.libs/libstelecore.a last=$build/lib/.libs/libstelelast.a
sed "s|^#define CONF_FILE .*|#define CONF_FILE \"$work/stele.conf\"|" "$build/config.h" >"$work/config.h"
# shellcheck disable=SC2086 # a list of words
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 -fPIC -fvisibility=hidden -ftls-model=initial-exec \
	-fno-strict-aliasing -fno-builtin-malloc -I"$work" -I"$top/lib" -I"$top/include" \
	-shared -o "$work/libconf.so" -Wl,-Bsymbolic -Wl,-z,initfirst \
	"$top/lib/life/init.c" $objects -Wl,--whole-archive "$core" "$last" -Wl,--no-whole-archive \
	2>"$work/err"
result $? "the library links with a file's name in it"

printf '# a comment\ntop_pad=4096\nmmap_max=5,perturb=1\n' >"$work/stele.conf"
MALLOC_MMAP_MAX_=6 STELE_CONF=confirm LD_PRELOAD=$work/libconf.so /bin/true 2>"$work/err"
grep -q '^stele: top_pad=4096 (file)$' "$work/err" &&
	grep -q '^stele: perturb=1 (file)$' "$work/err" &&
	grep -q '^stele: mmap_max=6 (environment)$' "$work/err"
result $? "the file is read, and the environment wins"

rm "$work/stele.conf"
STELE_CONF=confirm LD_PRELOAD=$work/libconf.so /bin/true 2>"$work/err"
grep -q '^stele: top_pad=131072 (default)$' "$work/err"
result $? "no file, no word"

# Secure mode: a copy that is set-group-ID of somebody else, linked to the library.
cat >"$work/prog.c" <<'C'
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
printf 'mmap_max=5\n' >"$work/stele.conf"
chmod 755 "$work"
"${CC:-cc}" -fno-builtin -o "$work/prog" "$work/prog.c" "$work/libconf.so" 2>"$work/err" &&
	chgrp 65534 "$work/prog" 2>/dev/null && chmod 2755 "$work/prog" 2>/dev/null &&
	STELE_CONF=mmap_max=3,confirm "$work/prog" 2>>"$work/err"
status=$?
if [ "$status" = 77 ]; then
	result 0 "secure mode # SKIP no set-group-ID program can be made here"
else
	[ "$status" = 0 ] && ! grep -q confirm "$work/err" && ! grep -q 'stele:' "$work/err"
	result $? "in secure mode the file is read, and the environment is not"
fi
