#!/bin/bash
# SPDX-License-Identifier: MIT
#
# libxml2's own tool: trees of 20000 nodes, XPath, schemas, streams, errors.
# needs: xmllint gawk

gawk 'BEGIN {
	print "<?xml version=\"1.0\"?>\n<!DOCTYPE list [\n<!ELEMENT list (item*)>"
	print "<!ELEMENT item (name, value*)>\n<!ATTLIST item id ID #REQUIRED class CDATA #IMPLIED>"
	print "<!ELEMENT name (#PCDATA)>\n<!ELEMENT value (#PCDATA)>\n<!ENTITY e \"entity text\">]>"
	print "<list>"
	for (i = 0; i < 6000; i++) {
		printf "<item id=\"i%d\" class=\"c%d\"><name>name %d &amp; &e;</name>", i, i % 17, i
		for (v = 0; v < i % 4; v++)
			printf "<value>%d</value>", i * v
		print "</item>"
	}
	print "</list>"
}' >list.xml
cat >list.rng <<'END'
<element name="list" xmlns="http://relaxng.org/ns/structure/1.0"
	datatypeLibrary="http://www.w3.org/2001/XMLSchema-datatypes">
	<zeroOrMore><element name="item">
		<attribute name="id"><data type="ID"/></attribute>
		<attribute name="class"><text/></attribute>
		<element name="name"><text/></element>
		<zeroOrMore><element name="value"><data type="integer"/></element></zeroOrMore>
	</element></zeroOrMore>
</element>
END

xmllint --noout --valid list.xml && echo valid
xmllint --format list.xml | sha256sum
xmllint --c14n list.xml | sha256sum
xmllint --noent --dropdtd list.xml | sha256sum
xmllint --xpath 'count(//item[value > 100 and @class = "c3"])' list.xml
xmllint --xpath 'string(//item[@id="i4711"]/name)' list.xml
xmllint --xpath 'sum(//value)' list.xml
xmllint --xpath '//item[position() mod 2000 = 3]/value' list.xml
xmllint --noout --stream list.xml && echo streamed
xmllint --noout --sax list.xml && echo sax
xmllint --noout --push list.xml && echo pushed
xmllint --noout --relaxng list.rng list.xml 2>relaxng.err
grep validates relaxng.err
printf '%s\n' 'cat //item[@id="i17"]' 'cd //item[5]' pwd 'du name' quit |
	xmllint --shell list.xml | sha256sum
xmllint --html --format - 2>html.err <<<'<p>one<p>two <b>bold<i>both</b> last<table><td>x' |
	sha256sum
head -c 100000 list.xml >broken.xml
if xmllint --noout broken.xml 2>broken.err; then
	echo "accepted"
else
	grep -c 'broken.xml:' broken.err
fi
xmllint --recover broken.xml 2>broken.err | sha256sum
