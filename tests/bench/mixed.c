/* SPDX-License-Identifier: MIT */
/*
 * A stress of mixed lives. Every one of -t threads makes arrays of mostly small blocks, some
 * of which live on in a table of the thread, some of which are swapped with other threads
 * through shared cells; now and then comes a big array. The work is split evenly, so all
 * thread counts do the same.
 */
#include "bench.h"

#define KEPT	2000
#define CELLS	1000

struct stress {
	uint64_t rng, rounds;
	void **kept;
};

static void *cell[CELLS];

/* Mostly 8..512 bytes, 1 in 50 up to 16 KiB, 1 in 4000 a big array up to 4 MiB. */
static void *make(uint64_t *rng)
{
	size_t dice = bench_range(rng, 0, 3999), size;
	void *p;

	if (dice == 0) {
		size = bench_logsize(rng, 15, 22);
		p = bench_malloc(size);
		bench_touch_pages(p, size);
		return p;
	}
	size = dice <= 80 ? bench_logsize(rng, 9, 14) : bench_range(rng, 8, 512);
	return bench_malloc(size);
}

static void keep(struct stress *st, void *p)
{
	size_t at = bench_range(&st->rng, 0, KEPT - 1);

	free(st->kept[at]);
	st->kept[at] = p;
}

static void swap_out(struct stress *st, void *p)
{
	size_t at = bench_range(&st->rng, 0, CELLS - 1);

	keep(st, __atomic_exchange_n(&cell[at], p, __ATOMIC_ACQ_REL));
}

static void one_round(struct stress *st)
{
	void *temp[64];
	size_t i, n = bench_range(&st->rng, 8, 64);

	for (i = 0; i < n; i++)
		temp[i] = make(&st->rng);
	for (i = 0; i < n; i++) {
		size_t dice = bench_range(&st->rng, 0, 9);

		if (dice == 0)
			swap_out(st, temp[i]);
		else if (dice <= 3)
			keep(st, temp[i]);
		else
			free(temp[i]);
	}
}

static void *stress_main(void *arg)
{
	struct stress *st = arg;
	uint64_t r;
	size_t i;

	for (r = 0; r < st->rounds; r++)
		one_round(st);
	for (i = 0; i < KEPT; i++)
		free(st->kept[i]);
	return NULL;
}

int main(int argc, char **argv)
{
	int c, i, threads = 2;
	struct stress *st;
	uint64_t rounds;

	while ((c = bench_getopt(argc, argv, "t:")) != -1)
		threads = atoi(optarg);
	st = bench_table((size_t)threads, sizeof(*st));
	rounds = bench_count(450e3 / threads);
	for (i = 0; i < threads; i++) {
		st[i].rng = bench_seed(400 + (uint64_t)i);
		st[i].rounds = rounds;
		st[i].kept = bench_table(KEPT, sizeof(void *));
	}

	bench_begin();
	bench_threads(threads, stress_main, st, sizeof(*st));
	for (i = 0; i < CELLS; i++)
		free(cell[i]);
	bench_end(rounds * (uint64_t)threads * 36 * 2);
	return 0;
}
