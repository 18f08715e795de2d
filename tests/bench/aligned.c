/* SPDX-License-Identifier: MIT */
/* Aligned blocks in a live set: alignments 32..4096, sizes 16..4096, 1 in 1000 at 64 KiB. */
#include "bench.h"

#define SLOTS	8000

static void *make(uint64_t *rng)
{
	size_t align = (size_t)32 << bench_range(rng, 0, 7);
	size_t size = bench_logsize(rng, 4, 12);
	void *p;

	if (bench_range(rng, 0, 999) == 0)
		align = 65536;
	if (posix_memalign(&p, align, size))
		bench_die("out of memory");
	if ((uintptr_t)p & (align - 1))
		bench_die("a block is not aligned");
	bench_touch(p, size);
	return p;
}

int main(int argc, char **argv)
{
	uint64_t rng = bench_seed(9), i, n;
	void **block = bench_table(SLOTS, sizeof(*block));

	while (bench_getopt(argc, argv, "") != -1)
		;
	n = bench_count(3.5e6);

	bench_begin();
	for (i = 0; i < n; i++) {
		size_t at = bench_range(&rng, 0, SLOTS - 1);

		free(block[at]);
		block[at] = make(&rng);
	}
	for (i = 0; i < SLOTS; i++)
		free(block[i]);
	bench_end(2 * n);
	return 0;
}
