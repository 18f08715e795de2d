#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tar with its compressors as children, and gzip alone.
# needs: tar gzip bzip2

mkdir -p tree
for i in $(seq 1 20); do
	long=tree/dir$i/a-rather-long-name-of-a-directory-that-needs-an-extended-header-$i
	mkdir -p "$long"
	for j in $(seq 1 20); do
		seq "$i" "$((i * j * 5))" >"tree/dir$i/file$j"
		ln -s "../dir$i/file$j" "tree/dir$i/link$j"
		ln "tree/dir$i/file$j" "$long/hard-link-with-a-name-beyond-a-hundred-$j"
	done
done
truncate -s 3M tree/sparse
options=(--sort=name --mtime=@1600000000 --owner=0 --group=0 --numeric-owner)

tar "${options[@]}" -c -f plain.tar tree
sha256sum <plain.tar
tar "${options[@]}" -c -z -f tree.tar.gz tree
gzip -d -c tree.tar.gz | cmp - plain.tar
tar "${options[@]}" -c -j -S -f sparse.tar.bz2 tree
tar "${options[@]}" --format=pax --pax-option=delete=atime,delete=ctime -c tree | sha256sum
tar -t -z -f tree.tar.gz | wc -l
mkdir out sparse
tar -x -z -C out -f tree.tar.gz
diff -r tree out/tree
tar -x -j -C sparse -f sparse.tar.bz2
diff -r tree sparse/tree
tar -c -f own.tar tree
tar -d -f own.tar
tar --delete -f plain.tar tree/dir7
tar -t -f plain.tar --wildcards 'tree/*/file20' | tail -n 2

for level in 1 9; do
	gzip -n "-$level" -c plain.tar | sha256sum
done
find tree -name 'file*' -print0 | sort -z | xargs -0 cat | gzip -n | zcat | md5sum
gzip -n out/tree/sparse
gzip -l out/tree/sparse.gz | tail -n 1
