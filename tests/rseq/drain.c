/* SPDX-License-Identifier: MIT */
/*
 * Threads at full speed while another empties all sheaves without pause. Nothing may be lost
 * or doubled: when all is freed, the bytes in use are to the byte what they were before.
 */
#include <malloc.h>

#include "owner.h"

#define THREADS 4
#define ROUNDS 6000
#define SECONDS 1.2
#define DRAINS 5	/* or as long as these take, where others have the CPUs */

static atomic_int running;
static struct owner owner[THREADS];
static unsigned rounds, wanted;
static atomic_uint drains;

static void *worker(void *arg)
{
	uintptr_t me = (uintptr_t)arg;

	owner_init(&owner[me], (unsigned)me, 2048);
	do
		owner_run(&owner[me], rounds, SECONDS);
	while (atomic_load(&drains) < wanted);
	owner_end(&owner[me]);
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static void *drainer(void *arg)
{
	while (atomic_load(&running)) {
		struct mallinfo2 m;

		malloc_trim(0);
		m = mallinfo2();
		CHECK(m.uordblks <= m.arena, "in use %zu of %zu", m.uordblks, m.arena);
		atomic_fetch_add(&drains, 1);
	}
	return arg;
}

/* Up to @n rounds, and @least times drained meanwhile. */
static void run(unsigned n, unsigned least)
{
	pthread_t t[THREADS + 1];

	rounds = n;
	wanted = least;
	atomic_store(&drains, 0);
	atomic_store(&running, THREADS);
	owner_start(&t[THREADS], drainer, NULL);
	for (uintptr_t i = 0; i < THREADS; i++)
		owner_start(&t[i], worker, (void *)i);
	for (int i = 0; i <= THREADS; i++)
		hard_join(t[i]);
}

int main(void)
{
	size_t before, after;

	/* what libc keeps for its threads is there from the first round on */
	run(1, 0);
	before = mallinfo2().uordblks;
	run(ROUNDS, DRAINS);
	after = mallinfo2().uordblks;
	if (hard_on_stele())
		CHECK(after == before, "%zu bytes in use before, %zu after %u drains", before,
		      after, atomic_load(&drains));
	return 0;
}
