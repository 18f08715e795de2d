/* SPDX-License-Identifier: MIT */
/*
 * calloc of memory that nobody has touched touches nothing either; of what is used again it zeroes
 * the pages that were touched, and no others; gigabytes of it cost no time.
 */
#include <malloc.h>

#include "watch.h"

#define GIGS 1000
#define FEW 64			/* faults: of stacks, tables and the test's own pages */

struct cost {
	long faults;
	size_t rss;
};

static struct cost cost_now(void)
{
	return (struct cost){ faults(), rss() };
}

static void cheap(struct cost before, const char *what, long most_faults, size_t most_rss)
{
	size_t now = rss();
	long n = faults() - before.faults;

	CHECK(n <= most_faults, "%s: %ld page faults", what, n);
	CHECK(now <= before.rss + most_rss, "%s: RSS grew by %zu KiB", what,
	      (now - before.rss) >> 10);
}

static void fresh(size_t n, const char *what)
{
	struct cost before = cost_now();
	unsigned char *p = calloc(1, n);

	CHECK(p, "%s: errno %d", what, errno);
	cheap(before, what, FEW + (long)(n / (8 * MIB)), MIB + n / 1024);
	CHECK(p[0] == 0 && p[n / 2] == 0 && p[n - 1] == 0, "%s: not zero", what);
	free(p);
}

static void gigabytes(void)
{
	static void *p[GIGS];
	struct cost before;
	double start;
	size_t i;

	for (i = 0; i < GIGS; i++)
		p[i] = NULL;
	before = cost_now();
	start = hard_cpu();
	for (i = 0; i < GIGS; i++) {
		p[i] = calloc(1, GIB);
		if (!p[i] && i == 0)
			return;		/* the machine does not overcommit */
		CHECK(p[i], "calloc of 1 GiB number %zu: errno %d", i, errno);
	}
	start = hard_cpu() - start;
	CHECK(start < 1.0, "1000 callocs of 1 GiB took %.2f s", start);
	/* glibc writes one word before each block */
	cheap(before, "1000 callocs of 1 GiB", hard_on_stele() ? FEW : GIGS + FEW,
	      hard_on_stele() ? MIB : 5 * MIB);
	for (i = 0; i < GIGS; i++)
		free(p[i]);
}

/* A block that was touched may lie at the beginning of one that is mostly fresh. */
static void partly_recycled(void)
{
	unsigned char *p = hard_malloc(4 * MIB);
	struct cost before;

	memset(p, 0x5a, 4 * MIB);
	free(p);
	before = cost_now();
	p = calloc(1, 64 * MIB);
	CHECK(p, "errno %d", errno);
	cheap(before, "calloc over a touched block", FEW, MIB);
	hard_verify_zero(p, 64 * MIB);
	free(p);
}

/* What malloc_trim has given back is zero by itself. */
static void purged(void)
{
	unsigned char *p = hard_malloc(32 * MIB);
	void *guard = hard_malloc(64 * KIB);
	struct cost before;

	memset(p, 0x5a, 32 * MIB);
	free(p);
	CHECK(malloc_trim(0) == 1, "malloc_trim gave nothing back");
	before = cost_now();
	p = calloc(1, 32 * MIB);
	CHECK(p, "errno %d", errno);
	cheap(before, "calloc over a purged block", FEW, MIB);
	hard_verify_zero(p, 32 * MIB);
	free(p);
	free(guard);
}

/* Zeroed again, in place: no new page is needed for what had one. */
static void recycled(void)
{
	unsigned char *p = hard_malloc(8 * MIB), *old = p;
	void *guard = hard_malloc(64 * KIB);
	struct cost before;

	memset(p, 0x5a, 8 * MIB);
	free(p);
	before = cost_now();
	p = calloc(1, 8 * MIB);
	CHECK(p == old, "not at the same place: %p, %p", (void *)p, (void *)old);
	cheap(before, "calloc over a free block", FEW, MIB);
	for (size_t i = 0; i < 8 * MIB; i++)
		CHECK(p[i] == 0, "byte %zu is %#x", i, p[i]);
	free(p);
	free(guard);
}

int main(void)
{
	no_huge_pages();
	touch(hard_malloc(100), 100);
	rss();
	fresh(200 * KIB, "calloc of 200 KiB");
	fresh(64 * MIB, "calloc of 64 MiB");
	gigabytes();
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TOP_PAD, 0);
	malloc_trim(0);
	fresh(100 * KIB, "calloc of 100 KiB by brk");
	fresh(64 * MIB, "calloc of 64 MiB by brk");
	fresh(GIB, "calloc of 1 GiB by brk");
	mallopt(M_TRIM_THRESHOLD, -1);
	malloc_trim(0);
	partly_recycled();
	malloc_trim(0);
	recycled();
	/* glibc zeroes all that does not come straight from the break */
	if (hard_on_stele())
		purged();
	return 0;
}
