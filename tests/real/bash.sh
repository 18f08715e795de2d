#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The shell as a program: arrays, strings, here-documents, globs and many forks.
# needs: bash

shopt -s extglob nullglob globstar

arrays()
{
	local -A words=()
	local -a list=()
	local i key sum=0

	for ((i = 0; i < 20000; i++)); do
		key=k$((i * 7919 % 4096))
		words[$key]=${words[$key]:-}x
		list+=("$key")
	done
	for key in "${!words[@]}"; do
		sum=$((sum + ${#words[$key]}))
	done
	echo "arrays: ${#words[@]} keys, ${#list[@]} items, $sum letters"
	list=("${list[@]:5000:10000}")
	unset "list[17]"
	echo "slice: ${#list[@]} ${list[0]} ${list[-1]}"
	printf '%s\n' "${list[@]}" | sort | uniq -c | sort -rn -k1,1 -k2,2 | sed -n 1,3p
}

strings()
{
	local text="" i

	for ((i = 0; i < 300; i++)); do
		text+="line $i of a text that grows and is copied; "
	done
	echo "grown: ${#text}, ${#text} after: $(printf '%s' "${text//of a/no}" | wc -c)"
	[[ $text =~ line\ ([0-9]+)\ of.*line\ (29[0-9])\  ]]
	echo "match: ${BASH_REMATCH[1]} ${BASH_REMATCH[2]}"
	text=$(cat <<-END
		$(seq 1 2000 | tr '\n' ' ')
		nested: $(printf %s "$(printf "%s " "$(date -u -d @0 +%Y)")deep")
	END
	)
	echo "here-document: ${#text} ${text##*$'\n'}"
	cat <<<"${text:100:40}"
}

fibonacci()
{
	(($1 < 2)) && { echo "$1"; return; }
	echo $(($(fibonacci $(($1 - 1))) + $(fibonacci $(($1 - 2)))))
}

depth()
{
	local here=$1

	((here == 0)) || depth $((here - 1))
	((here != 700)) || echo "recursion came back from depth $here"
}

subshells()
{
	local i sum=0 pids=()

	for ((i = 0; i < 300; i++)); do
		sum=$((sum + $(printf %d $((i * i)))))
	done
	echo "subshells: $sum"
	for ((i = 0; i < 20; i++)); do
		(for ((j = 0; j < 200; j++)); do v[j]=$i; done; exit $((${#v[@]} * i % 3))) &
		pids+=($!)
	done
	sum=0
	for i in "${pids[@]}"; do
		wait "$i" || sum=$((sum + $?))
	done
	echo "background: $sum"
}

globs()
{
	local i files

	mkdir glob
	for ((i = 0; i < 2000; i++)); do
		: >"glob/file-$i.$((i % 7))"
	done
	files=(glob/*)
	echo "glob: ${#files[@]} ${files[0]} ${files[-1]}"
	files=(glob/file-*[02468].[1-3])
	echo "classes: ${#files[@]}"
	files=(**/!(*.0|*.1))
	echo "extended: ${#files[@]}"
}

arrays
strings
echo "fibonacci: $(fibonacci 9)"
depth 700
subshells
globs
seq 1 20000 | while read -r n; do ((n % 4000)) || echo "read $n"; done | tee copy | tail -n 2
coproc { while read -r line; do echo "co: $line"; done; }
echo hello >&"${COPROC[1]}"
read -r answer <&"${COPROC[0]}"
echo "$answer"
mapfile -t lines < <(seq 1 5000)
printf -v joined '%s,' "${lines[@]}"
echo "mapfile: ${#lines[@]} ${#joined}"
