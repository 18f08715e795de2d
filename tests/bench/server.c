/* SPDX-License-Identifier: MIT */
/*
 * A server whose workers come and go (larson's pattern). Each of -t chains owns a table of
 * live blocks; a worker replaces random ones, then starts its successor, hands it the table
 * and ends. So most blocks are freed by a thread that did not allocate them.
 */
#include "bench.h"

#define SLOTS		2000
#define SIZE_MIN	8
#define SIZE_MAX_	1000
#define PER_WORKER	50000u

struct chain {
	void *block[SLOTS];
	uint64_t rng;
	uint64_t left;
	pthread_mutex_t lock;
	pthread_cond_t done;
};

static void *worker(void *arg)
{
	struct chain *ch = arg;
	uint64_t i, n = ch->left < PER_WORKER ? ch->left : PER_WORKER;
	pthread_t next;

	for (i = 0; i < n; i++) {
		size_t at = bench_range(&ch->rng, 0, SLOTS - 1);

		free(ch->block[at]);
		ch->block[at] = bench_malloc(bench_range(&ch->rng, SIZE_MIN, SIZE_MAX_));
	}
	pthread_mutex_lock(&ch->lock);
	ch->left -= n;
	if (!ch->left) {
		pthread_cond_signal(&ch->done);
	} else {
		if (pthread_create(&next, NULL, worker, ch))
			bench_die("cannot start a worker");
		pthread_detach(next);
	}
	pthread_mutex_unlock(&ch->lock);
	return NULL;
}

static void start(struct chain *ch, uint64_t n, uint64_t seed)
{
	pthread_t first;
	size_t i;

	ch->rng = bench_seed(seed);
	ch->left = n;
	pthread_mutex_init(&ch->lock, NULL);
	pthread_cond_init(&ch->done, NULL);
	for (i = 0; i < SLOTS; i++)
		ch->block[i] = bench_malloc(bench_range(&ch->rng, SIZE_MIN, SIZE_MAX_));
	if (pthread_create(&first, NULL, worker, ch))
		bench_die("cannot start a worker");
	pthread_detach(first);
}

static void finish(struct chain *ch)
{
	size_t i;

	pthread_mutex_lock(&ch->lock);
	while (ch->left)
		pthread_cond_wait(&ch->done, &ch->lock);
	pthread_mutex_unlock(&ch->lock);
	for (i = 0; i < SLOTS; i++)
		free(ch->block[i]);
}

int main(int argc, char **argv)
{
	int c, i, threads = 2;
	struct chain *chains;
	uint64_t n;

	while ((c = bench_getopt(argc, argv, "t:")) != -1)
		threads = atoi(optarg);
	chains = bench_table((size_t)threads, sizeof(*chains));
	n = bench_count(30e6 / threads);

	bench_begin();
	for (i = 0; i < threads; i++)
		start(&chains[i], n, 100 + (uint64_t)i);
	for (i = 0; i < threads; i++)
		finish(&chains[i]);
	bench_end(2 * (n + SLOTS) * (uint64_t)threads);
	return 0;
}
