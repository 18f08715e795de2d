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

static atomic_int running;
static struct owner owner[THREADS];
static unsigned rounds;

static void *worker(void *arg)
{
	uintptr_t me = (uintptr_t)arg;

	owner_init(&owner[me], (unsigned)me, 2048);
	owner_run(&owner[me], rounds, SECONDS);
	owner_end(&owner[me]);
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static void *drainer(void *arg)
{
	unsigned *count = arg;

	while (atomic_load(&running)) {
		struct mallinfo2 m;

		malloc_trim(0);
		m = mallinfo2();
		CHECK(m.uordblks <= m.arena, "in use %zu of %zu", m.uordblks, m.arena);
		++*count;
	}
	return NULL;
}

static unsigned run(unsigned n)
{
	pthread_t t[THREADS + 1];
	unsigned drains = 0;

	rounds = n;
	atomic_store(&running, THREADS);
	owner_start(&t[THREADS], drainer, &drains);
	for (uintptr_t i = 0; i < THREADS; i++)
		owner_start(&t[i], worker, (void *)i);
	for (int i = 0; i <= THREADS; i++)
		hard_join(t[i]);
	return drains;
}

int main(void)
{
	size_t before, after;
	unsigned drains;

	/* what libc keeps for its threads is there from the first round on */
	run(1);
	before = mallinfo2().uordblks;
	drains = run(ROUNDS);
	after = mallinfo2().uordblks;
	CHECK(drains > 5, "%u drains", drains);
	if (hard_on_stele())
		CHECK(after == before, "%zu bytes in use before, %zu after %u drains", before,
		      after, drains);
	return 0;
}
