/* SPDX-License-Identifier: MIT */
/*
 * One of 8 allocating threads forks 2,000 times, at any moment of the other seven. The child
 * frees what it inherited, allocates, at times starts a thread; a hang ends in its alarm.
 */
#include <stdatomic.h>
#include <stdbool.h>

#include "hard.h"

#define THREADS 8
#define FORKS 2000
#define SHARED 256
#define CHILD_SECONDS 100

struct block {
	size_t n;
	uint64_t tag;
	unsigned char data[];
};

static _Atomic(struct block *) shared[SHARED];
static atomic_bool stop;

static struct block *block_new(uint64_t *rnd)
{
	size_t n = hard_rand_size(rnd, hard_rand(rnd) % 128 ? 10 : 18);
	struct block *b = hard_malloc(sizeof(*b) + n);

	b->n = n;
	b->tag = hard_rand(rnd);
	hard_fill(b->data, n, b->tag);
	return b;
}

static void block_free(struct block *b)
{
	if (!b)
		return;
	hard_verify(b->data, b->n, b->tag);
	free(b);
}

static void churn(uint64_t *rnd, unsigned int count)
{
	while (count--) {
		struct block *b = block_new(rnd);

		block_free(atomic_exchange(&shared[hard_rand(rnd) % SHARED], b));
	}
}

static void *worker(void *arg)
{
	uint64_t rnd = hard_seed((uintptr_t)arg);

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		churn(&rnd, 32);
		/* leave the forker a CPU: without this most of the time goes to its queue */
		hard_usleep(100);
	}
	return NULL;
}

static void *child_thread(void *arg)
{
	uint64_t rnd = hard_seed(1000 + (uintptr_t)arg);

	churn(&rnd, 50);
	return NULL;
}

static void child(uintptr_t round)
{
	uint64_t rnd = hard_seed(5000 + round);
	pthread_t t;
	int i;

	alarm(CHILD_SECONDS);
	for (i = 0; i < SHARED; i++)
		block_free(atomic_exchange(&shared[i], NULL));
	churn(&rnd, 100);
	if (round % 8 == 0) {
		hard_start(&t, child_thread, (void *)round);
		churn(&rnd, 50);
		hard_join(t);
	}
	for (i = 0; i < SHARED; i++)
		block_free(atomic_exchange(&shared[i], NULL));
	_exit(0);
}

static void *forker(void *arg)
{
	uint64_t rnd = hard_seed(77);
	uintptr_t round;

	(void)arg;
	for (round = 0; round < FORKS; round++) {
		pid_t pid = fork();

		CHECK(pid >= 0, "fork: errno %d", errno);
		if (pid == 0)
			child(round);
		churn(&rnd, 8);
		hard_reap(pid, "forked child");
	}
	atomic_store(&stop, true);
	return NULL;
}

int main(void)
{
	pthread_t t[THREADS];
	uintptr_t i;

	hard_start(&t[0], forker, NULL);
	for (i = 1; i < THREADS; i++)
		hard_start(&t[i], worker, (void *)i);
	for (i = 0; i < THREADS; i++)
		hard_join(t[i]);
	for (i = 0; i < SHARED; i++)
		block_free(atomic_exchange(&shared[i], NULL));
	return 0;
}
