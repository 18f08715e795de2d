/* SPDX-License-Identifier: MIT */
/*
 * How long can one call take? Two threads under a mixed load time every single malloc and
 * free, sort the times into a histogram and print, as CSV in nanoseconds,
 *
 *	call,p50,p90,p99,p99.9,p99.99,max
 *
 * The cost of reading the clock (its median) is taken off. Interrupts and preemption are in
 * there for all allocators alike; "max" is mostly theirs.
 */
#include "bench.h"

#define THREADS	2
#define SLOTS	20000
#define CELLS	256
#define SUB	32	/* linear steps inside each power of two */
#define BUCKETS	(SUB * 44)

enum { MALLOC, FREE, KINDS };

struct load {
	uint64_t rng, calls;
	uint64_t max[KINDS];
	uint32_t *hist[KINDS];
	void **block;
};

static void *cell[CELLS];

static inline uint64_t ticks(void)
{
#ifdef __x86_64__
	uint32_t lo, hi, aux;

	__asm__ volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux) : : "memory");
	return (uint64_t)hi << 32 | lo;
#else
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
#endif
}

/* SUB steps per power of two: times stay within 3 % of what was measured. */
static unsigned int bucket_of(uint64_t t)
{
	unsigned int exp;

	if (t < SUB)
		return (unsigned int)t;
	exp = 63u - (unsigned int)__builtin_clzll(t);
	return (exp - 4) * SUB + (unsigned int)(t >> (exp - 5) & (SUB - 1));
}

static uint64_t bucket_value(unsigned int b)
{
	if (b < SUB)
		return b;
	return (uint64_t)(SUB + b % SUB) << (b / SUB - 1);
}

static void note(struct load *ld, int kind, uint64_t t)
{
	ld->hist[kind][bucket_of(t) < BUCKETS ? bucket_of(t) : BUCKETS - 1]++;
	if (t > ld->max[kind])
		ld->max[kind] = t;
}

static size_t some_size(uint64_t *rng)
{
	size_t dice = bench_range(rng, 0, 1999);

	if (dice == 0)
		return bench_logsize(rng, 15, 20);
	return dice < 100 ? bench_logsize(rng, 9, 14) : bench_range(rng, 8, 512);
}

static void timed_free(struct load *ld, void *p)
{
	uint64_t t = ticks();

	free(p);
	note(ld, FREE, ticks() - t);
}

static void *timed_malloc(struct load *ld)
{
	size_t size = some_size(&ld->rng);
	uint64_t t = ticks();
	void *p = malloc(size);

	note(ld, MALLOC, ticks() - t);
	bench_touch(p, size);
	return p;
}

/* One block in sixteen changes hands before it is freed. */
static void *load_main(void *arg)
{
	struct load *ld = arg;
	uint64_t i;
	size_t at;
	void *p;

	for (i = 0; i < ld->calls; i++) {
		at = bench_range(&ld->rng, 0, SLOTS - 1);
		p = ld->block[at];
		ld->block[at] = timed_malloc(ld);
		if (p && i % 16 == 0)
			p = __atomic_exchange_n(&cell[at % CELLS], p, __ATOMIC_ACQ_REL);
		if (p)
			timed_free(ld, p);
	}
	for (at = 0; at < SLOTS; at++)
		free(ld->block[at]);
	return NULL;
}

static uint64_t percentile(const uint32_t *hist, double share)
{
	uint64_t total = 0, sum = 0, rank;
	unsigned int b;

	for (b = 0; b < BUCKETS; b++)
		total += hist[b];
	rank = (uint64_t)((double)total * share);
	for (b = 0; b < BUCKETS - 1; b++) {
		sum += hist[b];
		if (sum > rank)
			break;
	}
	return bucket_value(b);
}

static uint64_t clock_cost(void)
{
	static uint32_t hist[BUCKETS];
	uint64_t t;
	int i;

	for (i = 0; i < 100000; i++) {
		t = ticks();
		t = ticks() - t;
		hist[bucket_of(t) < BUCKETS ? bucket_of(t) : BUCKETS - 1]++;
	}
	return percentile(hist, 0.5);
}

static double ns_per_tick(void)
{
	double begin = bench_now(), end;
	uint64_t t = ticks();

	do {
		end = bench_now();
	} while (end - begin < 0.02);
	return (end - begin) * 1e9 / (double)(ticks() - t);
}

static void print_kind(const char *name, const struct load *ld, int kind, double ns,
		       uint64_t cost)
{
	static const double shares[] = { 0.5, 0.9, 0.99, 0.999, 0.9999 };
	uint64_t max = 0, t;
	unsigned int b, i;

	for (b = 0; b < BUCKETS; b++)
		ld[0].hist[kind][b] += ld[1].hist[kind][b];
	for (i = 0; i < THREADS; i++)
		max = ld[i].max[kind] > max ? ld[i].max[kind] : max;
	printf("%s", name);
	for (i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		t = percentile(ld[0].hist[kind], shares[i]);
		printf(",%.0f", (double)(t > cost ? t - cost : 0) * ns);
	}
	printf(",%.0f\n", (double)(max > cost ? max - cost : 0) * ns);
}

int main(int argc, char **argv)
{
	static struct load ld[THREADS];
	double ns = ns_per_tick();
	uint64_t cost = clock_cost();
	int i, k;

	while (bench_getopt(argc, argv, "") != -1)
		;
	for (i = 0; i < THREADS; i++) {
		ld[i].rng = bench_seed(600 + (uint64_t)i);
		ld[i].calls = bench_count(2e6);
		ld[i].block = bench_table(SLOTS, sizeof(void *));
		for (k = 0; k < KINDS; k++)
			ld[i].hist[k] = bench_table(BUCKETS, sizeof(uint32_t));
	}

	bench_begin();
	bench_threads(THREADS, load_main, ld, sizeof(ld[0]));
	for (i = 0; i < CELLS; i++)
		free(cell[i]);
	bench_end(2 * THREADS * ld[0].calls);

	printf("call,p50,p90,p99,p99.9,p99.99,max\n");
	print_kind("malloc", ld, MALLOC, ns, cost);
	print_kind("free", ld, FREE, ns, cost);
	return 0;
}
