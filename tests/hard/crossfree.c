/* SPDX-License-Identifier: MIT */
/* Blocks freed by another thread than their maker: pairs with a queue, then all to all. */
#include <sched.h>
#include <stdatomic.h>

#include "hard.h"

#define PAIRS 4
#define PASSED 150000
#define RING 512
#define PEERS 8
#define MAILBOXES 1024
#define SWAPS 150000

struct block {
	size_t n;		/* bytes after the header */
	uint64_t tag;
	unsigned char data[];
};

struct ring {
	_Atomic unsigned int head;	/* written by the producer */
	_Atomic unsigned int tail;	/* written by the consumer */
	struct block *slot[RING];
};

static struct ring rings[PAIRS];
static _Atomic(struct block *) mailbox[MAILBOXES];

static struct block *block_new(uint64_t *rnd)
{
	size_t n = hard_rand_size(rnd, hard_rand(rnd) % 64 ? 11 : 18);
	struct block *b = hard_malloc(sizeof(*b) + n);

	b->n = n;
	b->tag = hard_rand(rnd);
	hard_fill(b->data, n, b->tag);
	return b;
}

static void block_free(struct block *b)
{
	hard_verify(b->data, b->n, b->tag);
	free(b);
}

static void *producer(void *arg)
{
	struct ring *r = arg;
	uint64_t rnd = hard_seed((uintptr_t)(r - rings));
	unsigned int i;

	for (i = 0; i < PASSED; i++) {
		struct block *b = block_new(&rnd);

		while (i - atomic_load_explicit(&r->tail, memory_order_acquire) == RING)
			sched_yield();
		r->slot[i % RING] = b;
		atomic_store_explicit(&r->head, i + 1, memory_order_release);
	}
	return NULL;
}

static void *consumer(void *arg)
{
	struct ring *r = arg;
	unsigned int i;

	for (i = 0; i < PASSED; i++) {
		while (atomic_load_explicit(&r->head, memory_order_acquire) == i)
			sched_yield();
		block_free(r->slot[i % RING]);
		atomic_store_explicit(&r->tail, i + 1, memory_order_release);
	}
	return NULL;
}

static void *peer(void *arg)
{
	uint64_t rnd = hard_seed(100 + (uintptr_t)arg);
	unsigned int i;

	for (i = 0; i < SWAPS; i++) {
		struct block *b = block_new(&rnd);

		b = atomic_exchange(&mailbox[hard_rand(&rnd) % MAILBOXES], b);
		if (b)
			block_free(b);
	}
	return NULL;
}

int main(void)
{
	pthread_t t[2 * PAIRS > PEERS ? 2 * PAIRS : PEERS];
	uintptr_t i;

	for (i = 0; i < PAIRS; i++) {
		hard_start(&t[2 * i], producer, &rings[i]);
		hard_start(&t[2 * i + 1], consumer, &rings[i]);
	}
	for (i = 0; i < 2 * PAIRS; i++)
		hard_join(t[i]);

	for (i = 0; i < PEERS; i++)
		hard_start(&t[i], peer, (void *)i);
	for (i = 0; i < PEERS; i++)
		hard_join(t[i]);
	for (i = 0; i < MAILBOXES; i++)
		if (mailbox[i])
			block_free(mailbox[i]);
	return 0;
}
