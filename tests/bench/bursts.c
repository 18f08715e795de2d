/* SPDX-License-Identifier: MIT */
/* A burst of equal blocks, then all are freed: first in first out, last in first out, random. */
#include "bench.h"

enum order { FIFO, LIFO, RANDOM };

static enum order parse_order(const char *name)
{
	if (!strcmp(name, "fifo"))
		return FIFO;
	if (!strcmp(name, "lifo"))
		return LIFO;
	if (strcmp(name, "random"))
		bench_die("-o takes fifo, lifo or random");
	return RANDOM;
}

static void fill_order(uint32_t *at, size_t n, enum order order)
{
	size_t i;

	for (i = 0; i < n; i++)
		at[i] = (uint32_t)(order == LIFO ? n - 1 - i : i);
	if (order == RANDOM)
		bench_shuffle(at, n, bench_seed(1));
}

int main(int argc, char **argv)
{
	size_t size = 64, n = 1000, i;
	enum order order = FIFO;
	uint64_t round, rounds;
	uint32_t *at;
	void **block;
	int c;

	while ((c = bench_getopt(argc, argv, "n:o:z:")) != -1) {
		if (c == 'n')
			n = strtoul(optarg, NULL, 0);
		else if (c == 'o')
			order = parse_order(optarg);
		else
			size = strtoul(optarg, NULL, 0);
	}
	at = bench_table(n, sizeof(*at));
	block = bench_table(n, sizeof(*block));
	fill_order(at, n, order);
	rounds = bench_count(60e6 / (double)n);

	bench_begin();
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < n; i++)
			block[i] = bench_malloc(size);
		for (i = 0; i < n; i++)
			free(block[at[i]]);
	}
	bench_end(rounds * n * 2);
	return 0;
}
