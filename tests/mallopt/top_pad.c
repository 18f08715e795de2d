/* SPDX-License-Identifier: MIT */
/*
 * M_TOP_PAD: each growth moves the break by what the request lacks and by the pad, in one call of
 * brk; what is left above the block then serves the next requests without any.
 */
#include <malloc.h>

#include "watch.h"

#define SLACK 8192		/* headers, and the rounding to pages */

/* A block that did not fit below the break; the calls of brk for it are in the log. */
static char *grow(size_t n)
{
	char *before, *p;

	for (int i = 0; i < 1000; i++) {
		before = the_break();
		watch_clear();
		p = hard_malloc(n);
		if (the_break() != before)
			return p;
	}
	CHECK(0, "1000 blocks of %zu, and the break did not move", n);
}

static void one_growth(size_t n, size_t pad)
{
	char *p = grow(n), *end = p + n;
	long above = the_break() - end;

	CHECK(watch_count(SYS_brk) == 1 && watched.count == 1,
	      "malloc(%zu) grew by %u calls of brk and %u in all", n, watch_count(SYS_brk),
	      watched.count);
	CHECK(watch_last(SYS_brk)->ret == (long)(uintptr_t)the_break(), "brk gave another break");
	CHECK(above >= (long)pad, "pad %zu: %ld bytes above the new block", pad, above);
	CHECK(above <= (long)(pad + SLACK), "pad %zu: %ld bytes above the new block", pad, above);
}

/* The pad is there for use: half of it at least goes without a system call. */
static void spend(size_t pad)
{
	size_t n = 40000, spent;

	watch_clear();
	for (spent = n; spent < pad / 2; spent += n)
		touch(hard_malloc(n), n);
	CHECK(watched.count == 0, "%u system calls within half a pad of %zu", watched.count, pad);
}

int main(void)
{
	static const size_t pads[] = {
		0, 1, 4096, 10000, 64 * KIB, 128 * KIB, MIB, 3 * MIB + 123, 16 * MIB, 64 * MIB,
	};
	static const size_t sizes[] = { 40000, 100000, 300000, MIB, 9 * MIB };

	/* the very first growth may need a second call, to align the heap */
	free(hard_malloc(1));
	watch_memory();
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, -1);
	for (size_t i = 0; i < ARRAY_LEN(pads); i++) {
		CHECK(mallopt(M_TOP_PAD, (int)pads[i]) == 1, "M_TOP_PAD %zu", pads[i]);
		for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
			one_growth(sizes[k], pads[i]);
			spend(pads[i]);
		}
	}
	return 0;
}
