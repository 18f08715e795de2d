/* SPDX-License-Identifier: MIT */
/*
 * A live set grows to 500 MiB of blocks of 16..512 bytes and is torn down again, twice:
 * once in the order of allocation and once at random.
 */
#include "bench.h"

#define SIZE_MIN	16
#define SIZE_MAX_	512

int main(int argc, char **argv)
{
	uint64_t rng = bench_seed(3), ops = 0;
	size_t limit, n, i, used, slots;
	uint32_t *at;
	void **block;
	int round, rounds = 2;

	while (bench_getopt(argc, argv, "") != -1)
		;
	limit = (size_t)bench_count(500.0 * 1024 * 1024);
	slots = limit / SIZE_MIN + 1;
	block = bench_table(slots, sizeof(*block));
	at = bench_table(slots, sizeof(*at));

	bench_begin();
	for (round = 0; round < rounds; round++) {
		for (n = used = 0; used < limit; n++) {
			size_t size = bench_range(&rng, SIZE_MIN, SIZE_MAX_);

			block[n] = bench_malloc(size);
			used += size;
		}
		if (round & 1)
			bench_shuffle(at, n, bench_seed(4));
		for (i = 0; i < n; i++)
			free(block[round & 1 ? at[i] : i]);
		ops += 2 * n;
	}
	bench_end(ops);
	return 0;
}
