/* SPDX-License-Identifier: MIT */
/*
 * A cache that is shrunk without end while its objects come and go: its sheaves are
 * closed and opened under the feet of those who miss in them, and no object is lost.
 */
#include <pthread.h>

#include <stele.h>

#include "tap.h"

#define K STELE_GFP_KERNEL
#define THREADS 3
#define SHRINKS 20000

static struct stele_kmem_cache *c;
static volatile int stop;

static void *churn(void *arg)
{
	void *p[100] = { 0 };

	for (unsigned k = 1; !stop; k = k * 1103515245 + 12345) {
		void **at = &p[(k >> 16) % 100];

		if (*at)
			stele_kmem_cache_free(c, *at);
		*at = *at ? NULL : stele_kmem_cache_alloc(c, K);
	}
	for (int i = 0; i < 100; i++)
		stele_kmem_cache_free(c, p[i]);
	return arg;
}

int main(void)
{
	pthread_t t[THREADS];

	c = stele_kmem_cache_create("shrunk", 96, 0, 0, NULL);
	MUST(c);
	for (int i = 0; i < THREADS; i++)
		MUST(!pthread_create(&t[i], NULL, churn, NULL));
	for (int i = 0; i < SHRINKS; i++)
		stele_kmem_cache_shrink(c);
	stop = 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	OK(!stele_kmem_cache_destroy(c), "nothing is lost");
	return tap_end();
}
