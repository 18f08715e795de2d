/* SPDX-License-Identifier: MIT */
/*
 * Pure producers and pure consumers (xmalloc's pattern): half of the -t threads only
 * allocate, the other half only frees. Blocks travel in batches, which are blocks themselves,
 * through one bounded queue. Nobody takes before it has been full once: so the most that is live
 * is the same under each allocator, however much faster than the other half one half is.
 */
#include "bench.h"

#define BATCH		250
#define QUEUE		64
#define SIZE_MIN	16
#define SIZE_MAX_	512

struct batch {
	struct batch *next;
	void *block[BATCH];
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more, room;
	struct batch *head, **tail;
	unsigned int length;
	int open;	/* for who takes */
	uint64_t to_make, to_take;
} queue = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.more = PTHREAD_COND_INITIALIZER,
	.room = PTHREAD_COND_INITIALIZER,
	.tail = &queue.head,
};

struct side {
	int consumer;
	uint64_t rng;
};

static void put(struct batch *b)
{
	b->next = NULL;
	pthread_mutex_lock(&queue.lock);
	while (queue.length == QUEUE)
		pthread_cond_wait(&queue.room, &queue.lock);
	*queue.tail = b;
	queue.tail = &b->next;
	queue.length++;
	if (queue.open) {
		pthread_cond_signal(&queue.more);
	} else if (queue.length == QUEUE || !queue.to_make) {
		queue.open = 1;
		pthread_cond_broadcast(&queue.more);
	}
	pthread_mutex_unlock(&queue.lock);
}

/* NULL when all batches of the run are taken or on their way to another consumer. */
static struct batch *take(void)
{
	struct batch *b = NULL;

	pthread_mutex_lock(&queue.lock);
	if (queue.to_take) {
		queue.to_take--;
		while (!queue.open || !queue.length)
			pthread_cond_wait(&queue.more, &queue.lock);
		b = queue.head;
		queue.head = b->next;
		if (!queue.head)
			queue.tail = &queue.head;
		queue.length--;
		pthread_cond_signal(&queue.room);
	}
	pthread_mutex_unlock(&queue.lock);
	return b;
}

static int claim_one(void)
{
	int more;

	pthread_mutex_lock(&queue.lock);
	more = queue.to_make > 0;
	queue.to_make -= (uint64_t)more;
	pthread_mutex_unlock(&queue.lock);
	return more;
}

static void produce(uint64_t *rng)
{
	while (claim_one()) {
		struct batch *b = bench_malloc(sizeof(*b));
		int i;

		for (i = 0; i < BATCH; i++)
			b->block[i] = bench_malloc(bench_range(rng, SIZE_MIN, SIZE_MAX_));
		put(b);
	}
}

static void consume(void)
{
	struct batch *b;
	int i;

	while ((b = take())) {
		for (i = 0; i < BATCH; i++)
			free(b->block[i]);
		free(b);
	}
}

static void *side_main(void *arg)
{
	struct side *side = arg;

	if (side->consumer)
		consume();
	else
		produce(&side->rng);
	return NULL;
}

int main(int argc, char **argv)
{
	int c, i, threads = 2;
	struct side *side;
	uint64_t n;

	while ((c = bench_getopt(argc, argv, "t:")) != -1)
		threads = atoi(optarg);
	if (threads < 2)
		bench_die("-t must be 2 or more");
	side = bench_table((size_t)threads, sizeof(*side));
	for (i = 0; i < threads; i++) {
		side[i].consumer = i & 1;
		side[i].rng = bench_seed(200 + (uint64_t)i);
	}
	n = bench_count(25e3);
	queue.to_make = queue.to_take = n;

	bench_begin();
	bench_threads(threads, side_main, side, sizeof(*side));
	bench_end(2 * n * (BATCH + 1));
	return 0;
}
