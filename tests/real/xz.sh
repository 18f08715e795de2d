#!/bin/bash
# SPDX-License-Identifier: MIT
#
# xz and zstd with two threads, there and back over 30 MB of text: few and
# large blocks, made and dropped by worker threads.
# needs: xz zstd gawk

gawk 'BEGIN {
	srand(4711)
	for (i = 0; i < 4000; i++)
		line[i] = sprintf("%d %x %.6f the quick brown fox %d\n", i, i * 7919, rand(), i % 17)
	for (size = 0; size < 30000000; size += length(l)) {
		l = line[int(rand() * 4000)]
		printf "%s", l
	}
}' >text
sha256sum <text

xz -T2 -0 --block-size=4MiB -k -c text >text.xz
sha256sum <text.xz
xz -T2 -d -c text.xz | cmp - text
xz --robot -l text.xz | grep '^totals'
head -c 3000000 text | xz -T1 -6 -c | xz -d -c | sha256sum
head -c 3000000 text | xz --format=lzma -2 -c | xz -d --format=lzma -c | wc -c

zstd -q -T2 -3 -k -c text >text.zst
sha256sum <text.zst
zstd -q -d -c text.zst | cmp - text
head -c 6000000 text | zstd -q -T2 -12 --long=24 -c | zstd -q -d --long=24 -c | sha256sum
mkdir parts
head -c 600000 text | split -b 3000 -a 3 - parts/
zstd -q --train parts/* -o dictionary --maxdict=20000
zstd -q -D dictionary -c parts/aab | zstd -q -d -D dictionary -c | cmp - parts/aab
sha256sum <dictionary
