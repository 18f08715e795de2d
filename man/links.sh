#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: man/links.sh PAGE...
#
# A page has one file and may have many names: prints "FILE LINK" for each name in the section NAME
# that is not the file's own.
for page; do
	file=${page##*/}
	section=${file##*.}
	awk '$1 == ".Sh" { inside = $2 == "NAME" } inside && $1 == ".Nm" { print $2 }' "$page" |
		while read -r name; do
			[ "$name.$section" = "$file" ] || echo "$file $name.$section"
		done
done
