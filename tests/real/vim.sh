#!/bin/bash
# SPDX-License-Identifier: MIT
#
# vim without a screen: 20000 lines, substitutions, undo and redo, registers,
# its script language.
# needs: vim

seq -f 'line %g of the file, with some words to change' 1 20000 >text
cp text original

cat >edit.vim <<'END'
set undolevels=1000
%s/words/longer words/g
%s/\v(\d+) of (\w+)/\2 \1/
g/00 /normal Afound
write first
undo
undo
undo
write undone
redo
redo
%d a
normal ggVGd
put a
1d
g/5 file/m0
100,300t$
sort n /the /
%s/e/\=submatch(0).line('.')/
write second
let table = {}
for i in range(1, 20000)
	let table['k' . (i * 7919 % 3001)] = repeat('v', i % 50)
endfor
let total = 0
for v in values(table)
	let total += len(v)
endfor
call writefile([string(len(table)), string(total), join(sort(keys(table))[0:3])], 'third')
enew!
put =map(range(1, 5000), 'v:val * v:val')
v/7/d
%join
write fourth
qall!
END

vim -es -u NONE -i NONE -n -S edit.vim text </dev/null
for file in first undone second third fourth; do
	echo "$file $(wc -lc <"$file") $(sha256sum <"$file")"
done
cmp undone original
# With a swap file, an undo file and syntax highlighting, as people have it.
vim -es -N -u NONE -i viminfo -c 'set undofile undodir=. directory=.' -c 'syntax on' \
	-c 'e +100 original' -c 'normal 50dd' -c 'wq' </dev/null
wc -l <original
vim -es -N -u NONE -i NONE -c 'set undofile undodir=. directory=.' -c 'e original' \
	-c 'undo' -c 'wq' </dev/null
cmp original text
