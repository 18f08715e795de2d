/* SPDX-License-Identifier: MIT */
/*
 * M_TRIM_THRESHOLD: the free() that leaves this much free at the top of the heap gives it back, by
 * one brk, down to M_TOP_PAD; a free that leaves less makes no system call; -1 means never.
 */
#include <malloc.h>

#include "watch.h"

#define SLACK 8192		/* headers, and the rounding to pages */

static char *block(size_t n)
{
	char *p = hard_malloc(n);

	touch(p, n);
	return p;
}

/* Frees @p and demands that this very call moved the break, with one system call. */
static void free_trims(char *p, size_t pad)
{
	char *before = the_break(), *after;

	watch_clear();
	errno = 42;
	free(p);
	CHECK(errno == 42, "free changed errno to %d", errno);
	after = the_break();
	CHECK(after < before, "free did not move the break, %p", (void *)before);
	CHECK(watch_count(SYS_brk) == 1 && watched.count == 1,
	      "free made %u calls of brk and %u in all", watch_count(SYS_brk), watched.count);
	CHECK(watch_last(SYS_brk)->ret == (long)(uintptr_t)after, "the break is not at %p",
	      (void *)after);
	/* what is free below @p may be part of what stays */
	CHECK(after <= p + pad + SLACK, "free left %td bytes above %p, pad %zu", after - p,
	      (void *)p, pad);
}

static void free_keeps(void *p)
{
	char *before = the_break();

	watch_clear();
	free(p);
	CHECK(the_break() == before, "free moved the break by %td", the_break() - before);
	CHECK(watched.count == 0, "free made %u system calls, the first is %ld", watched.count,
	      watched.call[0].nr);
}

/* Allocates up to the break, so that what follows stands on known ground. */
static char *fill_top(size_t n)
{
	char *p;

	do
		p = block(n);
	while (p + n + n < the_break());
	return p;
}

static void threshold_and_pad(size_t threshold, size_t pad)
{
	char *a, *b, *floor;
	size_t half = threshold / 2 + 64 * KIB;

	mallopt(M_TOP_PAD, (int)pad);
	mallopt(M_TRIM_THRESHOLD, -1);
	floor = fill_top(256 * KIB);
	mallopt(M_TRIM_THRESHOLD, (int)threshold);

	/* a growth of this size leaves pad, so a free can leave threshold - 64K only */
	a = block(threshold - pad - 128 * KIB);
	free_keeps(a);
	a = block(threshold + 64 * KIB);
	free_trims(a, pad);
	CHECK(the_break() >= floor + 256 * KIB + pad, "a trim left less than the pad of %zu", pad);

	/* the lower block first: it is not at the top, and only the second free trims */
	a = block(half);
	b = block(half);
	if (a > b) {
		char *t = a;

		a = b;
		b = t;
	}
	free_keeps(a);
	free_trims(b, pad);
	CHECK(the_break() <= a + pad + SLACK, "both are free, and %td bytes stay above the lower",
	      the_break() - a);

	/* the pad that a trim left serves requests without a system call */
	watch_clear();
	if (pad > 128 * KIB) {
		a = hard_malloc(pad - 64 * KIB);
		CHECK(watched.count == 0, "%zu of a pad of %zu took %u system calls",
		      pad - 64 * KIB, pad, watched.count);
		free(a);
	}
	mallopt(M_TRIM_THRESHOLD, -1);
	free(floor);
}

static void never(void)
{
	char *p, *high;

	mallopt(M_TOP_PAD, 0);
	mallopt(M_TRIM_THRESHOLD, -1);
	p = block(96 * MIB);
	high = the_break();
	free_keeps(p);
	p = hard_malloc(64 * MIB);
	CHECK(watched.count == 0, "64 of 96 free MiB took %u system calls", watched.count);
	free_keeps(p);
	CHECK(the_break() == high, "the break has moved by %td", the_break() - high);
	CHECK(malloc_trim(0) == 1, "malloc_trim gave nothing back");
	CHECK(the_break() <= high - 96 * MIB, "malloc_trim moved the break by %td",
	      high - the_break());
}

/* The caches keep small blocks, and with them the top: malloc_trim empties the caches first. */
static void small_blocks(void)
{
	static char *p[40000];
	char *high;

	mallopt(M_TOP_PAD, 0);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		p[i] = block(500);
	high = the_break();
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		free(p[i]);
	malloc_trim(0);
	CHECK((size_t)(high - the_break()) > 10 * MIB,
	      "of 20 MiB in small blocks %td KiB went back by brk", (high - the_break()) / 1024);
}

/* What freed mappings have taught the trim threshold stays when the dynamics end. */
static void learned(void)
{
	char *p;
	int status;

	fflush(NULL);
	switch (fork()) {
	case 0:
		p = block(4 * MIB);
		free(p);
		mallopt(M_TOP_PAD, 0);
		mallopt(M_MMAP_THRESHOLD, 1 << 30);
		free_keeps(block(6 * MIB));
		free_trims(block(10 * MIB), 0);
		_exit(0);
	default:
		CHECK(wait(&status) > 0 && status == 0, "learned: status %#x", status);
	}
}

int main(void)
{
	watch_memory();
	learned();
	mallopt(M_MMAP_MAX, 0);
	threshold_and_pad(MIB, 0);
	threshold_and_pad(MIB, 64 * KIB);
	threshold_and_pad(4 * MIB, MIB);
	threshold_and_pad(16 * MIB, 8 * MIB);
	never();
	small_blocks();
	return 0;
}
