/* SPDX-License-Identifier: MIT */
/* calloc of arrays of 256 KiB..64 MiB of which 1 page in 64 is used, after a check for zero. */
#include "bench.h"

#define SLOTS	8

static void use(volatile char *p, size_t size)
{
	size_t at;

	for (at = 0; at < size; at += 64 * BENCH_PAGE) {
		if (p[at])
			bench_die("calloc gave memory that is not zero");
		p[at] = 1;
	}
}

int main(int argc, char **argv)
{
	uint64_t rng = bench_seed(10), i, n;
	void *block[SLOTS] = { NULL };

	while (bench_getopt(argc, argv, "") != -1)
		;
	n = bench_count(900);

	bench_begin();
	for (i = 0; i < n; i++) {
		size_t at = bench_range(&rng, 0, SLOTS - 1), size = bench_logsize(&rng, 18, 26);

		free(block[at]);
		block[at] = calloc(size / 8, 8);
		if (!block[at])
			bench_die("out of memory");
		use(block[at], size / 8 * 8);
	}
	for (i = 0; i < SLOTS; i++)
		free(block[i]);
	bench_end(2 * n);
	return 0;
}
