/* SPDX-License-Identifier: MIT */
/* Memory pools: what is set aside, waiting, and the ready-made kinds. */
#include <pthread.h>

#include <stele.h>

#include "tap.h"

#define K STELE_GFP_KERNEL

/* An allocator that can be told to have nothing. */
static volatile int dry, handed, taken_back;

static void *get(stele_gfp_t gfp, void *data)
{
	(void)gfp;
	if (dry)
		return NULL;
	handed++;
	return malloc(*(size_t *)data);
}

static void put(void *p, void *data)
{
	(void)data;
	taken_back++;
	free(p);
}

static size_t bytes = 100;

static void basics(void)
{
	stele_mempool_t *m = stele_mempool_create(4, get, put, &bytes);
	void *p[8];
	int n = 0;

	OK(m && handed == 4 && stele_mempool_curr_nr(m) == 4 && stele_mempool_min_nr(m) == 4,
	   "a pool begins full");
	p[0] = stele_mempool_alloc(m, K);
	OK(p[0] && stele_mempool_curr_nr(m) == 4 && handed == 5, "the allocator is asked first");
	dry = 1;
	while (n < 7 && (p[n + 1] = stele_mempool_alloc(m, STELE_GFP_NOWAIT)))
		n++;
	OK(n == 4 && !stele_mempool_curr_nr(m), "then the pool; who may not wait gets NULL");
	for (int i = 0; i < 4; i++)
		stele_mempool_free(p[i], m);
	OK(stele_mempool_curr_nr(m) == 4 && !taken_back, "elements fill the pool again");
	stele_mempool_free(p[4], m);
	OK(taken_back == 1, "and are freed when it is full");
	p[0] = stele_mempool_alloc_preallocated(m);
	OK(p[0] && stele_mempool_curr_nr(m) == 3, "alloc_preallocated");
	stele_mempool_free(p[0], m);
	stele_mempool_free(NULL, m);
	OK(stele_mempool_resize(m, 6) == -ENOMEM && stele_mempool_curr_nr(m) == 4 &&
	   stele_mempool_min_nr(m) == 6, "resize: as many as there are");
	dry = 0;
	OK(!stele_mempool_resize(m, 10) && stele_mempool_curr_nr(m) == 10, "larger");
	OK(!stele_mempool_resize(m, 2) && stele_mempool_curr_nr(m) == 2 && taken_back == 9,
	   "smaller");
	OK(stele_mempool_resize(m, -1) == -EINVAL, "not negative");
	stele_mempool_destroy(m);
	OK(handed == taken_back, "in the end all were given back: %d of %d", taken_back, handed);
	dry = 1;
	errno = 0;
	OK(!stele_mempool_create(1, get, put, &bytes) && errno == ENOMEM, "nothing to begin with");
	m = stele_mempool_create(0, get, put, &bytes);
	OK(m && !stele_mempool_alloc(m, STELE_GFP_NOWAIT), "an empty pool is a pool");
	stele_mempool_destroy(m);
	dry = 0;
}

/* Many threads, few elements, nothing to be had elsewhere: nobody starves, none is lost. */
#define THREADS 6
static stele_mempool_t *shared;
static volatile int overlaps;

static void *borrow(void *arg)
{
	for (int i = 0; i < 3000; i++) {
		volatile long *p = stele_mempool_alloc(shared, K);

		MUST(p);
		*p = (long)arg;
		if (i % 64 == 0)
			usleep(10);
		overlaps += *p != (long)arg;
		stele_mempool_free((void *)p, shared);
	}
	return NULL;
}

static void waiting(void)
{
	pthread_t t[THREADS];

	shared = stele_mempool_create(2, get, put, &bytes);
	MUST(shared);
	dry = 1;
	for (long i = 0; i < THREADS; i++)
		MUST(!pthread_create(&t[i], NULL, borrow, (void *)i));
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	dry = 0;
	OK(!overlaps && stele_mempool_curr_nr(shared) == 2, "who may wait always gets one");
	stele_mempool_destroy(shared);
}

static volatile int served;

static void *ask_empty(void *arg)
{
	void *p = stele_mempool_alloc(shared, K);

	served = 1;
	stele_mempool_free(p, shared);
	return arg;
}

/* A pool that keeps nothing: who waits is woken when the allocator may have some again. */
static void keeping_nothing(void)
{
	pthread_t t;
	void *p;

	shared = stele_mempool_create(0, get, put, &bytes);
	MUST(shared && (p = stele_mempool_alloc(shared, K)));
	dry = 1;
	MUST(!pthread_create(&t, NULL, ask_empty, NULL));
	usleep(100000);
	OK(!served, "a pool that keeps nothing: who may wait does");
	dry = 0;
	stele_mempool_free(p, shared);
	for (int i = 0; i < 100 && !served; i++)
		usleep(100000);
	OK(served, "until the allocator has something");
	MUST(served);
	pthread_join(t, NULL);
	stele_mempool_destroy(shared);
}

static void ready_made(void)
{
	struct stele_kmem_cache *c = stele_kmem_cache_create("pooled", 80, 0, 0, NULL);
	stele_mempool_t *a = stele_mempool_create_slab_pool(3, c);
	stele_mempool_t *b = stele_mempool_create_kmalloc_pool(3, 500);
	struct stele_fault_attr all = { 1, 100, 0, -1 };
	void *p, *q;

	MUST(a && b);
	MUST(!stele_fault_set(STELE_FAILSLAB, &all));
	p = stele_mempool_alloc(a, K);
	q = stele_mempool_alloc(b, STELE_GFP_ATOMIC);
	stele_fault_set(STELE_FAILSLAB, NULL);
	OK(p && q && stele_ksize(q) >= 500, "pools of objects and of blocks");
	OK(stele_mempool_curr_nr(a) == 2 && stele_mempool_curr_nr(b) == 2,
	   "serve while every request fails");
	stele_mempool_free(p, a);
	stele_mempool_free(q, b);
	stele_mempool_destroy(a);
	stele_mempool_destroy(b);
	OK(!stele_kmem_cache_destroy(c), "and leave nothing behind");
}

int main(void)
{
	basics();
	waiting();
	keeping_nothing();
	ready_made();
	return tap_end();
}
