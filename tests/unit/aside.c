/* SPDX-License-Identifier: MIT */
/* lib/page/aside.c: runs that free() leaves to whoever takes pages next. */
#include "common.h"

#include <pthread.h>

#include "page/aside.h"
#include "page/limit.h"
#include "page/reclaim.h"
#include "page/zone.h"
#include "slab/kmalloc.h"
#include "slab/slab.h"
#include "tune/tune.h"

#define BYTES	40000ul
#define PAGES	10ul
#define MOST	512u	/* pages */

static struct zone *const z = &zones[ZONE_BRK];

/* The first free tells how much may lie aside. */
static void boot(void)
{
	unit_boot();
	kfree(kmalloc(BYTES));
}

static char *get(size_t size)
{
	char *p = kmalloc(size);

	must(p != NULL);
	memset(p, 0xee, size);
	return p;
}

static void is_aside(size_t pages)
{
	ck_assert_uint_eq(aside.pages, pages);
	ck_assert(!aside.runs == !pages);
}

/* A block waits for the next one, which gets its pages. */
START_TEST(waits)
{
	char *p, *q, *r;
	size_t used;

	boot();
	is_aside(0);
	used = zones_used();
	p = get(BYTES);
	q = get(BYTES);
	kfree(p);
	is_aside(PAGES);
	kfree(q);
	is_aside(2 * PAGES);
	ck_assert_uint_eq(kmalloc_usage().large_blocks, 0);
	r = get(2 * BYTES);
	ck_assert(r <= MIN(p, q) && r + 2 * BYTES > MIN(p, q));
	is_aside(0);
	kfree(r);
	ck_assert_uint_eq(zones_used(), used);
	is_aside(0);
	zones_hold();
}
END_TEST

/* Its pages are known to be other than zero. */
START_TEST(dirty)
{
	char *p;

	boot();
	kfree(get(BYTES));
	is_aside(PAGES);
	p = kzalloc(BYTES);
	ck_assert(all_zero(p, BYTES));
	kfree(p);
	kfree(get(100));
	kmalloc_drain();
	ck_assert_uint_ne(aside.pages, 0);
	p = kzalloc(BYTES);
	ck_assert(all_zero(p, BYTES));
}
END_TEST

/* A slab that has become empty is put aside as well, and is not found as one any more. */
START_TEST(slabs)
{
	static char *p[4096];
	size_t used;

	boot();
	kfree(get(1000));
	kmalloc_drain();
	used = zones_used();
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = get(1000);
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		kfree(p[i]);
	kmalloc_drain();
	ck_assert_uint_ne(aside.runs, 0);
	ck_assert_uint_eq(kmalloc_usage().slab_pages, 0);
	ck_assert_uint_eq(zones_used(), used);
	zones_hold();
}
END_TEST

/* Little, and what lies there and in the zone together is bound as ever. */
START_TEST(bounded)
{
	static char *p[4000];
	size_t mark, used, most = 0;

	boot();
	used = zones_used();
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = get(BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		kfree(p[i]);
		mark = MAX(tune.watermark >> PAGE_SHIFT,
			   (z->present - z->free) * tune.watermark_scale / 100);
		must(aside.pages <= MOST && z->free_touched + aside.pages <= mark);
		most = MAX(most, aside.pages);
	}
	ck_assert_uint_gt(most, MOST - PAGES);
	ck_assert_uint_ne(fake.calls[FAKE_PURGE], 0);
	ck_assert_uint_eq(zones_used(), used);
	zones_hold();
}
END_TEST

/* A long run goes to the zone at once, and so does what reclaims take and purge. */
START_TEST(not_all)
{
	char *p;

	boot();
	kfree(get(1 << 20));
	is_aside(0);
	kfree(get(BYTES));
	is_aside(PAGES);
	ck_assert(reclaim_all(0));
	is_aside(0);
	ck_assert_uint_eq(z->free_touched, 0);

	/* Neither with a limit, which the next allocation may meet, */
	p = get(BYTES);
	tune_set(TUNE_ID_limit, 64 << 20, TUNE_CONF);
	kfree(p);
	is_aside(0);
}
END_TEST

/* nor where the program has said what free() is to give back in that very call. */
START_TEST(not_with_parameters)
{
	char *p, *q;

	boot();
	p = get(BYTES);
	q = get(BYTES);
	kfree(p);
	is_aside(PAGES);
	tune_mallopt(-1, 0);		/* M_TRIM_THRESHOLD */
	tune_mallopt(-2, 0);		/* M_TOP_PAD */
	kfree(q);
	kfree(get(BYTES));
	is_aside(0);
	ck_assert_uint_eq(z->free_touched, 0);
	zones_hold();
}
END_TEST

/* The child does not count what another thread was about to put there. */
START_TEST(forked)
{
	boot();
	kfree(get(BYTES));
	aside.pages += MOST;
	aside_fork_child();
	is_aside(PAGES);
	kfree(get(100));
	zones_used();
	is_aside(0);
	aside_fork_child();
	is_aside(0);
}
END_TEST

static void call_free(void *p)
{
	kfree(p);
}

static void call_realloc(void *p)
{
	krealloc(p, 2 * BYTES);
}

static void dies(void (*fn)(void *), void *p, const char *words)
{
	fake_text_clear();
	ck_assert(fake_aborts(fn, p));
	must_say(words);
}

/* Nobody takes it for a block any more. */
START_TEST(twice)
{
	char *p, *q;

	boot();
	p = get(BYTES);
	q = get(1000);
	kfree(p);
	is_aside(PAGES);
	dies(call_free, p, "double free of ");
	dies(call_realloc, p, "double free of ");
	dies(call_free, p + PAGE_SIZE, "free of ");
	is_aside(PAGES);
	kfree(q);
	kmalloc_drain();
	dies(call_free, q, "double free of ");
}
END_TEST

#define THREADS	4
#define BLOCKS	64
#define ROUNDS	4000

/* Each has blocks of its own; freed by it, they are taken by the others. */
static void *hammer(void *arg)
{
	struct rng r = { (uintptr_t)arg };
	char *p[BLOCKS] = { NULL };
	size_t size[BLOCKS];

	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t k = rng_below(&r, BLOCKS);

		if (p[k]) {
			must(pattern_holds(p[k], size[k], k));
			kfree(p[k]);
			p[k] = NULL;
		} else {
			size[k] = 2000 + rng_below(&r, 60000);
			p[k] = kmalloc(size[k]);
			must(p[k] != NULL);
			pattern_fill(p[k], size[k], k);
		}
	}
	for (size_t k = 0; k < BLOCKS; k++)
		kfree(p[k]);
	return NULL;
}

START_TEST(threads)
{
	pthread_t t[THREADS];

	boot();
	fake.single_threaded = false;
	for (uintptr_t i = 0; i < THREADS; i++)
		must_eq(pthread_create(&t[i], NULL, hammer, (void *)(i + 1)), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	kmalloc_drain();
	ck_assert_uint_eq(kmalloc_usage().large_blocks, 0);
	ck_assert_uint_eq(kmalloc_usage().slab_pages, 0);
	zones_used();
	is_aside(0);
	zones_hold();
	ck_assert_str_eq(fake_text(), "");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		waits, dirty, slabs, bounded, not_all, not_with_parameters, forked, twice,
		threads,
	};

	return unit_run("aside", tests, ARRAY_SIZE(tests));
}
