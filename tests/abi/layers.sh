#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The layers of lib/: each directory may include itself and the ones below, and only lib/os enters
# the kernel. Also the size and the first line of every file.
# usage: tests/abi/layers.sh [LIB-DIRECTORY]
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
lib=${1:-${abs_top_srcdir:-$here/../..}/lib}
max_lines=520

# judge NUMBER NAME: ok if nothing comes on stdin; what comes is the reason if something does.
judge()
{
	reasons=$(cat)
	if [ -n "$reasons" ]; then
		printf '%s\n' "$reasons" | sed 's/^/# /'
		echo "not ok $1 - $2"
	else
		echo "ok $1 - $2"
	fi
}

cd "$lib" || exit 1
sources=$(find . -type f \( -name '*.[chS]' -o -name '*.def' \) | sed 's|^\./||' | sort)
if [ -z "$sources" ]; then
	echo "Bail out! no sources in $lib"
	exit 1
fi

echo 1..5

# What the awk programs below share: the ranks, and "code", the line without its comments.
# shellcheck disable=SC2016 # $0 is awk's
common='
function rank(dir) { return (dir in layer) ? layer[dir] : -1 }
function dir_of(path) { return index(path, "/") ? substr(path, 1, index(path, "/") - 1) : "." }
function bad(why) { print FILENAME ":" FNR ": " why }
BEGIN {
	n = split("base os tune page debug slab observe life shell", names, " ")
	for (i = 1; i <= n; i++)
		layer[names[i]] = i - 1
}
FNR == 1 { comment = 0; dir = dir_of(FILENAME); assembly = 0 }
{
	code = $0
	gsub(/\\"|\047"\047/, "", code)
	out = ""
	while (code != "") {
		if (comment) {
			end = index(code, "*/")
			if (!end)
				break
			code = substr(code, end + 2)
			comment = 0
		} else if (match(code, /"[^"]*"|\/\*|\/\//)) {
			token = substr(code, RSTART, RLENGTH)
			out = out substr(code, 1, RSTART - 1)
			code = substr(code, RSTART + RLENGTH)
			if (token == "//")
				break
			if (token == "/*")
				comment = 1
			else
				out = out token
		} else {
			out = out code
			break
		}
	}
	code = out
}
'

# shellcheck disable=SC2086 # a list of words
awk "$common"'
FNR == 1 && rank(dir) < 0 { bad("in no layer") }
' $sources | judge 1 "every file is in a layer"

# shellcheck disable=SC2086
awk "$common"'
code ~ /^[ \t]*#[ \t]*include[ \t]*"/ {
	split(code, part, "\"")
	to = index(part[2], "/") ? dir_of(part[2]) : dir
	if (part[2] == "config.h" || part[2] == "stele.h" || part[2] ~ /^stele\//)
		next
	if (rank(to) < 0)
		bad("\"" part[2] "\" is not of lib/")
	else if (rank(to) > rank(dir))
		bad("\"" part[2] "\" is of a higher layer")
}
' $sources | judge 2 "includes go to the own or a lower layer"

# Names of system calls are looked for outside strings, instructions inside them (inline assembly).
# shellcheck disable=SC2086
awk "$common"'
dir == "os" { next }
code ~ /(^|[^A-Za-z0-9_])(asm|__asm__|__asm)([^A-Za-z0-9_]|$)/ || FILENAME ~ /\.S$/ { assembly = 1 }
assembly && code ~ /(^|[^A-Za-z0-9_])(syscall|sysenter|svc|int[ \t]+\$0x80)([^A-Za-z0-9_(]|$)/ {
	bad("enters the kernel")
}
{
	gsub(/"[^"]*"/, "", code)
	calls = "syscall|mmap|mmap64|munmap|mremap|mprotect|madvise|process_madvise|mlock|munlock|" \
		"sbrk|brk|write|writev|read|open|openat|close|fork|prctl|membarrier|futex|kill|tgkill"
	if (match(code, "(^|[^A-Za-z0-9_.>])(" calls ")[ \t]*\\("))
		bad("system call outside os/: " substr(code, RSTART, RLENGTH))
}
' $sources | judge 3 "only os/ enters the kernel"

# shellcheck disable=SC2086
awk -v max="$max_lines" '
{ lines[FILENAME]++ }
END {
	for (file in lines)
		if (lines[file] > max)
			print file ": " lines[file] " lines"
}' $sources | judge 4 "no file is longer than $max_lines lines"

# shellcheck disable=SC2086
awk '
FNR == 1 && $0 !~ /^(\/\*|\/\/|#) SPDX-License-Identifier: MIT( \*\/)?$/ { print FILENAME }
' $sources | judge 5 "every file begins with its licence"
