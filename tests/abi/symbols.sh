#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What libstele.so shows to the dynamic linker, read from the file itself.
# usage: STELE_LIB=.../libstele.so tests/abi/symbols.sh
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"

: "${STELE_LIB:?must name libstele.so}"
[ -r "$STELE_LIB" ] || bail_out "cannot read $STELE_LIB"
nm -D --defined-only "$STELE_LIB" >"$work/nm" || bail_out "nm cannot read $STELE_LIB"
nm -D --undefined-only "$STELE_LIB" >"$work/needs" || bail_out "nm cannot read $STELE_LIB"
readelf -dW "$STELE_LIB" >"$work/dynamic" || bail_out "readelf cannot read $STELE_LIB"
readelf -lW "$STELE_LIB" >"$work/segments" || bail_out "readelf cannot read $STELE_LIB"
readelf -VW "$STELE_LIB" >"$work/versions" || bail_out "readelf cannot read $STELE_LIB"

echo 1..13

# nm prints NAME, NAME@VERSION or NAME@@VERSION.
awk '{ sub(/@.*/, "", $NF); print $NF }' "$work/nm" | sort >"$work/all"
grep -v '^stele_' "$work/all" >"$work/exported"
sed 's/#.*//; s/[[:space:]]*$//; /^$/d' "$top/tests/abi/symbols.txt" | sort >"$work/documented"

comm -23 "$work/documented" "$work/exported" >"$work/out"
empty "every documented symbol is exported"
comm -13 "$work/documented" "$work/exported" >"$work/out"
empty "nothing else is exported but stele_*"
echo stele_version | comm -23 - "$work/all" >"$work/out"
empty "stele_version is exported"
uniq -d "$work/all" >"$work/out"
empty "no name is exported twice"

# A version on malloc would silently disable LD_PRELOAD.
grep 'Version definition section' "$work/versions" >"$work/out"
empty "no symbol versions are defined"

awk '$1 == "U" && $2 !~ /@GLIBC_/ { print $2 }' "$work/needs" >"$work/out"
empty "strong references go to glibc only"
sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$work/dynamic" |
	grep -Ev '^(libc\.so\.6|ld-linux.*\.so\.[0-9]+)$' >"$work/out"
empty "only libc and the dynamic linker are needed"

# The space for late libraries' thread-local variables is scarce: 64 bytes, found without a call.
awk '$1 == "TLS" && $6 !~ /^0x0*[0-3]?[0-9a-f]$/ && $6 !~ /^0x0*40$/ {
	print "TLS segment of " $6 " bytes" }' "$work/segments" >"$work/out"
empty "at most 64 bytes of thread-local storage"
grep '__tls_get_addr' "$work/needs" >"$work/out"
empty "thread-local storage is initial-exec"

grep 'FLAGS_1.*NODELETE' "$work/dynamic" >/dev/null || echo "no NODELETE in FLAGS_1" >"$work/out"
empty "the library is never unloaded"
{
	grep -E '\(TEXTREL\)|TEXTREL$' "$work/dynamic"
	grep -E 'GNU_STACK.*E ' "$work/segments"
} >"$work/out"
empty "no text relocations, no executable stack"

# Each is looked up at every start of every program; what few call is LIBC()'s (os/libc.h).
awk 'END { if (NR > 18) print NR " names are looked up at each start" }' "$work/needs" >"$work/out"
grep '(SYMBOLIC)' "$work/dynamic" >>"$work/out"
empty "at most 18 names are looked up, and in three libraries rather than four"

# ld.so clears the rest of the last page of the file, and so has a copy of it before .dynamic.
# shellcheck disable=SC2046 # addresses
set -- $(awk '$1 == "LOAD" { at = $3; size = $5; page = $NF } $1 == "DYNAMIC" { d = $3 }
	END { print at, size, d, page }' "$work/segments")
end=$(($1 + $2)) page=$(($4))
if [ "$(grep -c 'LOAD.* R E ' "$work/segments")" -ne 2 ]; then
	result 0 ".dynamic lies in a page that is cleared # SKIP the linker has no use for libstele.lds"
else
	[ $((end % page)) -ne 0 ] && [ $((end / page)) -eq $(($3 / page)) ]
	result $? ".dynamic lies in a page that is cleared"
fi
