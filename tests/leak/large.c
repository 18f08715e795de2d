/* SPDX-License-Identifier: MIT */
/*
 * Words that would point to a block if it lay where others put things, or among small numbers;
 * scene "large". Large blocks meet them first.
 */
#include "truth.h"

#include <malloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

CALLED("large", case_grown, "reachable 1 1073741824 root=held_grown", void *, (void))
{
	void *p = malloc(MIB);

	for (size_t n = 2 * MIB; n <= GIB; n *= 2)
		use(p = realloc(p, n));
	return p;
}

/*
 * The end of a mapping of the program's is no start of what lies behind it; nor where a block has
 * just grown over much of what was free.
 */
CASE("large", case_neighbour, "direct 8 8388608")
{
	static char *seen_ends[8];
	static void *held_grown;

	HOLD(held_grown, case_grown());
	for (size_t i = 0; i < ARRAY_LEN(seen_ends); i++) {
		char *p;

		use(malloc(MIB));
		p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		NEED(p != MAP_FAILED);
		HOLD(seen_ends[i], p + MIB);
	}
}

/* A number that was written over the lower half of a pointer, to whatever. */
static uintptr_t seen_halves[64];
static size_t nr_halves;

APART static void see_half(uintptr_t pointer)
{
	static const uint32_t numbers[] = {0, 1, 77, 4096, 65536, (uint32_t)-1, (uint32_t)-4096};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		NEED(nr_halves < ARRAY_LEN(seen_halves));
		seen_halves[nr_halves++] = (pointer & ~(uintptr_t)0xffffffff) | numbers[i];
	}
	use(seen_halves);
}

CASE("large", case_halves_seen, "direct 4 4294967296")
{
	uintptr_t last = 0;

	for (int i = 0; i < 4; i++)
		use((void *)(last = (uintptr_t)malloc(GIB)));
	NEED(last);
	see_half(last);
	see_half((uintptr_t)&printf);
	see_half((uintptr_t)seen_halves);
	see_half((uintptr_t)&last);
	see_half((uintptr_t)sbrk(0));
}

/* Nor are numbers that lie where the break is. */
CASE("large", case_numbers, "direct 64 6400")
{
	static uintptr_t seen_numbers[MIB];
	uintptr_t at = (uintptr_t)sbrk(0);

	for (size_t i = 0; i < 64; i++)
		use(malloc(100));
	for (size_t i = 0; i < MIB / 2; i++) {
		seen_numbers[MIB / 2 - 1 - i] = at - 16 * i;
		seen_numbers[MIB / 2 + i] = at + 16 * i;
	}
	use(seen_numbers);
}

/* However it was made. */
CASE("large", case_made, "direct 6 43057153")
{
	char *grown = malloc(200 << 10);

	for (size_t n = 300 << 10; n < 10 * MIB; n += n / 2)
		use(grown = realloc(grown, n));
	use(grown = realloc(grown, 10 * MIB + 1));
	use(calloc(1, 5 * MIB));
	use(aligned_alloc(2 * MIB, 4 * MIB));
	use(memalign(64 * MIB, 6 * MIB));
	use(valloc(7 * MIB));
	use(realloc(malloc(20 * MIB), 9 * MIB + 64 * 1024));
}

CASE("large", case_made_held, "reachable 4 23068672")
{
	static void *held_made[4];
	char *grown = malloc(200 << 10);

	for (size_t n = 300 << 10; n < 10 * MIB; n += n / 2)
		use(grown = realloc(grown, n));
	HOLD(held_made[0], realloc(grown, 10 * MIB));
	HOLD(held_made[1], aligned_alloc(2 * MIB, 4 * MIB));
	HOLD(held_made[2], memalign(64 * MIB, MIB));
	HOLD(held_made[3], realloc(malloc(20 * MIB), 7 * MIB));
}

/*
 * On a stack that counts as a whole: what a call of malloc leaves below its caller's frame does
 * not point to a block either, where it lies beside the rest of another pointer.
 */
static ucontext_t outside, inside;
static void *held_stack;
static uintptr_t behind_it;

APART static void fill(uintptr_t word)
{
	volatile uintptr_t dead[1024];

	for (size_t i = 0; i < ARRAY_LEN(dead); i++)
		dead[i] = word;
}

CALLED("large", case_left_by_malloc, "direct 1 17825792", void, (void))
{
	behind_it = hide(malloc(17 * MIB));
}

CALLED("large", case_fresh_caller, "direct|reachable 1 90", void, (void))
{
	use(malloc(90));
}

static void on_stack(void)
{
	fill((uintptr_t)unhide(behind_it) + 17 * MIB + 256);
	case_fresh_caller();
	swapcontext(&inside, &outside);
}

STEP("large", leave_by_malloc)
{
	case_left_by_malloc();
	HOLD(held_stack, malloc(256 << 10));
	NEED(getcontext(&inside) == 0);
	inside.uc_stack.ss_sp = held_stack;
	inside.uc_stack.ss_size = 256 << 10;
	makecontext(&inside, on_stack, 0);
	NEED(swapcontext(&outside, &inside) == 0);
	memset(&outside, 0, sizeof(outside));
}
