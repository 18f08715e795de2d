/* SPDX-License-Identifier: MIT */
/* The containers of the C++ library: map, string, vector, unordered_map and list (-m). */
#include "bench.h"

#include <list>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

static uint64_t rng;

static std::string some_string()
{
	return std::string(bench_range(&rng, 4, 60), (char)('a' + bench_range(&rng, 0, 25)));
}

static uint64_t run_map()
{
	std::map<uint64_t, uint64_t> map;
	uint64_t i, n = bench_count(400e3);

	for (i = 0; i < n; i++) {
		map[bench_range(&rng, 0, 199999)] += i;
		map.erase(bench_range(&rng, 0, 199999));
	}
	return n;
}

static uint64_t run_string()
{
	uint64_t i, n = bench_count(3e6), length = 0;

	for (i = 0; i < n; i++) {
		std::string s = some_string();

		s += some_string();
		s = "<" + s + ">";
		length += s.substr(s.size() / 2).size();
	}
	return length ? n : 0;
}

static uint64_t run_vector()
{
	uint64_t i, n = bench_count(500e3);

	for (i = 0; i < n; i++) {
		std::vector<uint64_t> v;
		size_t k, len = bench_logsize(&rng, 2, 11);

		for (k = 0; k < len; k++)
			v.push_back(k);
		std::vector<uint64_t> copy(v);
		copy.insert(copy.begin(), i);
	}
	return n;
}

static uint64_t run_unordered()
{
	std::unordered_map<std::string, std::string> map;
	uint64_t i, n = bench_count(500e3);

	for (i = 0; i < n; i++) {
		map["a rather long key " + std::to_string(bench_range(&rng, 0, 49999))] =
			some_string();
		if (map.size() > 40000)
			map.clear();
	}
	return n;
}

static uint64_t run_list()
{
	std::list<std::vector<uint64_t>> list;
	uint64_t i, n = bench_count(9e6);

	for (i = 0; i < n; i++) {
		list.emplace_back(bench_range(&rng, 1, 12));
		if (list.size() > 20000)
			list.erase(list.begin());
	}
	return n;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		uint64_t (*run)();
	} kinds[] = {
		{ "map", run_map }, { "string", run_string }, { "vector", run_vector },
		{ "unordered", run_unordered }, { "list", run_list },
	};
	const char *only = NULL;
	uint64_t ops = 0;
	int c;

	while ((c = bench_getopt(argc, argv, "m:")) != -1)
		only = optarg;
	rng = bench_seed(11);

	bench_begin();
	for (const auto &kind : kinds)
		if (!only || !strcmp(only, kind.name))
			ops += kind.run();
	if (!ops)
		bench_die("-m takes map, string, vector, unordered or list");
	bench_end(ops);
	return 0;
}
