/* SPDX-License-Identifier: MIT */
/*
 * Under a debugger that steps, every sequence is aborted at its first instruction, each time
 * anew. Hits, refills and flushes must end all the same, after a bounded number of steps.
 */
#include <malloc.h>
#include <sys/mman.h>

#include "owner.h"
#include "step.h"

#define STEPS_PER_CALL 200000ul
#define BLOCKS 24

static volatile unsigned long *op;	/* shared: calls done */

static void some(struct owner *o, const size_t *sizes, size_t nr)
{
	for (size_t s = 0; s < nr; s++) {
		for (size_t i = 0; i < BLOCKS; i++, ++*op)
			owner_get(o, &o->b[i], sizes[s]);
		for (size_t i = 0; i < BLOCKS; i++, ++*op)
			owner_put(&o->b[i]);
	}
}

static void traced(void *arg)
{
	static const size_t warm[] = { 32 }, cold[] = { 32, 200, 2048 };
	struct owner *o = arg;
	size_t before, after;

	some(o, warm, ARRAY_LEN(warm));
	before = mallinfo2().uordblks;
	step_mark();
	some(o, cold, ARRAY_LEN(cold));
	free(realloc(calloc(100, 7), 900));
	++*op;
	step_mark();
	after = mallinfo2().uordblks;
	if (hard_on_stele())
		CHECK(after == before, "%zu bytes in use before, %zu after", before, after);
	some(o, cold, ARRAY_LEN(cold));
}

int main(void)
{
	static struct owner owner;
	unsigned long steps;
	pid_t pid;

	op = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(op != MAP_FAILED, "errno %d", errno);
	owner_init(&owner, 1, 2048);
	pid = step_start(traced, &owner);
	CHECK(step_to_mark(pid), "no first mark");
	steps = step_plain(pid, op, STEPS_PER_CALL);
	CHECK(steps > 1000, "%lu steps", steps);
	CHECK(!step_to_mark(pid), "one mark too many");
	return 0;
}
