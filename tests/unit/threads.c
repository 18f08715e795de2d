/* SPDX-License-Identifier: MIT */
/*
 * Many threads at once, on the locked slots: the way in that ThreadSanitizer
 * can see. What one thread allocates, others free.
 */
#include "common.h"

#include <pthread.h>
#include <sched.h>

#include "page/reclaim.h"
#include "page/section.h"
#include "page/vmalloc.h"
#include "slab/kmalloc.h"
#include "slab/percpu.h"
#include "slab/slab.h"
#include "tune/tune.h"

#define MIB	(1ul << 20)
#define THREADS	8
#define SHARED	512

/* Slots that anybody may fill and anybody may empty. */
static char *shared[SHARED];
static bool stop;
static unsigned rounds;

/* Each block says how long it is, and carries a pattern behind that. */
static size_t some_size(struct rng *r, size_t max)
{
	return 16 + rng_size(r, max);
}

static char *make(struct rng *r, size_t max)
{
	size_t size = some_size(r, max);
	char *p = rng_below(r, 4) ? kmalloc(size) :
		  rng_below(r, 2) ? kzalloc(size) : kmalloc_aligned(size, 64);

	must(p && IS_ALIGNED((uintptr_t)p, 16) && ksize(p) >= size);
	memcpy(p, &size, sizeof(size));
	pattern_fill(p + 8, MIN(size, 2000ul) - 8, size);
	return p;
}

static size_t check(const char *p)
{
	size_t size;

	memcpy(&size, p, sizeof(size));
	must(size >= 16 && size <= ksize(p));
	must(pattern_holds(p + 8, MIN(size, 2000ul) - 8, size));
	return size;
}

static char *swap(size_t k, char *p)
{
	return __atomic_exchange_n(&shared[k], p, __ATOMIC_ACQ_REL);
}

static char *resize(struct rng *r, char *p, size_t max)
{
	size_t size = some_size(r, max), old = check(p), keep;

	p = krealloc(p, size);
	must(p);
	keep = MIN(MIN(old, size), 2000ul);
	must(pattern_holds(p + 8, ALIGN_DOWN(keep - 8, 8), old));
	memcpy(p, &size, sizeof(size));
	pattern_fill(p + 8, MIN(size, 2000ul) - 8, size);
	return p;
}

static void *hammer(void *arg)
{
	struct rng r = { (uintptr_t)arg };

	for (unsigned i = 0; i < rounds; i++) {
		size_t k = rng_below(&r, SHARED);
		size_t max = rng_below(&r, 16) ? 2000 : rng_below(&r, 8) ? 100000 : 2 * MIB;
		char *p = swap(k, NULL);

		if (!p) {
			p = make(&r, max);
		} else if (rng_below(&r, 4) == 0) {
			p = resize(&r, p, max);
		} else {
			check(p);
			kfree(p);
			p = rng_below(&r, 2) ? make(&r, max) : NULL;
		}
		p = swap(k, p);
		if (p) {
			check(p);
			kfree(p);
		}
	}
	return NULL;
}

static void start(unsigned n)
{
	unit_boot();
	fake.single_threaded = false;
	rounds = n;
}

static void run(void *(*fn)(void *), int n)
{
	pthread_t t[THREADS];

	for (int i = 0; i < n; i++)
		must_eq(pthread_create(&t[i], NULL, fn, (void *)(uintptr_t)(i + 1)), 0);
	for (int i = 0; i < n; i++)
		pthread_join(t[i], NULL);
}

static void finish(void)
{
	struct kmalloc_usage u;

	for (size_t k = 0; k < SHARED; k++) {
		if (shared[k])
			check(shared[k]);
		kfree(shared[k]);
		shared[k] = NULL;
	}
	u = kmalloc_usage();
	ck_assert_uint_eq(u.slab_blocks, 0);
	ck_assert_uint_eq(u.large_blocks, 0);
	ck_assert_uint_eq(vmalloc_stats().count, 0);
	kmalloc_drain();
	u = kmalloc_usage();
	ck_assert_uint_eq(u.slab_pages, 0);
	ck_assert_uint_eq(u.cached_bytes, 0);
	zones_hold();
	ck_assert_str_eq(fake_text(), "");
}

