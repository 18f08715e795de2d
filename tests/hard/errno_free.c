/* SPDX-License-Identifier: MIT */
/* free never changes errno, also when it unmaps, trims, or a system call fails in it. */
#include <malloc.h>

#include "hard.h"

#define BLOCKS 2000

static void free_checked(void *p, size_t n)
{
	errno = 4242;
	free(p);
	CHECK(errno == 4242, "free of %zu bytes left errno %d", n, errno);
}

static void in_turn(size_t n)
{
	static void *p[BLOCKS];
	size_t count = n > 8 * MIB ? 3 : n > 64 * KIB ? 20 : BLOCKS;
	size_t i;

	for (i = 0; i < count; i++) {
		p[i] = hard_malloc(n);
		hard_fill(p[i], n, i);
	}
	for (i = 0; i < count; i++)
		free_checked(p[i], n);
}

int main(void)
{
	static const size_t sizes[] = { 1, 24, 200, 1024, 5000, 33000, 70000, 140000, MIB, 33 * MIB };
	void *p;
	size_t i;

	free_checked(NULL, 0);
	for (i = 0; i < ARRAY_LEN(sizes); i++)
		in_turn(sizes[i]);
	/* every free of the top now moves the break; every large block is its own mapping */
	mallopt(M_TRIM_THRESHOLD, 0);
	mallopt(M_TOP_PAD, 0);
	mallopt(M_MMAP_THRESHOLD, 4096);
	for (i = 0; i < ARRAY_LEN(sizes); i++)
		in_turn(sizes[i]);
	p = aligned_alloc(MIB, 3 * MIB);
	CHECK(p, "aligned_alloc");
	free_checked(p, 3 * MIB);
	errno = 4242;
	p = realloc(hard_malloc(100), hard_size(0));
	CHECK(!p && errno == 4242, "realloc(p, 0) left errno %d", errno);
	return 0;
}
