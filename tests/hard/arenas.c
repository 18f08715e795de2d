/* SPDX-License-Identifier: MIT */
/* 64 threads alive at once, each with a small working set: memory stays small as well. */
#include "hard.h"

#define THREADS 64
#define BLOCKS 100
#define OPS 20000
#define RSS_MAX (64 * MIB)

static pthread_barrier_t barrier;

static void *worker(void *arg)
{
	uint64_t rnd = hard_seed((uintptr_t)arg);
	void *p[BLOCKS] = { NULL };
	size_t n[BLOCKS] = { 0 };
	size_t i, k;

	for (i = 0; i < OPS; i++) {
		k = hard_rand(&rnd) % BLOCKS;
		if (p[k])
			hard_verify(p[k], n[k], k);
		free(p[k]);
		n[k] = hard_rand_size(&rnd, i % 100 ? 9 : 15);
		p[k] = hard_malloc(n[k]);
		hard_fill(p[k], n[k], k);
	}
	pthread_barrier_wait(&barrier);	/* all are alive: main measures */
	pthread_barrier_wait(&barrier);
	for (k = 0; k < BLOCKS; k++)
		free(p[k]);
	return NULL;
}

int main(void)
{
	pthread_t t[THREADS];
	size_t rss;
	uintptr_t i;

	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (i = 0; i < THREADS; i++)
		hard_start(&t[i], worker, (void *)i);
	pthread_barrier_wait(&barrier);
	rss = hard_rss();
	pthread_barrier_wait(&barrier);
	for (i = 0; i < THREADS; i++)
		hard_join(t[i]);
	CHECK(rss < RSS_MAX, "64 small working sets take %zu KiB", rss / KIB);
	return 0;
}
