/* SPDX-License-Identifier: MIT */
/*
 * Of many blocks a few survive, all over the heap: malloc_trim gives back the pages between them,
 * those inside of slabs included; what survived is intact, and what comes next to it works as ever.
 */
#include <malloc.h>

#include "watch.h"

#define BYTES (96 * MIB)
#define BLOCKS (BYTES / 64)

static char *p[BLOCKS];

static void fill(size_t n, size_t count, size_t keep, uint64_t tag)
{
	for (size_t i = 0; i < count; i++) {
		if (i % keep == 0 && p[i])
			continue;
		p[i] = hard_malloc(n);
		hard_fill(p[i], n, i + tag);
	}
}

static void verify(size_t n, size_t count, size_t keep)
{
	for (size_t i = 0; i < count; i += keep)
		hard_verify(p[i], n, i);
}

/* One of @keep blocks of @n bytes stays; of the others @percent must go back. */
static void leave(size_t n, size_t keep, size_t percent)
{
	size_t count = BYTES / n, high, low, freed, again;

	memset(p, 0, sizeof(p));
	fill(n, count, keep, 0);
	high = rss();
	freed = (count - (count + keep - 1) / keep) * n;
	for (size_t i = 0; i < count; i++)
		if (i % keep)
			free(p[i]);
	CHECK(malloc_trim(0) == 1, "malloc_trim gave nothing back");
	low = rss();
	CHECK(high - low >= freed / 100 * percent, "1 of %zu of %zu bytes: %zu KiB freed, %zu KiB "
	      "went back", keep, n, freed >> 10, (high - low) >> 10);
	verify(n, count, keep);
	/* plain libc purges anew what is purged already, and calls that success */
	if (hard_on_stele())
		CHECK(malloc_trim(0) == 0, "malloc_trim gave back what had gone");

	/* the gaps are used again, whatever they hold now */
	fill(n, count, keep, 1000);
	again = rss();
	CHECK(again <= high + high / 4, "%zu KiB at first, %zu KiB when all was there again",
	      high >> 10, again >> 10);
	verify(n, count, keep);
	for (size_t i = 0; i < count; i++) {
		if (i % keep)
			hard_verify(p[i], n, i + 1000);
		free(p[i]);
	}
}

/* Pages that were purged in a slab are known to be zero; those that were written since are not. */
static void zeros(void)
{
	size_t count = BYTES / 1000;

	memset(p, 0, sizeof(p));
	fill(1000, count, 100, 0);
	for (size_t i = 0; i < count; i++)
		if (i % 100)
			free(p[i]);
	malloc_trim(0);
	for (size_t i = 0; i < count; i++) {
		if (i % 100 == 0)
			continue;
		p[i] = i % 3 ? hard_malloc(1000) : NULL;
		if (p[i])
			memset(p[i], 0x5a, 1000);
	}
	for (size_t i = 0; i < count; i++)
		free(p[i]);
	for (size_t i = 0; i < 200; i++) {
		char *q = calloc(1, 100000);

		for (size_t k = 0; k < 100000; k++)
			CHECK(q[k] == 0, "byte %zu of block %zu is %#x", k, i, q[k]);
		p[i] = q;
	}
	for (size_t i = 0; i < 200; i++)
		free(p[i]);
}

int main(void)
{
	no_huge_pages();
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	leave(64, 1000, 80);
	leave(200, 100, 70);
	leave(1000, 100, 80);
	leave(3000, 100, 80);
	leave(20000, 10, 80);
	zeros();
	return 0;
}
