/* SPDX-License-Identifier: MIT */
/*
 * A live set of random sizes 8..1024 in which random blocks are replaced. The set's size
 * decides which cache the program lives in; the number of replacements shrinks with it.
 */
#include "bench.h"

#define SIZE_MIN	8
#define SIZE_MAX_	1024

/* Replacements that take about a second when the set holds this many KiB. */
static double work_for(size_t kib)
{
	if (kib <= 1024)
		return 40e6;
	return kib <= 32 * 1024 ? 14e6 : 3e6;
}

int main(int argc, char **argv)
{
	uint64_t rng = bench_seed(2), i, n;
	size_t kib = 512, slots, at, size;
	void **block;
	int c;

	while ((c = bench_getopt(argc, argv, "m:")) != -1)
		kib = strtoul(optarg, NULL, 0);
	slots = kib * 1024 / ((SIZE_MIN + SIZE_MAX_) / 2);
	block = bench_table(slots, sizeof(*block));
	n = bench_count(work_for(kib));

	bench_begin();
	for (at = 0; at < slots; at++)
		block[at] = bench_malloc(bench_range(&rng, SIZE_MIN, SIZE_MAX_));
	for (i = 0; i < n; i++) {
		at = bench_range(&rng, 0, slots - 1);
		size = bench_range(&rng, SIZE_MIN, SIZE_MAX_);
		free(block[at]);
		block[at] = bench_malloc(size);
	}
	for (at = 0; at < slots; at++)
		free(block[at]);
	bench_end(2 * (n + slots));
	return 0;
}
