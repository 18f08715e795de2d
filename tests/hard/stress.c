/* SPDX-License-Identifier: MIT */
/* 16 threads, sizes of 1 byte to 4 MiB, every kind of call, every byte pattern checked. */
#include <malloc.h>

#include "hard.h"

#define THREADS 16
#define SLOTS 48
#define OPS 20000
#define MAX_BITS 22

struct slot {
	void *p;
	size_t n;
	uint64_t tag;
};

static void slot_free(struct slot *s)
{
	hard_verify(s->p, s->n, s->tag);
	free(s->p);
	s->p = NULL;
}

static void slot_alloc(struct slot *s, uint64_t *rnd)
{
	size_t n = hard_rand_size(rnd, MAX_BITS);
	size_t align = (size_t)16 << hard_rand(rnd) % 13;

	switch (hard_rand(rnd) % 4) {
	case 0:
		s->p = calloc(1, n);
		CHECK(s->p, "calloc(%zu)", n);
		hard_verify_zero(s->p, n);
		break;
	case 1:
		s->p = memalign(align, n);
		CHECK(s->p, "memalign(%zu, %zu)", align, n);
		CHECK((uintptr_t)s->p % align == 0, "memalign(%zu) = %p", align, s->p);
		break;
	default:
		s->p = hard_malloc(n);
	}
	s->n = n;
	s->tag = hard_rand(rnd);
	hard_fill(s->p, s->n, s->tag);
}

static void slot_realloc(struct slot *s, uint64_t *rnd)
{
	size_t n = hard_rand_size(rnd, MAX_BITS);
	void *p = realloc(s->p, n);

	CHECK(p, "realloc(%zu)", n);
	hard_verify_part(p, s->n, s->tag, n);
	s->p = p;
	s->n = n;
	hard_fill(p, n, s->tag);
}

static void *worker(void *arg)
{
	struct slot slots[SLOTS] = { { NULL, 0, 0 } };
	uint64_t rnd = hard_seed((uintptr_t)arg);
	unsigned int i;

	for (i = 0; i < OPS; i++) {
		struct slot *s = &slots[hard_rand(&rnd) % SLOTS];

		if (!s->p)
			slot_alloc(s, &rnd);
		else if (hard_rand(&rnd) % 3 == 0)
			slot_realloc(s, &rnd);
		else
			slot_free(s);
	}
	for (i = 0; i < SLOTS; i++)
		if (slots[i].p)
			slot_free(&slots[i]);
	return NULL;
}

int main(void)
{
	pthread_t t[THREADS];
	uintptr_t i;

	for (i = 0; i < THREADS; i++)
		hard_start(&t[i], worker, (void *)i);
	for (i = 0; i < THREADS; i++)
		hard_join(t[i]);
	return 0;
}
