#!/bin/bash
# SPDX-License-Identifier: MIT
#
# clang: one process with LLVM inside, and code that must come out the same.
# needs: clang objdump gawk
# timeout: 120

gawk 'BEGIN {
	print "#include <stdio.h>\n#include <stdlib.h>"
	for (f = 0; f < 120; f++) {
		print "struct s" f " { int v[" f % 7 + 1 "]; double d; struct s" f " *next; };"
		print "double g" f "(int n)\n{\n\tstruct s" f " *head = NULL, *p;\n\tdouble sum = 0;"
		print "\tfor (int i = 0; i < n; i++) {\n\t\tp = malloc(sizeof(*p));"
		print "\t\tfor (int j = 0; j < " f % 7 + 1 "; j++)\n\t\t\tp->v[j] = i * j + " f ";"
		print "\t\tp->d = i * 0.5;\n\t\tp->next = head;\n\t\thead = p;\n\t}"
		print "\twhile ((p = head)) {\n\t\tsum += p->d + p->v[" f % 7 "];"
		print "\t\thead = p->next;\n\t\tfree(p);\n\t}\n\treturn sum;\n}"
	}
	print "int main(void)\n{\n\tdouble sum = 0;"
	for (f = 0; f < 120; f++)
		print "\tsum += g" f "(" f * 10 ");"
	print "\tprintf(\"%.1f\\n\", sum);\n\treturn 0;\n}"
}' >lists.c

cat >table.cc <<'END'
#include <iostream>
#include <map>
#include <string>
#include <unordered_map>

int main()
{
	std::unordered_map<std::string, std::map<int, std::string>> table;
	for (int i = 0; i < 50000; i++)
		table["k" + std::to_string(i % 777)][i % 31] += char('a' + i % 26);
	size_t sum = 0;
	for (const auto &row : table)
		for (const auto &cell : row.second)
			sum += cell.second.size() * cell.first;
	std::cout << table.size() << ' ' << sum << '\n';
}
END

for level in -O0 -O2; do
	clang -g "$level" -c lists.c -o lists.o
	objdump -d lists.o | sha256sum
	clang lists.o -o lists
	./lists
done
clang -O1 -S -emit-llvm lists.c -o - | sha256sum
clang++ -std=c++17 -O1 table.cc -o table
./table
clang -fsyntax-only -Xclang -ast-dump lists.c | wc -l
