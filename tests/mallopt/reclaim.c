/* SPDX-License-Identifier: MIT */
/*
 * Free memory goes back by itself, so that a program never has more of it than 64 MiB or a quarter
 * of what it uses; and a load that takes and frees the same again and again makes no storm of
 * system calls.
 */
#include <malloc.h>

#include "watch.h"

#define SLACK (8 * MIB)		/* caches, the program itself */
#define TABLES 50		/* one byte in so many tells about the others */
#define BLOCKS 400000

static char *p[BLOCKS];

static void bounded(const char *what, size_t live, size_t base, size_t peak)
{
	size_t free_max = live / 4 > 64 * MIB ? live / 4 : 64 * MIB, now = rss();

	CHECK(now <= base + live + free_max + peak / TABLES + SLACK, "%s: %zu MiB live, %zu MiB resident", what,
	      live >> 20, (now - base) >> 20);
}

/* Takes @count blocks of @n, and frees them in runs that leave one of @keep. */
static void decay(const char *what, size_t n, size_t count, size_t keep)
{
	size_t base = rss(), live = 0, peak, step = count / 200;

	for (size_t i = 0; i < count; i++) {
		p[i] = hard_malloc(n);
		touch(p[i], n);
		live += malloc_usable_size(p[i]);
	}
	peak = live;
	for (size_t i = 0; i < count; i++) {
		if (i % keep != keep - 1) {
			live -= malloc_usable_size(p[i]);
			free(p[i]);
			p[i] = NULL;
		}
		/* plain libc gives back from the top alone: it must have come to that */
		if (i % step == 0 && hard_on_stele())
			bounded(what, live, base, peak);
	}
	for (size_t i = 0; i < count; i++) {
		free(p[i]);
		p[i] = NULL;
	}
	bounded(what, 0, base, peak);
}

/* System calls a second while @total bytes in blocks of @n are taken and freed for 2 seconds. */
static double storm(size_t n, size_t total, double *cycles)
{
	size_t count = total / n, rounds = 0;
	double start = hard_now(), now;

	watch_clear();
	do {
		for (size_t i = 0; i < count; i++) {
			p[i] = hard_malloc(n);
			touch(p[i], n);
		}
		for (size_t i = 0; i < count; i++)
			free(p[i]);
		rounds++;
		now = hard_now();
	} while (now - start < 2.0);
	*cycles = (double)rounds / (now - start);
	return (double)watched.count / (now - start);
}

/* At most @most calls a second; 0: one for each MiB that comes and goes. */
static void calm(size_t n, size_t total, double most)
{
	double cycles, calls;

	storm(n, total, &cycles);
	calls = storm(n, total, &cycles);
	if (!most)
		most = cycles * (double)(total >> 20);
	CHECK(calls <= most, "%zu MiB in blocks of %zu, %.0f times a second: %.0f calls a second, "
	      "madvise %u brk %u mmap %u munmap %u of the first %d", total >> 20, n, cycles, calls,
	      watch_count(SYS_madvise), watch_count(SYS_brk), watch_count(SYS_mmap),
	      watch_count(SYS_munmap), WATCH_CALLS);
}

int main(void)
{
	no_huge_pages();
	memset(p, 0, sizeof(p));
	watch_memory();
	/* blocks that stay keep plain libc from giving anything back */
	if (hard_on_stele()) {
		decay("64 KiB blocks", 64 * KIB, 6000, 8);
		decay("100000 byte blocks", 100000, 4000, 16);
		decay("1 MiB blocks", MIB, 500, 4);
		/* in slabs, of which none comes free as a whole */
		decay("5000 byte blocks", 5000, 60000, 16);
		decay("20000 byte blocks", 20000, 15000, 8);
	}
	decay("1 MiB blocks, all", MIB, 500, 500);
	decay("1000 byte blocks, all", 1000, 400000, 400000);
	decay("64 byte blocks, all", 64, 400000, 400000);
	/* plain libc moves the break up and down all the time here */
	if (!hard_on_stele())
		return 0;
	/* below the watermark nothing at all need go back and forth */
	calm(MIB, 32 * MIB, 20);
	calm(40000, 32 * MIB, 20);
	calm(1000, 32 * MIB, 20);
	calm(20000, 32 * MIB, 20);
	/* above it, what is too much goes back in pieces of a megabyte and more */
	calm(MIB, 300 * MIB, 0);
	calm(1000, 300 * MIB, 0);
	calm(20000, 300 * MIB, 0);
	return 0;
}
