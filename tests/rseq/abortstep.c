/* SPDX-License-Identifier: MIT */
/*
 * A class's first blocks: the sheaf is filled, moves to its larger place, grows. Each of the
 * sequences that do that is aborted once, in a child of its own. No abort may cost a block,
 * nor leave a sheaf that caches less than one whose sequences all went through.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "owner.h"
#include "step.h"

#define SIZE 208
#define FIRST 40	/* more than the small place holds, often enough in three rounds */
#define LATER 20
#define SEQUENCES 200

/*
 * Sheaves grow where misses come thick, and single steps are slow: so the clock stands still,
 * by what the library reads of it in the vDSO.
 */
static void stop_the_clock(void)
{
	/* movq $1, (%rsi); movq $0, 8(%rsi); xor %eax, %eax; ret */
	static const unsigned char one_second[] = {
		0x48, 0xc7, 0x06, 1, 0, 0, 0, 0x48, 0xc7, 0x46, 0x08, 0, 0, 0, 0, 0x31, 0xc0, 0xc3
	};
	void *vdso = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
	char *code = vdso ? dlsym(vdso, "__vdso_clock_gettime") : NULL;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *start = (char *)((uintptr_t)code & -page);

	CHECK(code && !mprotect(start, 2 * page, PROT_READ | PROT_WRITE | PROT_EXEC),
	      "no clock in the vDSO: %s", strerror(errno));
	memcpy(code, one_second, sizeof(one_second));
}

static void rounds(struct owner *o, unsigned count, size_t n)
{
	for (unsigned r = 0; r < count; r++) {
		for (size_t i = 0; i < n; i++)
			owner_get(o, &o->b[i], SIZE);
		for (size_t i = 0; i < n; i++)
			owner_put(&o->b[i]);
	}
}

static void traced(void *arg)
{
	struct owner *o = arg;
	size_t before, after;

	free(hard_malloc(100));
	rounds(o, 2, FIRST);
	before = mallinfo2().uordblks;
	step_mark();
	rounds(o, 1, FIRST);
	step_mark();
	rounds(o, 50, 3 * LATER);
	after = mallinfo2().uordblks;
	if (hard_on_stele())
		CHECK(after == before, "%zu bytes in use before, %zu after", before, after);
	step_mark();
	rounds(o, 1, LATER);
	step_mark();
}

/* Steps of LATER allocations and frees after the sequence number @abort was aborted. */
static unsigned long cost(struct owner *o, long abort, long *sequences)
{
	pid_t pid = step_start(traced, o);
	unsigned long steps;

	CHECK(step_to_mark(pid), "no first mark");
	step_walk(pid, NULL, NULL, abort);
	*sequences = step_sequences;
	CHECK(step_to_mark(pid), "no third mark");
	steps = step_walk(pid, NULL, NULL, -1);
	CHECK(!step_to_mark(pid), "one mark too many");
	return steps;
}

int main(void)
{
	static struct owner owner;
	unsigned long usual, steps;
	long sequences, seen;

	if (!step_can_clear())
		SKIP("libc registers no area");
	stop_the_clock();
	owner_init(&owner, 1, SIZE);
	usual = cost(&owner, -1, &sequences);
	for (long i = 0; i < sequences && i < SEQUENCES; i++) {
		steps = cost(&owner, i, &seen);
		CHECK(steps <= usual + usual / 4,
		      "sequence %ld of %ld aborted once: later rounds take %lu steps, not %lu", i,
		      sequences, steps, usual);
	}
	return 0;
}
