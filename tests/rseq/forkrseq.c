/* SPDX-License-Identifier: MIT */
/*
 * Forks at any moment of four threads at full speed. What a thread's table shows at the fork
 * was live then, so the child, which allocates 10,000 blocks of its own, must get none of it.
 */
#include <malloc.h>

#include "owner.h"

#define THREADS 4
#define FORKS 100
#define SECONDS 1.0
#define MINE 10000
#define CHILD_SECONDS 100

static struct owner owner[THREADS];
static struct owned mine[MINE];
static atomic_bool stop;

static void *worker(void *arg)
{
	uintptr_t me = (uintptr_t)arg;

	while (!atomic_load(&stop))
		owner_round(&owner[me]);
	owner_end(&owner[me]);
	return NULL;
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct owned *)a)->p;
	uintptr_t y = (uintptr_t)((const struct owned *)b)->p;

	return (x > y) - (x < y);
}

static size_t collect(struct owned *live)
{
	size_t n = 0;

	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < OWNER_BLOCKS; i++)
			if (owner[t].b[i].p)
				live[n++] = owner[t].b[i];
	return n;
}

/* Each to its neighbour: both lists are one, sorted. */
static void check_apart(struct owned *all, size_t n)
{
	qsort(all, n, sizeof(*all), by_address);
	for (size_t i = 1; i < n; i++)
		CHECK((char *)all[i - 1].p + all[i - 1].n <= (char *)all[i].p,
		      "%p of %zu and %p of %zu overlap", all[i - 1].p, all[i - 1].n, all[i].p,
		      all[i].n);
}

static void child(unsigned round)
{
	static struct owned all[MINE + THREADS * OWNER_BLOCKS];
	static struct owner own;
	size_t n = collect(all);

	alarm(CHILD_SECONDS);
	owner_init(&own, 100, 2048);
	for (size_t i = 0; i < MINE; i++) {
		/* not owner_get: a copied page may show a block in the midst of its owner's hands */
		mine[i].n = 16 + hard_rand(&own.rnd) % 497;
		mine[i].p = hard_malloc(mine[i].n);
		all[n + i] = mine[i];
	}
	check_apart(all, n + MINE);
	for (size_t i = 0; i < MINE; i++)
		hard_fill(mine[i].p, mine[i].n, i);
	CHECK(mallinfo2().uordblks >= 16 * MINE, "in use: %zu", mallinfo2().uordblks);
	for (size_t i = 0; i < MINE; i++) {
		hard_verify(mine[i].p, mine[i].n, i);
		free(mine[i].p);
		if (i == MINE / 2 && round % 2)
			malloc_trim(0);
	}
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < OWNER_BLOCKS; i++)
			free(owner[t].b[i].p);
	malloc_trim(0);
	_exit(0);
}

int main(void)
{
	pthread_t t[THREADS];
	double end = hard_now() + SECONDS;
	unsigned round;

	for (uintptr_t i = 0; i < THREADS; i++) {
		owner_init(&owner[i], (unsigned)i, 512);
		owner_start(&t[i], worker, (void *)i);
	}
	for (round = 0; round < FORKS && (round < 5 || hard_now() < end); round++) {
		pid_t pid = fork();

		CHECK(pid >= 0, "fork: errno %d", errno);
		if (pid == 0)
			child(round);
		hard_reap(pid, "forked child");
	}
	atomic_store(&stop, true);
	for (int i = 0; i < THREADS; i++)
		hard_join(t[i]);
	return 0;
}
