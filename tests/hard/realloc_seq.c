/* SPDX-License-Identifier: MIT */
/* realloc keeps the contents: growing, shrinking and jumping between 1 B and 64 MiB. */
#include <malloc.h>

#include "hard.h"

#define MAX (64 * MIB)
#define WALKS 6
#define JUMPS 3000

static void *step(void *p, size_t old, size_t n, uint64_t tag)
{
	p = realloc(p, n);
	CHECK(p, "realloc from %zu to %zu: errno %d", old, n, errno);
	CHECK(((uintptr_t)p & 15) == 0, "realloc(%zu) = %p", n, p);
	CHECK(malloc_usable_size(p) >= n, "realloc(%zu): usable %zu", n, malloc_usable_size(p));
	hard_verify_part(p, old, tag, n);
	hard_fill(p, n, tag);
	return p;
}

/* Up and down again in steps of @num/@den, with a neighbour that hinders growth in place. */
static void walk(size_t num, size_t den)
{
	void *wall = NULL, *p = NULL;
	size_t old = 0, n;

	for (n = 1; n <= MAX; old = n, n = n * num / den + 1) {
		p = step(p, old, n, num);
		free(wall);
		wall = hard_malloc(n < MIB ? n : 16);
	}
	for (n = old; n >= 1; old = n, n = n * den / num)
		p = step(p, old, n, num);
	free(wall);
	free(p);
}

static void jumps(void)
{
	uint64_t rnd = hard_seed(11);
	struct { void *p; size_t n; } s[16] = { { NULL, 0 } };
	int i;

	for (i = 0; i < JUMPS; i++) {
		size_t n = hard_rand_size(&rnd, i % 50 ? 20 : 26);
		int j = i % 16;

		s[j].p = step(s[j].p, s[j].n, n, (uint64_t)j);
		s[j].n = n;
	}
	for (i = 0; i < 16; i++) {
		hard_verify(s[i].p, s[i].n, (uint64_t)i);
		free(s[i].p);
	}
}

/* The tail of a block that was cut and grown again is undefined, the head is not. */
static void seesaw(size_t low, size_t high)
{
	void *p = step(NULL, 0, low, 3);
	int i;

	for (i = 0; i < 50; i++) {
		p = step(p, low, high, 3);
		p = step(p, high, low, 3);
	}
	free(p);
}

int main(void)
{
	static const size_t ratio[WALKS][2] = {
		{ 2, 1 }, { 3, 2 }, { 9, 8 }, { 5, 1 }, { 33, 32 }, { 100, 1 },
	};
	int i;

	for (i = 0; i < WALKS; i++)
		walk(ratio[i][0], ratio[i][1]);
	jumps();
	seesaw(1, 17);
	seesaw(100, 5000);
	seesaw(32768, 32769);
	seesaw(100000, 140000);
	seesaw(1000, 4 * MIB);
	seesaw(4 * MIB - 1, 4 * MIB + 1);
	seesaw(30 * MIB, 40 * MIB);
	return 0;
}
