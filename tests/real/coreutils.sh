#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The small tools, on files large enough that they have to grow and to spill.
# needs: sort shuf split sha256sum

seq 1 150000 | awk '{ print ($1 * 7919) % 100003, "name" $1 % 977, $1 }' >data
seq 1 400000 >entropy

sort -n -k1,1 -k3,3 data | sha256sum
sort -S 1M --parallel=2 -T . -k2,2 -k1,1n data >by-name
sha256sum <by-name
sort -S 64M --parallel=2 -k2,2 -k1,1n data | cmp - by-name
sort -c -k2,2 -k1,1n by-name
head -n 50000 by-name >half
sort -m -k2,2 -k1,1n half by-name | wc
cut -d' ' -f2 by-name | uniq -c | sort -rn -k1,1 -k2,2 | sed -n 1,3p

sort -k1,1 -u data >left
tail -n 40000 data | sort -k1,1 -u >right
join -j 1 left right | sha256sum
comm -12 <(cut -d' ' -f1 left) <(cut -d' ' -f1 right) | wc -l
paste left right | tr 'a-z ' 'A-Z_' | tail -n 1

shuf --random-source=entropy data | sha256sum
shuf --random-source=entropy -n 3 data
tac data | md5sum
od -An -tx1 -w16 data | tail -n 2
base64 -w 60 data | base64 -d | cmp - data
fold -w 33 data | nl | expand | tail -n 1
numfmt --to=iec 123456789 1048576
factor 1234567891011121314 18446744073709551557 170141183460469231731687303715884105727
pr -2 -l 60 -h title -D date data | tail -n +4 | sha256sum
tsort <<<"a b b c c d a d d e"
expr "$(head -c 40000 data)" : ".*name5 .*"

mkdir tree
for i in $(seq 1 20); do
	mkdir -p "tree/$i/sub"
	for j in $(seq 1 25); do
		: >"tree/$i/sub/file$j"
	done
	split -l 100 -d -a 3 --additional-suffix=.part <(head -n 1000 data) "tree/$i/"
done
cp -r tree copy
# shellcheck disable=SC2012  # ls is what is tested
ls -lR --time-style=+T --size copy | sed 's/^total .*/total/' | sha256sum
diff -r tree copy
du -a --apparent-size copy | wc -l
cat copy/7/*.part | sha256sum
ln -s tree link
stat -c '%F %s' link copy/3/005.part
mv copy moved
rm -r moved
dd if=data bs=7777 2>dd.err | cksum
split -n l/5 data chunk.
cat chunk.* | sha1sum
csplit -s -f piece. data 100 1000 '/name5 /' '{20}'
cat piece.* | cmp - data
echo "pieces: $(find . -name 'piece.*' | wc -l)"
