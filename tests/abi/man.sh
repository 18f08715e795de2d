#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The manual pages, read by mandoc's own critic; stele.conf(5) has all tunables of tune.def and no
# others; the tests that it and README.md name are there.
set -u
here=$(cd "$(dirname "$0")" && pwd)
top=${abs_top_srcdir:-$here/../..}
man=$top/man
conf=$man/stele.conf.5
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

set -- "$man"/*.[1-8]
echo "1..$(($# + 3))"
count=0

# result STATUS LABEL [FILE of complaints]
result() {
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
	else
		[ $# -gt 2 ] && sed 's/^/# /' "$3"
		echo "not ok $count - $2"
	fi
}

for page in "$@"; do
	if ! command -v mandoc >/dev/null; then
		count=$((count + 1))
		echo "ok $count - ${page##*/} # SKIP mandoc is not installed"
		continue
	fi
	mandoc -T lint -W warning "$page" >"$dir/lint" 2>&1
	result $? "${page##*/}" "$dir/lint"
done

sed -n 's/^TUNE(\([a-z_]*\),.*/\1/p' "$top/lib/tune/tune.def" | sort >"$dir/names"

# ".It Cm name Ns = ..." and ".It Cm name , name": up to the comparison.
sed '/^\.Sh OTHER ALLOCATORS/,$d' "$conf" | sed -n 's/^\.It Cm //p' | sed 's/ Ns = .*//' |
	tr -d ' ' | tr , '\n' | grep -vx -e help -e confirm | sort >"$dir/described"
diff "$dir/names" "$dir/described" >"$dir/diff"
result $? "stele.conf(5) describes each tunable once" "$dir/diff"

sed -n '/^\.TS/,/^\.TE/p' "$conf" | grep -P '\t.*\t.*\t.*\t.*\t' | grep -v '^name' >"$dir/table"
cut -f 1 "$dir/table" | sort >"$dir/compared"
diff "$dir/names" "$dir/compared" >"$dir/diff"
result $? "stele.conf(5) compares each tunable once" "$dir/diff"

{
	cut -f 6 "$dir/table" | sed 's|^|tests/|'
	grep -o 'tests/[a-z]*/[a-z_]*\.\(c\|sh\)' "$top/README.md"
} | sort -u | while read -r test; do
	[ -f "$top/$test" ] || echo "no $test"
done >"$dir/missing"
[ ! -s "$dir/missing" ]
result $? "the tests that the pages name are there" "$dir/missing"
