/* SPDX-License-Identifier: MIT */
/* 20,000 short threads: each allocates, frees, and leaves one block for main to free. */
#include "hard.h"

#define THREADS 20000
#define BATCH 8
#define BLOCKS 24

struct left {
	void *p;
	size_t n;
};

static struct left left[THREADS];

static void *brief(void *arg)
{
	uintptr_t id = (uintptr_t)arg;
	uint64_t rnd = hard_seed(id);
	void *p[BLOCKS];
	size_t n[BLOCKS];
	int i;

	for (i = 0; i < BLOCKS; i++) {
		n[i] = hard_rand_size(&rnd, 12);
		p[i] = hard_malloc(n[i]);
		hard_fill(p[i], n[i], id + (unsigned int)i);
	}
	for (i = 1; i < BLOCKS; i++) {
		hard_verify(p[i], n[i], id + (unsigned int)i);
		free(p[i]);
	}
	left[id].p = p[0];
	left[id].n = n[0];
	return NULL;
}

int main(void)
{
	pthread_t t[BATCH];
	uintptr_t i, j;

	for (i = 0; i < THREADS; i += BATCH) {
		for (j = 0; j < BATCH; j++)
			hard_start(&t[j], brief, (void *)(i + j));
		for (j = 0; j < BATCH; j++)
			hard_join(t[j]);
	}
	for (i = 0; i < THREADS; i++) {
		hard_verify(left[i].p, left[i].n, i);
		free(left[i].p);
	}
	return 0;
}
