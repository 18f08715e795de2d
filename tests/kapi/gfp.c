/* SPDX-License-Identifier: MIT */
/*
 * What the flags promise: no system call and no waiting (a filter kills who makes
 * one), the reserve and who may have how much of it, rounds of retries, callbacks.
 */
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#include <stele.h>

#include "../rseq/filter.h"
#include "tap.h"

#define K STELE_GFP_KERNEL

/* From now on any system call but the end of the process kills it. */
static void no_calls(void)
{
	if (filter_kill_but(SYS_exit_group, SYS_exit_group))
		_exit(0);
}

static struct stele_kmem_cache *cache, *fresh;

/* Everything that may be asked for with @gfp, until there is nothing more. */
static unsigned long use_up(stele_gfp_t gfp)
{
	static void *got[20000];
	unsigned long n = 0, served = 0;

	for (size_t i = 0; n < ARRAY_LEN(got); i++) {
		static const size_t sizes[] = { 16, 100, 1000, 5000, 32768, 70000, 300000 };
		void *p;

		switch (i % 9) {
		case 7:
			p = stele_kmem_cache_alloc(cache, gfp);
			break;
		case 8:
			p = stele_kmem_cache_alloc(fresh, gfp);
			break;
		default:
			p = stele_kmalloc(sizes[i % 9], gfp | (i & 1 ? STELE_GFP_ZERO : 0));
			if (p && i & 1 && !all_bytes(p, 0, sizes[i % 9]))
				_exit(3);
		}
		if (p)
			got[n++] = p;
		else if (i > 3000)
			break;
	}
	served = n;
	while (n)
		stele_kfree_nolock(got[--n]);
	return served;
}

static void quiet(void *arg)
{
	stele_gfp_t gfp = *(stele_gfp_t *)arg;
	void *warm[64];

	for (int i = 0; i < 64; i++)
		warm[i] = stele_kmalloc(10000, K);
	for (int i = 0; i < 64; i++)
		stele_kfree(warm[i]);
	stele_kfree(stele_kmem_cache_alloc(cache, K));
	no_calls();
	for (int round = 0; round < 3; round++) {
		if (use_up(gfp) < 50)
			_exit(2);
	}
	_exit(0);
}

/* What was put aside because it could not be freed is freed by whoever may wait. */
static void put_aside(void *arg)
{
	static void *p[3000];
	size_t n;

	(void)arg;
	for (n = 0; n < ARRAY_LEN(p); n++)
		p[n] = stele_kmalloc(n % 3 ? 64 : 200000, K);
	while (n)
		stele_kfree_nolock(p[--n]);
	for (n = 0; n < ARRAY_LEN(p); n++)
		MUST((p[n] = stele_kmalloc(n % 3 ? 64 : 200000, K)));
}

/* ---- the reserve ---- */

static unsigned long from_reserve(stele_gfp_t gfp)
{
	unsigned long before = stele_reserve_pages();

	/* of the size of a small slab */
	while (stele_kmalloc(16 * 4096, gfp))
		;
	return before - stele_reserve_pages();
}

static void reserve(void *arg)
{
	unsigned long half, more, all;
	void *p;

	(void)arg;
	MUST(!stele_reserve_fill(512) && stele_reserve_pages() == 512);
	limit_memory(0);
	while (stele_kmalloc(16 * 4096, K | STELE_GFP_NOWARN | STELE_GFP_NOMEMALLOC))
		;
	while (stele_kmalloc(16 * 4096, STELE_GFP_NOWAIT))
		;
	MUST(stele_reserve_pages() == 512);
	p = stele_kmalloc(16 * 4096, STELE_GFP_ATOMIC);
	MUST(p && stele_reserve_pages() == 496);
	memset(p, 1, 16 * 4096);
	stele_kfree(p);
	/* into the reserve, not for all */
	MUST(stele_reserve_pages() == 512 && !stele_kmalloc(16 * 4096, STELE_GFP_NOWAIT));
	half = from_reserve(K | STELE_GFP_HIGH | STELE_GFP_NOWARN);
	MUST(half == 256);
	more = from_reserve(STELE_GFP_ATOMIC);
	MUST(half + more == 512 * 5 / 8);
	MUST(!from_reserve(STELE_GFP_ATOMIC | STELE_GFP_MEMALLOC | STELE_GFP_NOMEMALLOC));
	{
		unsigned saved = stele_memalloc_noreclaim_save();

		all = from_reserve(K | STELE_GFP_NOWARN);
		stele_memalloc_noreclaim_restore(saved);
	}
	MUST(half + more + all == 512 && !stele_reserve_pages());
	MUST(!stele_reserve_fill(0) && !stele_reserve_pages());
}

