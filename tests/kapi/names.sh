#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The headers and the library say the same: every function that is declared is exported and the
# other way round; each header stands alone, in C and in C++, under all warnings; and a program
# that includes <stele.h> gets no name that is not its. Prints TAP.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"

include=$top/include
lib=${STELE_LIB:?}

headers=$(cd "$include" && ls stele.h stele/*.h)
: "${CC:=cc}" "${CXX:=c++}"

# What the preprocessor leaves of all headers but the inline one, in one line per declaration.
printf '#include <stele.h>\n' | $CC -E -P -I"$include" - | tr '\n' ' ' | tr ';{}' '\n' |
	grep -v typedef | grep -oE '\bstele_[a-z0-9_]+[ ]*\(' | tr -d ' (' | sort -u >"$work/declared"
nm -D --defined-only "$lib" | awk '{ print $NF }' | grep '^stele_' | sort -u >"$work/exported"

# Inline functions are declared and not exported.
grep -hoE '^static inline [a-z ]*stele_[a-z0-9_]+' "$include"/stele/*.h | grep -oE 'stele_[a-z0-9_]+$' |
	sort -u >"$work/inline"
comm -23 "$work/declared" "$work/exported" | comm -23 - "$work/inline" >"$work/out"
empty "every function of the headers is in the library"
comm -13 "$work/declared" "$work/exported" >"$work/out"
empty "every function of the library is in a header"

flags="-Wall -Wextra -Wundef -Wshadow -Werror -pedantic -Wno-variadic-macros"
for h in $headers; do
	: >"$work/out"
	printf '#include <%s>\nint x;\n' "$h" >"$work/t.c"
	cp "$work/t.c" "$work/t.cc"
	# shellcheck disable=SC2086 # a list of words
	$CC -std=c11 $flags -Wstrict-prototypes -Wmissing-prototypes -I"$include" \
		-c -o "$work/t.o" "$work/t.c" 2>>"$work/out"
	# shellcheck disable=SC2086
	$CXX -std=c++17 $flags -I"$include" -c -o "$work/t.o" "$work/t.cc" 2>>"$work/out"
	empty "$h stands alone, in C and in C++"
done

# A program with functions and macros of these names does not notice <stele.h>.
cat >"$work/t.c" <<'C'
#include <stele.h>
#define GFP_KERNEL "mine"
struct kmem_cache { int mine; };
struct shrinker { int mine; };
typedef int gfp_t;
static int kmalloc(gfp_t x) { return x; }
static int kfree(struct kmem_cache c, struct shrinker s) { return c.mine + s.mine; }
int main(void)
{
	struct kmem_cache c = { 1 };
	struct shrinker s = { 2 };
	return kmalloc(3) - kfree(c, s) + (GFP_KERNEL[0] != 'm');
}
C
: >"$work/out"
{ $CC -Wall -I"$include" -o "$work/t" "$work/t.c" "$lib" -Wl,-rpath,"$(dirname "$lib")" &&
	"$work/t" || echo "it does"; } 2>"$work/err" >"$work/out"
cat "$work/err" >>"$work/out"
empty "a program's own names do not clash with <stele.h>"
echo "1..$number"
