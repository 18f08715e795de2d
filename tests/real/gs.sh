#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Ghostscript: a PostScript page with text, curves, gradients and a picture,
# drawn by several devices; its own allocator sits on chunks from malloc.
# needs: gs

cat >page.ps <<'END'
%!PS-Adobe-3.0
/Times-Roman findfont 11 scalefont setfont
/str 20 string def
0 1 59 {
	/row exch def
	0 1 9 {
		/col exch def
		col 58 mul 20 add row 13 mul 10 add moveto
		row col mul str cvs show
	} for
} for
0 3 359 {
	/angle exch def
	gsave
	300 400 translate angle rotate
	angle 360 div 0.8 0.9 sethsbcolor
	newpath 0 0 moveto 50 100 150 -40 250 angle 5 div curveto stroke
	grestore
} for
/star { gsave translate 0 setgray newpath 0 30 moveto
	4 { 144 rotate 0 30 lineto } repeat closepath eofill grestore } def
1 1 12 { dup 45 mul exch 20 mul 300 add star } for
<< /ShadingType 2 /ColorSpace /DeviceRGB /Coords [50 50 550 200]
   /Function << /FunctionType 2 /Domain [0 1] /C0 [1 0 0] /C1 [0 0 1] /N 1 >> >>
gsave 50 50 500 60 rectclip shfill grestore
gsave 200 600 translate 200 150 scale
/line 256 string def
256 256 8 [256 0 0 256 0 0]
{ 0 1 255 { line exch dup 7 mul 255 and put } for line } image
grestore
/words 2000 dict def
1 1 2000 { dup str cvs cvn exch words 3 1 roll put } for
words length =
showpage
END

for device in ppmraw pgmraw png16m; do
	gs -q -dSAFER -dBATCH -dNOPAUSE -sDEVICE=$device -r100 -sOutputFile=page.$device page.ps
	sha256sum <page.$device
done
gs -q -dSAFER -dBATCH -dNOPAUSE -sDEVICE=ppmraw -r150 -dTextAlphaBits=4 -dGraphicsAlphaBits=4 \
	-dMaxBitmap=100000 -dBufferSpace=1000000 -dNumRenderingThreads=2 -sOutputFile=banded.ppm page.ps
sha256sum <banded.ppm
gs -q -dSAFER -dBATCH -dNOPAUSE -sDEVICE=bbox page.ps 2>bbox
grep BoundingBox bbox
gs -q -dSAFER -dBATCH -dNOPAUSE -sDEVICE=pdfwrite -sOutputFile=page.pdf page.ps
gs -q -dSAFER -dBATCH -dNOPAUSE -sDEVICE=ppmraw -r60 -sOutputFile=again.ppm page.pdf
sha256sum <again.ppm
gs -q -dSAFER -dBATCH -dNOPAUSE -dNODISPLAY -c '
	0 1 200000 { 100 mod string pop 3 array pop } for 2 vmreclaim
	(collected) = quit'