static void refill(void *arg)
{
	(void)arg;
	MUST(!stele_reserve_fill(100) && stele_reserve_pages() == 100);
	MUST(!stele_reserve_fill(1000) && stele_reserve_pages() == 1000);
	stele_kfree(stele_kmalloc(100000, STELE_GFP_ATOMIC));
	MUST(!stele_reserve_fill(10) && stele_reserve_pages() == 10);
	MUST(stele_reserve_fill(1ul << 40) == -ENOMEM && stele_reserve_pages() == 10);
	MUST(!stele_reserve_fill(0) && !stele_reserve_pages());
}

/* ---- failing, and not ---- */

static void short_of_memory(void)
{
	limit_memory(4 * MIB);
	while (stele_kmalloc(100000, K | STELE_GFP_NOWARN | STELE_GFP_NORETRY))
		;
}

static void speaks(void *arg)
{
	(void)arg;
	short_of_memory();
	MUST(!stele_kmalloc(1000000, K | STELE_GFP_NORETRY) && errno == ENOMEM);
}

static void silent(void *arg)
{
	unsigned saved;

	(void)arg;
	short_of_memory();
	MUST(!stele_kmalloc(1000000, K | STELE_GFP_NOWARN) && errno == ENOMEM);
	MUST(!stele_kmalloc(1000000, STELE_GFP_NOIO));
	MUST(!stele_kmalloc(1000000, STELE_GFP_NOWAIT));
	MUST(!stele_kmalloc(1000000, STELE_GFP_ATOMIC));
	saved = stele_memalloc_noio_save();
	MUST(!stele_kmalloc(1000000, K));
	stele_memalloc_noio_restore(saved);
}

static volatile unsigned long rounds_seen;
static void *volatile held;

static enum stele_nofail on_nofail(unsigned long size, stele_gfp_t gfp, unsigned long round,
				   void *data)
{
	if (size != 1000000 || !(gfp & STELE_GFP_NOFAIL) || data != (void *)&held)
		_exit(5);
	rounds_seen = round;
	if (round == 5) {
		stele_kfree(held);
		held = NULL;
	}
	return round > 8 ? STELE_NOFAIL_ABORT : STELE_NOFAIL_RETRY;
}

static void never_fails(void *arg)
{
	void *p;

	(void)arg;
	held = stele_kmalloc(2 * MIB, K);
	short_of_memory();
	stele_set_nofail_callback(on_nofail, (void *)&held);
	p = stele_kmalloc(1000000, K | STELE_GFP_NOFAIL);
	MUST(p && rounds_seen == 5);
	memset(p, 1, 1000000);
	/* no callback can make room for what cannot be */
	MUST(!stele_kmalloc(hide_size(SIZE_MAX / 2 + 1), K | STELE_GFP_NOFAIL | STELE_GFP_NOWARN));
}

static void gives_up(void *arg)
{
	(void)arg;
	held = stele_kmalloc(10, K);
	short_of_memory();
	stele_set_nofail_callback(on_nofail, (void *)&held);
	(void)!stele_kmalloc(1000000, K | STELE_GFP_NOFAIL);
}

static void *free_later(void *arg)
{
	usleep(60000);
	stele_kfree(held);
	return arg;
}

