#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The manual pages: read by mandoc's own critic and a spelling checker, and held against what they
# describe: every public function has its prototype in one of them; stele.conf(5) has all tunables of
# tune.def and no others; the tests that it and README.md name are there.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"

man=$top/man

if ! command -v mandoc >/dev/null; then
	echo "1..0 # SKIP mandoc is not installed"
	exit 0
fi

# Prototypes as NAME(ARGUMENTS), without comments and attributes. Names of types are no functions.
declared()
{
	# shellcheck disable=SC2020 # each of three characters becomes the end of a line
	cat "$@" | tr '\n\t' '  ' | sed 's|\*/|\n|g' | sed 's|/\*.*||' | tr '\n' ' ' |
		tr ';{}' '\n\n\n' | sed 's/__attribute__ *((.*//; s/  */ /g' |
		grep -v '^ *typedef' |
		sed -n 's/.*[ *]\(stele_[a-z0-9_]*\) *(\([^*].*\)) *$/\1(\2)/p' | sort -u
}

# The same from the synopses of pages.
documented()
{
	awk '
	function arguments(line,    args, arg) {
		args = ""
		while (match(line, /"[^"]*"|[^ ]+/)) {
			arg = substr(line, RSTART, RLENGTH)
			line = substr(line, RSTART + RLENGTH)
			gsub(/"/, "", arg)
			args = args (args == "" ? "" : ", ") arg
		}
		return args
	}
	$1 == ".Sh" { inside = $2 == "SYNOPSIS" }
	!inside { next }
	$1 == ".Fn" { name = $2; sub(/^\.Fn [^ ]* */, ""); print name "(" arguments($0) ")" }
	$1 == ".Fo" { name = $2; args = "" }
	$1 == ".Fa" { sub(/^\.Fa */, ""); args = args (args == "" ? "" : ", ") arguments($0) }
	$1 == ".Fc" { print name "(" args ")" }
	' "$@" | grep '^stele_' | sort -u
}

# The words of a page that are text: no names of functions, constants, files and options.
words()
{
	mandoc -T ascii -O width=1000 "$1" 2>/dev/null | sed 's/.\x08//g' |
		sed -E '/^(SYNOPSIS|EXAMPLES)/,/^[A-Z]/{/^ /d}' |
		sed -E 's/[A-Za-z0-9_.]*[_(*=\/0-9][^ ]*//g; s/-l?stele//g' |
		grep -o "[A-Za-z][a-z']*" | sed "s/'s\$//"
}

set -- "$man"/*.[1-8]
for page; do
	mandoc -T lint -W warning "$page" >"$work/out" 2>&1
	grep -v 'mandoc.db' "$work/out" >"$work/lint"
	mv "$work/lint" "$work/out"
	empty "${page##*/}: mandoc has no complaint"
done

if command -v aspell >/dev/null && aspell dump dicts | grep '^en' >/dev/null; then
	for page; do
		words "$page" | aspell list --lang=en_GB --ignore=2 | sort -u |
			grep -vxFf "$man/words" >"$work/out"
		empty "${page##*/}: the spelling"
	done
else
	result 0 "the spelling # SKIP aspell is not installed"
fi

# shellcheck disable=SC2046 # a list of files
declared $(find "$top/include" -name '*.h' ! -name 'kernel*.h') >"$work/declared"
[ -s "$work/declared" ] || echo "no functions in $top/include" >>"$work/declared"
documented "$man"/*.3 >"$work/documented"
comm -23 "$work/declared" "$work/documented" >"$work/out"
empty "every declared function is in a synopsis, as declared"
comm -13 "$work/declared" "$work/documented" >"$work/out"
empty "every function in a synopsis is declared so"

if [ -r "${STELE_LIB:-}" ]; then
	nm -D --defined-only "$STELE_LIB" | sed -n 's/.* T \(stele_[a-z0-9_]*\)$/\1/p' | sort >"$work/exported"
	sed 's/(.*//' "$work/declared" | comm -23 "$work/exported" - >"$work/out"
	empty "every exported function is declared"
fi

# Names in the section NAME are what the page is found under.
{
	"$man/links.sh" "$man"/*.3 | sed 's/.* //; s/\.3$//'
	for page in "$man"/*.3; do
		page=${page##*/}
		echo "${page%.3}"
	done
} | sort >"$work/names"
uniq -d "$work/names" >"$work/out"
sed 's/(.*//' "$work/documented" | comm -23 - "$work/names" >>"$work/out"
empty "every function is in one section NAME"

# stele.conf(5): ".It Cm name Ns = ..." and ".It Cm name , name", up to the comparison.
conf=$man/stele.conf.5
sed -n 's/^TUNE(\([a-z_0-9]*\),.*/\1/p' "$top/lib/tune/tune.def" | sort >"$work/tunables"
sed '/^\.Sh OTHER ALLOCATORS/,$d' "$conf" | sed -n 's/^\.It Cm //p' | sed 's/ Ns = .*//' |
	tr -d ' ' | tr , '\n' | grep -vx -e help -e confirm | sort >"$work/described"
diff "$work/tunables" "$work/described" >"$work/out"
empty "stele.conf(5) describes each tunable once"

sed -n '/^\.TS/,/^\.TE/p' "$conf" | grep -P '\t.*\t.*\t.*\t.*\t' | grep -v '^name' >"$work/table"
cut -f 1 "$work/table" | sort | diff "$work/tunables" - >"$work/out"
empty "stele.conf(5) compares each tunable once"

{
	cut -f 6 "$work/table" | sed 's|^|tests/|'
	grep -o 'tests/[a-z]*/[a-z_]*\.\(c\|sh\)' "$top/README.md"
} | sort -u | while read -r test; do
	[ -f "$top/$test" ] || echo "no $test"
done >"$work/out"
empty "the tests that the pages name are there"
echo "1..$number"
