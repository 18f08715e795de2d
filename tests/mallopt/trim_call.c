/* SPDX-License-Identifier: MIT */
/*
 * malloc_trim: the top goes back by brk down to the pad, what is free inside of the heap by
 * madvise; 1 only when something went back; other threads are not held up for long meanwhile.
 */
#include <malloc.h>

#include "watch.h"

#define SLACK 8192		/* headers, and the rounding to pages */
#define BLOCKS 200000
#define PAUSE_MAX 100000	/* microseconds */
#define TRIES 5			/* a busy machine makes pauses too, but not each time */

static char *p[BLOCKS];

static void top(void)
{
	char *start, *high;
	char *q = hard_malloc(64 * MIB);

	touch(q, 64 * MIB);
	high = the_break();
	CHECK(high - q < (long)(65 * MIB), "the block is not at the top");
	free(q);
	watch_clear();
	CHECK(malloc_trim(8 * MIB) == 1, "malloc_trim(8 MiB) gave nothing back");
	CHECK(watch_count(SYS_brk) == 1, "%u calls of brk", watch_count(SYS_brk));
	/* what was free below the block belongs to the 8 MiB */
	CHECK(the_break() <= q + 8 * MIB + SLACK, "%td bytes are left, not 8 MiB",
	      the_break() - q);
	start = the_break() - 8 * MIB - SLACK;
	watch_clear();
	q = hard_malloc(8 * MIB - 2 * SLACK);
	CHECK(watch_count(SYS_brk) == 0, "the pad that was left is less than 8 MiB");
	CHECK(q >= start - MIB, "not the pad was used but %p", (void *)q);
	free(q);
	CHECK(malloc_trim(0) == 1, "malloc_trim(0) gave nothing back");
	CHECK(the_break() <= start + 2 * SLACK, "%td bytes too much are left",
	      the_break() - start);
	/* nothing is left to give */
	high = the_break();
	CHECK(malloc_trim(1 << 30) == 0, "malloc_trim(1 GiB) gave back what had gone");
	if (hard_on_stele())
		CHECK(malloc_trim(0) == 0, "malloc_trim(0) gave back what had gone");
	CHECK(the_break() == high, "the break has moved");
}

/* Free memory between blocks that stay: the break does not move, the memory goes. */
static void inside(size_t n, size_t count, size_t run)
{
	size_t before, after, freed = 0;
	void *guard;
	char *at;

	for (size_t i = 0; i < count; i++) {
		p[i] = hard_malloc(n);
		hard_fill(p[i], n, i);
	}
	guard = hard_malloc(64 * KIB);
	before = rss();
	for (size_t i = 0; i < count; i++) {
		if (i % run == run - 1)
			continue;
		free(p[i]);
		freed += n;
	}
	at = the_break();
	watch_clear();
	/* some may have gone back already */
	malloc_trim(0);
	after = rss();
	CHECK(before - after > freed / 10 * 8, "%zu of %zu: %zu KiB freed, %zu KiB went back",
	      count, n, freed >> 10, (before - after) >> 10);
	CHECK(the_break() <= at, "the break has moved up");
	for (size_t i = run - 1; i < count; i += run) {
		hard_verify(p[i], n, i);
		free(p[i]);
	}
	free(guard);
	malloc_trim(0);
}

static int stop;
static unsigned long rounds;
static uint64_t longest;	/* microseconds */

/*
 * Allocates and frees all the time, and remembers how long that took at most where it
 * had to wait: pauses in which it went on as soon as it was let are the machine's.
 */
static void *keep_busy(void *arg)
{
	uint64_t rand = hard_seed(5), us;
	double last = hard_now(), now;
	long waited = hard_waits(), waits;
	void *q[64] = { NULL };

	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		for (size_t i = 0; i < ARRAY_LEN(q); i++) {
			free(q[i]);
			q[i] = hard_malloc(hard_rand_size(&rand, 16));
		}
		now = hard_now();
		us = (uint64_t)((now - last) * 1e6);
		waits = hard_waits();
		if (waits != waited && us > __atomic_load_n(&longest, __ATOMIC_RELAXED))
			__atomic_store_n(&longest, us, __ATOMIC_RELAXED);
		__atomic_fetch_add(&rounds, 1, __ATOMIC_RELEASE);
		last = now;
		waited = waits;
	}
	for (size_t i = 0; i < ARRAY_LEN(q); i++)
		free(q[i]);
	return NULL;
}

/* Two rounds: the first may have begun before the call. */
static void wait_rounds(void)
{
	unsigned long seen = __atomic_load_n(&rounds, __ATOMIC_ACQUIRE);

	while (__atomic_load_n(&rounds, __ATOMIC_ACQUIRE) < seen + 2)
		hard_usleep(100);
}

/* The longest wait of the other thread during a malloc_trim(), which takes *@took seconds. */
static uint64_t longest_wait(double *took)
{
	double start;
	uint64_t us;

	for (size_t i = 0; i < BLOCKS; i++) {
		p[i] = hard_malloc(3000);
		touch(p[i], 3000);
	}
	for (size_t i = 0; i < BLOCKS; i++)
		if (i % 64)
			free(p[i]);
	wait_rounds();
	__atomic_store_n(&longest, 0, __ATOMIC_RELAXED);
	start = hard_now();
	malloc_trim(0);
	*took = hard_now() - start;
	wait_rounds();
	us = __atomic_load_n(&longest, __ATOMIC_RELAXED);
	for (size_t i = 0; i < BLOCKS; i += 64)
		free(p[i]);
	return us;
}

static void pauses(void)
{
	pthread_t t;

	hard_start(&t, keep_busy, NULL);
	for (int round = 0; round < 3; round++) {
		double took = 0;
		uint64_t us = PAUSE_MAX;

		for (int k = 0; k < TRIES && us >= PAUSE_MAX; k++)
			us = longest_wait(&took);
		/* glibc keeps the arena locked all the time */
		CHECK(us < PAUSE_MAX || !hard_on_stele(),
		      "malloc_trim took %.3f s, another thread had to wait %.3f s", took,
		      (double)us * 1e-6);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	hard_join(t);
}

int main(void)
{
	pid_t pid;

	no_huge_pages();
	pid = fork();

	if (pid == 0) {
		pauses();
		_exit(0);
	}
	hard_reap(pid, "pauses");
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TOP_PAD, 0);
	mallopt(M_TRIM_THRESHOLD, -1);
	watch_memory();
	top();
	inside(MIB, 100, 10);
	inside(20000, 5000, 10);
	inside(1000, 100000, 1000);
	inside(100, BLOCKS, 10000);
	return 0;
}
