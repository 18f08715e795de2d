#!/bin/bash
# SPDX-License-Identifier: MIT
#
# gcc and g++: driver, cc1, cc1plus, lto1, as, collect2, ld. The code that they
# make must be the same, and so must what it does.
# needs: gcc g++ objdump gawk
# timeout: 120

# A C file of many functions: the optimiser works on graphs of small nodes.
gawk 'BEGIN {
	print "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>"
	for (f = 0; f < 60; f++) {
		print "unsigned f" f "(unsigned x, const unsigned char *p, unsigned n)\n{"
		print "\tunsigned i, a[16] = { x, " f " };"
		print "\tfor (i = 0; i < n; i++) {\n\t\tswitch ((p[i] + x) % 6) {"
		for (c = 0; c < 6; c++)
			print "\t\tcase " c ": a[(i + " c ") & 15] += x * " f * c + 1 " ^ p[i]; break;"
		print "\t\t}\n\t}\n\tfor (i = 1; i < 16; i++)\n\t\ta[0] = a[0] * 31 + a[i];"
		print "\treturn a[0]" (f ? " + f" f - 1 "(x + 1, p, n / 2)" : "") ";\n}"
	}
	print "int main(void)\n{\n\tunsigned char *p = malloc(5000);\n\tunsigned i, s = 0;"
	print "\tmemset(p, 7, 5000);\n\tfor (i = 0; i < 20; i++)\n\t\ts += f59(i, p, 5000);"
	print "\tprintf(\"%u\\n\", s);\n\tfree(p);\n\treturn 0;\n}"
}' >many.c

cat >words.cc <<'END'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <new>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

struct node {
	std::string name;
	std::vector<std::unique_ptr<node>> below;
};

static std::unique_ptr<node> grow(int depth)
{
	auto n = std::make_unique<node>();
	n->name = std::string(depth * 11, 'n');
	for (int i = 0; i < depth; i++)
		n->below.push_back(grow(depth - 1));
	return n;
}

static size_t weigh(const node &n)
{
	size_t sum = n.name.size();
	for (const auto &b : n.below)
		sum += weigh(*b);
	return sum;
}

struct alignas(256) wide {
	char bytes[300];
};

int main()
{
	std::map<std::string, std::vector<int>> words;
	std::ostringstream text;
	for (int i = 0; i < 5000; i++)
		text << "w" << i * 7919 % 613 << (i % 3 ? ' ' : ',');
	const std::string all = text.str();
	std::regex word("w([0-9]+)[ ,]");
	for (std::sregex_iterator i(all.begin(), all.end(), word), end; i != end; ++i)
		words[i->str()].push_back(std::stoi((*i)[1]));
	std::cout << words.size() << ' ' << words.begin()->first << '\n';

	std::vector<size_t> sums(4);
	std::vector<std::thread> threads;
	for (int t = 0; t < 4; t++)
		threads.emplace_back([t, &sums] { sums[t] = weigh(*grow(6 + t % 2)); });
	for (auto &t : threads)
		t.join();
	for (auto s : sums)
		std::cout << s << ' ';

	std::vector<std::unique_ptr<wide>> wides;
	for (int i = 0; i < 100; i++)
		wides.push_back(std::make_unique<wide>());
	std::cout << std::count_if(wides.begin(), wides.end(), [](const auto &w) {
		return reinterpret_cast<size_t>(w.get()) % 256 == 0; }) << '\n';
	try {
		volatile size_t huge = size_t(1) << 62;
		std::cout << static_cast<void *>(new char[huge]) << '\n';
	} catch (const std::bad_alloc &e) {
		std::cout << e.what() << '\n';
	}
	return 0;
}
END

for level in -O0 -O2; do
	gcc -g "$level" -c many.c -o many.o
	objdump -d many.o | sha256sum
	objdump --dwarf=info many.o | sha256sum
	gcc many.o -o many
	./many
done
gcc -O2 -flto=2 many.c -o many-lto
./many-lto
objdump -d many-lto | sha256sum
g++ -std=c++17 -O1 -pthread words.cc -o words
./words
objdump -d -C words | sha256sum
strip words
./words | sha256sum
ar rcs libmany.a many.o
nm libmany.a | wc -l
if gcc -c -x c - -o broken.o <<<'int f(void) { return undeclared; }' 2>errors; then
	echo "accepted"
else
	grep -c 'undeclared' errors
fi
