/* SPDX-License-Identifier: MIT */
/* Four threads allocate and free while a fifth moves them from CPU to CPU without pause. */
#include <sys/syscall.h>

#include "owner.h"

#define THREADS 4
#define ROUNDS 20000
#define SECONDS 1.0
#define MOVES 100	/* or as long as these take, where others have the CPUs */

static atomic_int tid[THREADS];
static atomic_int running = THREADS;
static cpu_set_t all;
static atomic_ulong moves;

static void *worker(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	static struct owner owner[THREADS];

	owner_init(&owner[me], (unsigned)me, 2048);
	atomic_store(&tid[me], (int)syscall(SYS_gettid));
	do
		owner_run(&owner[me], ROUNDS, SECONDS);
	while (atomic_load(&moves) <= MOVES);
	owner_end(&owner[me]);
	/* the number is nobody else's before the join */
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static void storm(void)
{
	for (unsigned i = 0; atomic_load(&running) == THREADS; i++) {
		int t = atomic_load(&tid[i % THREADS]);
		cpu_set_t one = owner_cpu(&all, i / THREADS + i % 3);

		if (t && !sched_setaffinity(t, sizeof(one), &one))
			atomic_fetch_add(&moves, 1);
	}
}

int main(void)
{
	pthread_t t[THREADS];

	CHECK(!sched_getaffinity(0, sizeof(all), &all), "errno %d", errno);
	if (CPU_COUNT(&all) < 2)
		SKIP("one CPU");
	for (uintptr_t i = 0; i < THREADS; i++)
		owner_start(&t[i], worker, (void *)i);
	storm();
	for (int i = 0; i < THREADS; i++)
		hard_join(t[i]);
	return 0;
}