START_TEST(cross_frees)
{
	start(30000);
	run(hammer, THREADS);
	finish();
}
END_TEST

/* One CPU: as few slots as can be, so that they are found busy. */
START_TEST(few_slots)
{
	unit_boot();
	fake.cpus = 1;
	percpu_init();
	fake.single_threaded = false;
	rounds = 15000;
	run(hammer, THREADS);
	finish();
}
END_TEST

START_TEST(no_mappings)
{
	start(15000);
	tune_set(TUNE_ID_mmap_max, 0, TUNE_MALLOPT);
	tune_set(TUNE_ID_trim_threshold, 64 << 10, TUNE_MALLOPT);
	run(hammer, THREADS);
	finish();
}
END_TEST

/* Drains and readers of the numbers go on meanwhile. */
static void *disturb(void *arg __unused_arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct kmalloc_usage u = kmalloc_usage();

		must(u.slab_bytes + u.cached_bytes <= (size_t)1 << 40);
		kmalloc_drain();
		reclaim_all(0);
		sched_yield();
	}
	return NULL;
}

START_TEST(drains_meanwhile)
{
	pthread_t t;

	start(8000);
	ck_assert_int_eq(pthread_create(&t, NULL, disturb, NULL), 0);
	run(hammer, THREADS - 1);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	finish();
}
END_TEST

/* Producer and consumer: all is allocated here and freed there. */
static void *produce(void *arg)
{
	struct rng r = { (uintptr_t)arg };
	size_t k = (uintptr_t)arg * 64;

	for (unsigned i = 0; i < rounds; i++) {
		char *p = make(&r, 500);

		while (__atomic_load_n(&shared[k + i % 64], __ATOMIC_ACQUIRE))
			sched_yield();
		__atomic_store_n(&shared[k + i % 64], p, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void *consume(void *arg)
{
	size_t k = (uintptr_t)arg * 64;

	for (unsigned i = 0; i < rounds; i++) {
		char *p;

		while (!(p = __atomic_load_n(&shared[k + i % 64], __ATOMIC_ACQUIRE)))
			sched_yield();
		check(p);
		kfree(p);
		__atomic_store_n(&shared[k + i % 64], NULL, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void *either(void *arg)
{
	uintptr_t i = (uintptr_t)arg - 1;

	return i % 2 ? produce((void *)(i / 2)) : consume((void *)(i / 2));
}

START_TEST(producers_consumers)
{
	start(20000);
	run(either, 4);
	finish();
}
END_TEST

/* The heap grows over new sections and larger maps while others use it. */
static void *grow(void *arg)
{
	struct rng r = { (uintptr_t)arg };
	char *mine[64];

	for (unsigned i = 0; i < rounds; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(mine); k++)
			mine[k] = kmalloc(k % 4 ? 40000 + rng_below(&r, 100000) : 3 * MIB);
		for (size_t k = 0; k < ARRAY_SIZE(mine); k++) {
			must_eq(class_of(mine[k]), CLASS_LARGE);
			must(ksize(mine[k]) >= 40000);
			if (i % 4 == 0 || k % 2)
				kfree(mine[k]);
		}
	}
	return NULL;
}

START_TEST(growing_tables)
{
	start(24);
	tune_set(TUNE_ID_mmap_max, 0, TUNE_MALLOPT);
	run(grow, THREADS);
	ck_assert_uint_gt(window.pages, 3 * SECTION_PAGES);
	zones_hold();
}
END_TEST

/* Threads come and go: what they leave in caches is found by the others. */
static void *short_life(void *arg)
{
	struct rng r = { (uintptr_t)arg };
	char *p[50];

	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = make(&r, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		check(p[i]);
		kfree(p[i]);
	}
	return NULL;
}

START_TEST(short_threads)
{
	size_t pages = 0;

	start(0);
	for (int i = 0; i < 100; i++) {
		run(short_life, 4);
		if (i == 20)
			pages = kmalloc_usage().slab_pages;
	}
	ck_assert_uint_le(kmalloc_usage().slab_pages, 2 * pages);
	finish();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		cross_frees, few_slots, no_mappings, drains_meanwhile, producers_consumers,
		growing_tables, short_threads,
	};

	return unit_run("threads", tests, ARRAY_SIZE(tests));
}
