#!/bin/bash
# SPDX-License-Identifier: MIT
#
# find, grep, sed, awk, diff and xargs: regular expressions and long lines.
# needs: find grep sed gawk diff xargs

gawk 'BEGIN {
	srand(4711)
	for (i = 1; i <= 60000; i++) {
		line = i ":"
		for (n = int(rand() * 12); n >= 0; n--)
			line = line " " substr("alphabetagammadeltaepsilon", 1 + int(rand() * 20), 6)
		print line
	}
}' >text
sha256sum <text

grep -c 'alpha.*beta\|gamma$' text
grep -E -o '(([a-z])[a-z]\2)' text | sort | uniq -c | sort -rn | sed -n 1,5p
grep -c -P '(?<=ma)de(?=lt)' text
grep -n -F -f <(printf 'tagamm\nepsilo\nmadelt\n') text | tail -n 2
grep -v -i -w -c ALPHAB text
head -c 300000 text | tr '\n' ' ' >one-line
grep -c -E '(ab.*){20}' one-line

sed -E 's/([a-z]+) ([a-z]+)/\2 \1/g; y/abc/ABC/; /^[0-9]*7:/d' text | sha256sum
sed -n '/^100:/,/^110:/{s/ /\n/g;p}' text | sort | uniq -d
sed ':again; N; $!b again; s/\n/|/g' <(head -n 3000 text) | wc -c

gawk '{ for (i = 2; i <= NF; i++) seen[$i]++; total += NF }
	END {
		n = asorti(seen, order)
		print n, total
		for (i = 1; i <= n; i += 5)
			printf "%s=%d ", order[i], seen[order[i]]
		print ""
	}' text
gawk '{ s = s $2; if (length(s) > 100000) s = substr(s, 50000); gsub(/ab/, "ba", $0) }
	END { print length(s), gensub(/(a)(l)/, "\\2\\1", "g", substr(s, 1, 60)) }' text
gawk -v RS=' ' '{ a[NR % 1000] = a[NR % 1000] $0 } END { print length(a), length(a[17]) }' text

mkdir tree
for i in $(seq 1 40); do
	mkdir -p "tree/$((i % 5))/$i"
	for j in $(seq 1 20); do
		echo "$i $j" >"tree/$((i % 5))/$i/$j.txt"
	done
done
find tree -type f -name '1*.txt' | sort | sha256sum
find tree -type f -exec cat {} + | sort -n -k1,1 -k2,2 | sha256sum
find tree -type f -print0 | sort -z | xargs -0 -n 50 -P 2 cat | sort | sha256sum
find tree -type d -path '*/3/*' -printf '%P %y\n' | sort | sed -n 1,4p
grep -r -l -E '^3[0-9] 7$' tree | sort | tail -n 2

sed 's/gamma/GAMMA/' text >changed
diff text changed | wc || test "${PIPESTATUS[0]}" -eq 1
diff -u text changed >text.diff || test $? -eq 1
tail -n +3 text.diff | sha256sum