/* Without a callback: until another thread frees something. */
static void waits(void *arg)
{
	pthread_t t;

	(void)arg;
	held = stele_kmalloc(2 * MIB, K);
	MUST(!pthread_create(&t, NULL, free_later, NULL));
	short_of_memory();
	MUST(stele_kmalloc(1000000, K | STELE_GFP_NOFAIL));
	pthread_join(t, NULL);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* RETRY_MAYFAIL pauses for others, NORETRY does not. */
static void tries(void *arg)
{
	double t0, t1, t2;

	(void)arg;
	short_of_memory();
	t0 = now();
	MUST(!stele_kmalloc(1000000, K | STELE_GFP_NORETRY | STELE_GFP_NOWARN));
	t1 = now();
	MUST(!stele_kmalloc(1000000, K | STELE_GFP_RETRY_MAYFAIL | STELE_GFP_NOWARN));
	t2 = now();
	MUST(t2 - t1 >= 0.004);
	(void)t0;
}

/* Idle memory of sheaves, barns and empty slabs serves others before anything fails. */
static void light_reclaim(void *arg)
{
	static void *p[4000];
	size_t n = 0;

	(void)arg;
	limit_memory(16 * MIB);
	while (n < ARRAY_LEN(p) && (p[n] = stele_kmalloc(3000, K | STELE_GFP_NOWARN)))
		n++;
	while (n)
		stele_kfree(p[--n]);
	while (stele_kmalloc(100000, K | STELE_GFP_NORETRY | STELE_GFP_NOWARN))
		n++;
	MUST(n >= 60);
}

/* A cold block is not the one that was freed last. */
static void cold(void)
{
	void *hot = stele_kmalloc(64, K), *p, *q;

	stele_kfree(hot);
	p = stele_kmalloc(64, K | STELE_GFP_COLD);
	q = stele_kmalloc(64, K);
	OK(p && p != hot && q == hot, "__GFP_COLD leaves the warm ones to others");
	stele_kfree(p);
	stele_kfree(q);
	hot = stele_kmem_cache_alloc(cache, K);
	stele_kmem_cache_free(cache, hot);
	p = stele_kmem_cache_alloc(cache, K | STELE_GFP_COLD);
	OK(p && p != hot, "for objects too");
	stele_kmem_cache_free(cache, p);
}

/* Flags that say nothing here do no harm. */
static void taken(void)
{
	static const stele_gfp_t some[] = {
		STELE_GFP_USER, STELE_GFP_HIGHUSER, STELE_GFP_HIGHUSER_MOVABLE,
		K | STELE_GFP_THISNODE | STELE_GFP_RECLAIMABLE | STELE_GFP_COMP | STELE_GFP_WRITE,
		0, STELE_GFP_NOMEMALLOC | STELE_GFP_MEMALLOC, STELE_GFP_DIRECT_RECLAIM,
		K | STELE_GFP_NOFAIL, K | STELE_GFP_RETRY_MAYFAIL, K | STELE_GFP_NORETRY,
	};
	bool good = true;

	for (size_t i = 0; i < ARRAY_LEN(some); i++) {
		void *p = stele_kmalloc(300, some[i]), *q = stele_kmem_cache_alloc(cache, some[i]);

		good &= p && q;
		stele_kfree(p);
		stele_kfree(q);
	}
	OK(good, "every combination of flags is served");
	OK(stele_gfp_blocking(K) && !stele_gfp_blocking(STELE_GFP_NOWAIT) &&
	   !stele_gfp_blocking(STELE_GFP_ATOMIC), "stele_gfp_blocking");
}

int main(void)
{
	stele_gfp_t nowait = STELE_GFP_NOWAIT, atomic = STELE_GFP_ATOMIC;

	cache = stele_kmem_cache_create("cache", 200, 0, 0, NULL);
	fresh = stele_kmem_cache_create("fresh", 20000, 0, 0, NULL);
	MUST(cache && fresh);
	cold();
	taken();
	lives(quiet, &nowait, NULL, "GFP_NOWAIT makes no system call");
	lives(quiet, &atomic, NULL, "GFP_ATOMIC neither, nor does kfree_nolock");
	MUST(!stele_reserve_fill(256));
	lives(quiet, &atomic, NULL, "nor with a reserve");
	MUST(!stele_reserve_fill(0));
	lives(put_aside, NULL, NULL, "what kfree_nolock put aside is freed");
	lives(reserve, NULL, NULL, "the reserve: half, five eighths, all, and its pages come back");
	lives(refill, NULL, NULL, "the reserve can be replaced");
	lives(speaks, NULL, "stele: kmalloc: allocation failure: 1000000 bytes, mode:8f("
	      "GFP_KERNEL|__GFP_NORETRY), called from ", "a failure is reported");
	lives(silent, NULL, NULL, "but not with NOWARN, NOIO, or by who may not wait");
	lives(never_fails, NULL, NULL, "NOFAIL asks its callback until it succeeds");
	dies(gives_up, NULL, "no memory for 1000000 bytes that must not fail", NULL,
	     "which may give up");
	lives(waits, NULL, NULL, "NOFAIL without a callback waits for memory");
	lives(tries, NULL, NULL, "RETRY_MAYFAIL waits for others, then fails");
	lives(light_reclaim, NULL, NULL, "NORETRY takes what lies idle");
	return tap_end();
}
