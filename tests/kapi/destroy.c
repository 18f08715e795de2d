/* SPDX-License-Identifier: MIT */
/*
 * Caches are destroyed, and their numbers used again for others of other sizes, while
 * other threads give back what lies idle in all caches: no destructor runs after
 * its cache is gone, no slab goes back with another's size, nothing counts as out.
 */
#include <malloc.h>
#include <pthread.h>
#include <time.h>

#include <stele.h>

#include "tap.h"

#define K	STELE_GFP_KERNEL
#define SECONDS	2
#define OBJECTS	64

static volatile int stop;
static unsigned long late;
static pthread_t first;

static void *trim(void *arg)
{
	while (!stop)
		malloc_trim(0);
	return arg;
}

/* @data: is the cache there? The trimming threads are slow at it. */
static void dtor(void *obj, void *data)
{
	(void)obj;
	if (!pthread_equal(pthread_self(), first))
		usleep(200);
	if (!*(volatile int *)data)
		__atomic_fetch_add(&late, 1, __ATOMIC_RELAXED);
}

/* False: it could not be destroyed. */
static bool live_and_die(unsigned n)
{
	static const size_t sizes[] = { 64, 3000, 20000, 70000, 300000 };
	static int alive[1 << 16];
	struct stele_kmem_cache_args args = {
		.size = sizes[n % ARRAY_LEN(sizes)], .dtor = n % 3 ? dtor : NULL,
		.data = &alive[n % ARRAY_LEN(alive)],
	};
	struct stele_kmem_cache *c = stele_kmem_cache_create_args("brief", &args);
	void *p[OBJECTS];
	bool gone;

	MUST(c);
	alive[n % ARRAY_LEN(alive)] = 1;
	for (int i = 0; i < OBJECTS; i++) {
		MUST((p[i] = stele_kmem_cache_alloc(c, K)));
		memset(p[i], (int)n, 64);
	}
	for (int i = 0; i < OBJECTS; i++)
		stele_kmem_cache_free(c, p[i]);
	usleep(n % 400);
	gone = !stele_kmem_cache_destroy(c);
	alive[n % ARRAY_LEN(alive)] = 0;
	return gone;
}

/* ---- what another thread frees meanwhile ---- */

static volatile int freeing;

static void slow_dtor(void *obj, void *data)
{
	(void)obj;
	(void)data;
	freeing = 1;
	usleep(20000);
}

static void *trim_once(void *arg)
{
	malloc_trim(0);
	return arg;
}

/*
 * Objects of a cache were put aside, and the thread that frees them is busy with
 * another's, on top of them: they are not out.
 */
static void aside(void)
{
	struct stele_kmem_cache_args slow = { .size = 300000, .dtor = slow_dtor,
					      .flags = STELE_SLAB_CONSISTENCY_CHECKS };
	struct stele_kmem_cache *c = stele_kmem_cache_create("aside", 64, 0,
							     STELE_SLAB_CONSISTENCY_CHECKS, NULL);
	struct stele_kmem_cache *s = stele_kmem_cache_create_args("slow", &slow);
	void *p[OBJECTS], *q;
	pthread_t t;

	MUST(c && s);
	for (int i = 0; i < OBJECTS; i++)
		MUST((p[i] = stele_kmem_cache_alloc(c, K)));
	MUST((q = stele_kmem_cache_alloc(s, K)));
	for (int i = 0; i < OBJECTS; i++)
		stele_kmem_cache_free_nolock(c, p[i]);
	stele_kmem_cache_free_nolock(s, q);
	MUST(!pthread_create(&t, NULL, trim_once, NULL));
	while (!freeing)
		usleep(100);
	OK(!stele_kmem_cache_destroy(c), "what another thread is freeing is not out");
	pthread_join(t, NULL);
	OK(!stele_kmem_cache_destroy(s), "and its cache goes too");
}

int main(void)
{
	time_t end = time(NULL) + SECONDS;
	unsigned n = 0, stayed = 0;
	pthread_t t[2];

	first = pthread_self();
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		MUST(!pthread_create(&t[i], NULL, trim, NULL));
	while (time(NULL) < end)
		stayed += !live_and_die(n++);
	stop = 1;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
	OK(!stayed, "of %u caches all could be destroyed, but %u", n, stayed);
	OK(!late, "and no destructor ran later: %lu", late);
	aside();
	return tap_end();
}
