/* SPDX-License-Identifier: MIT */
/* Blocks of 64 KiB..64 MiB that come and go in 12 slots; every page of each is touched. */
#include "bench.h"

#define SLOTS	12

int main(int argc, char **argv)
{
	uint64_t rng = bench_seed(8), i, n;
	void *block[SLOTS] = { NULL };

	while (bench_getopt(argc, argv, "") != -1)
		;
	n = bench_count(400);

	bench_begin();
	for (i = 0; i < n; i++) {
		size_t at = bench_range(&rng, 0, SLOTS - 1), size = bench_logsize(&rng, 16, 26);

		free(block[at]);
		block[at] = malloc(size);
		bench_touch_pages(block[at], size);
	}
	for (i = 0; i < SLOTS; i++)
		free(block[i]);
	bench_end(2 * n);
	return 0;
}
