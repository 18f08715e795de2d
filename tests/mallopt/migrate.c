/* SPDX-License-Identifier: MIT */
/*
 * Free memory comes to where a large block is wanted, rather than that its pages are faulted in.
 * Nobody's data is lost by it, locked memory stays locked, what the program has done to its
 * heap's mapping does not matter, and with parameters set there is no such call.
 */
#include <malloc.h>
#include <sys/mman.h>

#include "watch.h"

#define PIECES 24
#define PIECE (4 * MIB)
#define LARGE (30 * MIB)
#define HUGE_BLOCK (40 * MIB)
#define KEEP 4			/* MREMAP_DONTUNMAP, Linux 5.7 */
#define COLD 20			/* MADV_COLD, Linux 5.4 */

static char *p[PIECES];
static size_t page;

/* Every other piece is freed; no two in a row, so that none of the larger blocks fits there. */
static void scatter(void)
{
	for (size_t i = 0; i < PIECES; i++) {
		p[i] = hard_malloc(PIECE);
		hard_fill(p[i], PIECE, i);
	}
	for (size_t i = 0; i < PIECES; i += 2)
		free(p[i]);
}

static void kept(void)
{
	for (size_t i = 1; i < PIECES; i += 2)
		hard_verify(p[i], PIECE, i);
}

/* A fresh heap of which 48 MiB lie free and touched, in pieces. */
static void start(void)
{
	no_huge_pages();
	page = (size_t)sysconf(_SC_PAGESIZE);
	/* the threshold rises */
	free(hard_malloc(32 * MIB - 64 * KIB));
	scatter();
}

/* Faults of a block that is filled. */
static long fill(char **block, size_t n)
{
	long before = faults();

	*block = hard_malloc(n);
	hard_fill(*block, n, n);
	return faults() - before;
}

static void comes(void)
{
	char *a, *b;
	size_t before;
	long n;

	start();
	before = rss();
	n = fill(&a, LARGE);
	CHECK((size_t)n < LARGE / page / 2, "%ld page faults for %zu MiB", n, LARGE / MIB);
	CHECK(rss() < before + LARGE / 2, "RSS grew by %zu MiB", (rss() - before) / MIB);
	kept();
	hard_verify(a, LARGE, LARGE);
	free(a);
	n = fill(&b, HUGE_BLOCK);
	CHECK((size_t)n < HUGE_BLOCK / page / 2, "%ld page faults for %zu MiB", n,
	      HUGE_BLOCK / MIB);
	kept();
	/* it grows as any other, and what is given back goes */
	b = realloc(b, 2 * HUGE_BLOCK);
	CHECK(b, "realloc: errno %d", errno);
	hard_verify_part(b, HUGE_BLOCK, HUGE_BLOCK, HUGE_BLOCK - 512);
	free(b);
	for (size_t i = 1; i < PIECES; i += 2)
		free(p[i]);
	malloc_trim(0);
	CHECK(rss() < before, "%zu MiB after malloc_trim", rss() / MIB);
	/* the break has moved over all of it and comes back */
	scatter();
	fill(&a, LARGE);
	kept();
}

/* Any order of blocks of all sizes; some with zeros. */
static void random_blocks(void)
{
	static struct { char *p; size_t n; } slot[16];
	uint64_t rand = hard_seed(1);

	no_huge_pages();
	for (size_t i = 0; i < 600; i++) {
		size_t at = hard_rand(&rand) % ARRAY_LEN(slot), n = hard_rand_size(&rand, 26);

		if (slot[at].p)
			hard_verify(slot[at].p, slot[at].n, at);
		free(slot[at].p);
		slot[at].p = i % 8 ? malloc(n) : calloc(1, n);
		CHECK(slot[at].p, "%zu bytes: errno %d", n, errno);
		if (i % 8 == 0)
			hard_verify_zero(slot[at].p, n);
		slot[at].n = n;
		hard_fill(slot[at].p, n, at);
		if (i % 100 == 99) {
			pid_t child = fork();

			for (size_t k = 0; k < ARRAY_LEN(slot); k++) {
				if (slot[k].p)
					hard_verify(slot[k].p, slot[k].n, k);
			}
			if (!child)
				_exit(0);
			hard_reap(child, "the child of fork");
		}
	}
}

/* This advice is refused for locked memory. */
static int is_locked(char *at)
{
	at = (char *)(((uintptr_t)at + page - 1) & ~(page - 1));
	return madvise(at, page, COLD) && errno == EINVAL;
}

static void locked(void)
{
	char *block;

	start();
	if (mlockall(MCL_CURRENT))
		return;
	fill(&block, LARGE);
	kept();
	hard_verify(block, LARGE, LARGE);
	for (size_t i = 1; i < PIECES; i += 2)
		CHECK(is_locked(p[i]), "block %zu is not locked any more", i);
}

/* The mapping of a freed block is two: one of a kind that a child does not get. */
static void split(void)
{
	char *block;
	pid_t child;

	start();
	for (size_t i = 0; i < PIECES; i += 2) {
		char *middle = (char *)(((uintptr_t)p[i] + 2 * MIB - 1) & ~(2 * MIB - 1)) + MIB;

		CHECK(!madvise(middle, MIB / 2, MADV_DONTFORK), "madvise: errno %d", errno);
	}
	fill(&block, LARGE);
	kept();
	child = fork();
	hard_verify(block, LARGE, LARGE);
	if (!child)
		_exit(0);
	hard_reap(child, "the child of fork");
}

static void with_parameters(void)
{
	char *block;

	start();
	mallopt(M_MMAP_THRESHOLD, (int)GIB);
	watch_memory();
	watch_clear();
	fill(&block, LARGE);
	CHECK(!watch_count(SYS_mremap), "%u calls of mremap with a parameter set",
	      watch_count(SYS_mremap));
}

static void run(void (*fn)(void), const char *what)
{
	pid_t child = fork();

	if (!child) {
		fn();
		_exit(0);
	}
	hard_reap(child, what);
}

int main(void)
{
	char *probe = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t len = (size_t)sysconf(_SC_PAGESIZE);

	run(random_blocks, "blocks at random");
	run(with_parameters, "with parameters");
	run(locked, "locked memory");
	run(split, "a mapping that is split");
	if (!hard_on_stele())
		return 0;
	if (syscall(SYS_mremap, probe, len, len, MREMAP_MAYMOVE | KEEP, 0) == -1)
		SKIP("mremap keeps no mapping here: errno %d", errno);
	run(comes, "free memory comes");
	return 0;
}
