/* SPDX-License-Identifier: MIT */
/*
 * Blocks of 16 to 512 bytes from 200 call sites, 12 to 20 frames below main: what a
 * recorder of stacks has to cope with.
 *
 *	callsites [-t THREADS]		default 1; scale 1: 50 million pairs in each
 *
 * Which functions lie between main and a site depends on the site alone, so there are as
 * many stacks as sites. A block is freed when its place among 64 is wanted for the next.
 */
#include "bench.h"

#define SITES	200
#define LIVE	64
#define NOINLINE __attribute__((noinline))

/* Keeps a call from being the last thing its function does. */
#define STAY()	__asm__ __volatile__("" ::: "memory")

typedef void *site_fn(size_t size);

/* Frames of different sizes: 16 of them, so that the same depth is not the same distance. */
#define SITE(i) \
	static NOINLINE void *site_##i(size_t size) \
	{ \
		volatile char frame[16 + (i) % 16 * 8]; \
		void *p; \
		frame[0] = 1; \
		p = malloc(size); \
		STAY(); \
		return (void)frame[0], p; \
	}
#define TEN(f, i) f(i##0) f(i##1) f(i##2) f(i##3) f(i##4) f(i##5) f(i##6) f(i##7) f(i##8) f(i##9)
/* Numbers must not begin with 0: 100 to 299. */
#define HUNDRED(f, i) TEN(f, i##0) TEN(f, i##1) TEN(f, i##2) TEN(f, i##3) TEN(f, i##4) \
	TEN(f, i##5) TEN(f, i##6) TEN(f, i##7) TEN(f, i##8) TEN(f, i##9)
HUNDRED(SITE, 1)
HUNDRED(SITE, 2)

#define NAME(i) site_##i,
static site_fn *const sites[SITES] = { HUNDRED(NAME, 1) HUNDRED(NAME, 2) };

static void *descend(unsigned site, unsigned depth, unsigned path, size_t size);

/* One of four ways down; each with some registers and stack of its own. */
#define WAY(name, words) \
	static NOINLINE void *name(unsigned site, unsigned depth, unsigned path, size_t size) \
	{ \
		volatile unsigned long frame[words]; \
		void *p; \
		frame[0] = size; \
		p = descend(site, depth, path, size); \
		STAY(); \
		return frame[0] == size ? p : NULL; \
	}
WAY(way_a, 1)
WAY(way_b, 3)
WAY(way_c, 6)
WAY(way_d, 10)

static inline __attribute__((always_inline)) void *descend(unsigned site, unsigned depth,
							   unsigned path, size_t size)
{
	if (!depth)
		return sites[site](size);
	switch (path & 3) {
	case 0: return way_a(site, depth - 1, path >> 2 | path << 30, size);
	case 1: return way_b(site, depth - 1, path >> 2 | path << 30, size);
	case 2: return way_c(site, depth - 1, path >> 2 | path << 30, size);
	default: return way_d(site, depth - 1, path >> 2 | path << 30, size);
	}
}

static NOINLINE void *from_site(unsigned site, size_t size)
{
	/* With main or the thread's function, this one and the site: 12 to 20. */
	return descend(site, 9 + site % 9, site * 2654435761u, size);
}

static void *work(void *arg)
{
	uint64_t pairs = bench_count(50e6), seed = bench_seed((uintptr_t)arg);
	void *live[LIVE] = { NULL };

	for (uint64_t i = 0; i < pairs; i++) {
		uint64_t r = bench_rand(&seed);
		unsigned place = (unsigned)(r >> 58);
		size_t size = 16 + (r >> 20) % 497;

		free(live[place]);
		live[place] = from_site((unsigned)(((r >> 32 & 0xffff) * SITES) >> 16), size);
	}
	for (unsigned i = 0; i < LIVE; i++)
		free(live[i]);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned threads = 1;
	pthread_t others[64];
	int c;

	while ((c = bench_getopt(argc, argv, "t:")) != -1)
		threads = (unsigned)atoi(optarg);
	if (!threads || threads > 64)
		bench_die("callsites: -t 1 to 64");
	bench_begin();
	for (unsigned i = 1; i < threads; i++)
		if (pthread_create(&others[i], NULL, work, (void *)(uintptr_t)i))
			bench_die("cannot start a thread");
	work(NULL);
	for (unsigned i = 1; i < threads; i++)
		pthread_join(others[i], NULL);
	bench_end(threads * bench_count(50e6));
	return 0;
}
