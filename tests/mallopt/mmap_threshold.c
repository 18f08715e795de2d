/* SPDX-License-Identifier: MIT */
/*
 * M_MMAP_THRESHOLD: a request of at least so many bytes that the free list cannot serve has a
 * mapping of its own, made by one mmap and given back by one munmap. Until the program sets one
 * of the four parameters the threshold follows the mapped blocks that are freed, up to 32 MiB.
 */
#include <malloc.h>

#include "watch.h"

#define PAGES 8192

static size_t mapped(void)
{
	return mallinfo2().hblks;
}

/* Allocates and frees @n bytes; says whether they were mapped, and checks the system calls. */
static int cycle(size_t n)
{
	struct mallinfo2 before = mallinfo2(), during, after;
	const struct watch_call *c;
	void *p;

	watch_clear();
	p = hard_malloc(n);
	during = mallinfo2();
	if (during.hblks == before.hblks) {
		CHECK(during.hblkhd == before.hblkhd, "no mapped block, and hblkhd has changed");
		CHECK(watch_count(SYS_mmap) == 0, "malloc(%zu): mmap for no mapped block", n);
		free(p);
		return 0;
	}
	CHECK(during.hblks == before.hblks + 1, "%zu more mapped blocks",
	      during.hblks - before.hblks);
	CHECK(during.hblkhd - before.hblkhd - n <= PAGES, "malloc(%zu): hblkhd grew by %zu", n,
	      during.hblkhd - before.hblkhd);
	CHECK(watch_count(SYS_mmap) == 1, "malloc(%zu): %u calls of mmap", n,
	      watch_count(SYS_mmap));
	c = watch_last(SYS_mmap);
	CHECK(c->arg[1] - n <= PAGES, "malloc(%zu) mapped %lu bytes", n, c->arg[1]);
	CHECK((uintptr_t)p - (unsigned long)c->ret <= PAGES, "block and mapping differ");
	watch_clear();
	free(p);
	after = mallinfo2();
	CHECK(watched.count == 1 && watch_count(SYS_munmap) == 1,
	      "free(%zu): %u calls, of these munmap %u", n, watched.count, watch_count(SYS_munmap));
	CHECK(watch_last(SYS_munmap)->arg[1] == c->arg[1], "mapped %lu, unmapped %lu", c->arg[1],
	      watch_last(SYS_munmap)->arg[1]);
	CHECK(after.hblks == before.hblks && after.hblkhd == before.hblkhd,
	      "hblks %zu hblkhd %zu, before %zu %zu", after.hblks, after.hblkhd, before.hblks,
	      before.hblkhd);
	return 1;
}

/* The control of what the program set: the threshold stands still. */
static void fixed(void)
{
	static const size_t thresholds[] = { 128 * KIB, MIB, 8 * MIB, 64 * MIB, 512 * MIB };

	mallopt(M_TOP_PAD, 0);
	mallopt(M_TRIM_THRESHOLD, 0);
	for (size_t i = 0; i < ARRAY_LEN(thresholds); i++) {
		size_t t = thresholds[i];

		CHECK(mallopt(M_MMAP_THRESHOLD, (int)t) == 1, "M_MMAP_THRESHOLD %zu", t);
		malloc_trim(0);
		for (int round = 0; round < 3; round++) {
			CHECK(cycle(t), "%zu at a threshold of %zu is not mapped", t, t);
			CHECK(cycle(t + 1), "%zu at a threshold of %zu is not mapped", t + 1, t);
			CHECK(!cycle(t - 32), "%zu at a threshold of %zu is mapped", t - 32, t);
			CHECK(!cycle(t / 2), "%zu at a threshold of %zu is mapped", t / 2, t);
			malloc_trim(0);
		}
	}
}

static void defaults(void)
{
	CHECK(cycle(256 * KIB), "256 KiB are not mapped by default");
}

static void dynamic(void)
{
	CHECK(cycle(MIB), "1 MiB is not mapped at first");
	CHECK(!cycle(MIB), "1 MiB is mapped again after one was freed");
	CHECK(!cycle(MIB / 2), "512 KiB are mapped after 1 MiB was freed");
	malloc_trim(0);
	CHECK(cycle(MIB + 64 * KIB), "more than 1 MiB is not mapped after 1 MiB was freed");
	CHECK(cycle(8 * MIB), "8 MiB are not mapped at first");
	CHECK(!cycle(8 * MIB), "8 MiB are mapped again");
	malloc_trim(0);
	CHECK(!cycle(4 * MIB), "4 MiB are mapped after 8 MiB were freed");
	malloc_trim(0);
	CHECK(cycle(32 * MIB - 64 * KIB), "just under 32 MiB are not mapped at first");
	CHECK(!cycle(32 * MIB - 64 * KIB), "just under 32 MiB are mapped again");
	malloc_trim(0);
	for (int round = 0; round < 3; round++)
		CHECK(cycle(33 * MIB), "33 MiB are not mapped: the threshold rose above 32 MiB");
}

/* What lies free in memory comes before a mapping, which would be faulted in. */
static void at_hand(void)
{
	char *low = hard_malloc(100 * KIB), *p[8], *top;
	long before;

	(void)low;
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = hard_malloc(100 * KIB);
		hard_fill(p[i], 100 * KIB, i);
	}
	/* what lies below it is not trimmed */
	top = hard_malloc(100 * KIB);
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		free(p[i]);
	before = faults();
	watch_clear();
	p[0] = hard_malloc(500 * KIB);
	hard_fill(p[0], 500 * KIB, 1);
	CHECK(watched.count == 0, "500 KiB of the 800 that are free: %u calls", watched.count);
	CHECK(faults() - before < 16, "500 KiB of the 800 that are free: %ld page faults",
	      faults() - before);
	CHECK(mapped() == 0, "500 KiB are mapped while 800 lie free");
	/* what does not fit there is mapped, and a block that outgrows it becomes a mapping */
	p[1] = hard_malloc(4 * MIB);
	CHECK(mapped() == 1, "4 MiB are not mapped");
	p[0] = realloc(p[0], 4 * MIB);
	CHECK(p[0] && mapped() == 2, "4 MiB are not mapped after realloc");
	hard_verify_part(p[0], 500 * KIB, 1, 500 * KIB - 512);
	free(p[0]);
	free(p[1]);
	free(top);
}

/* Setting any of the four ends the dynamics, also when the value is the default. */
static void frozen(int param, int value)
{
	CHECK(cycle(MIB), "1 MiB is not mapped at first");
	mallopt(param, value);
	/* what was learned stays, unless the threshold itself was set */
	if (param != M_MMAP_THRESHOLD)
		CHECK(!cycle(MIB), "mallopt(%d) took back what was learned", param);
	malloc_trim(0);
	for (int round = 0; round < 3; round++)
		CHECK(cycle(2 * MIB), "2 MiB are not mapped: dynamic after mallopt(%d)", param);
}

static void not_frozen(int param, int value)
{
	mallopt(param, value);
	CHECK(cycle(MIB), "1 MiB is not mapped at first");
	CHECK(!cycle(MIB), "mallopt(%d) ended the dynamics", param);
}

/* A mapped block that is resized stays one, and moves by mremap. */
static void resized(void)
{
	size_t before = mapped();
	char *p;

	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	p = hard_malloc(4 * MIB);
	hard_fill(p, 4 * MIB, 1);
	watch_clear();
	p = realloc(p, 64 * MIB);
	CHECK(p && mapped() == before + 1, "realloc: %zu mapped blocks", mapped() - before);
	CHECK(watch_count(SYS_mremap) == 1 && watched.count == 1, "realloc: %u calls, mremap %u",
	      watched.count, watch_count(SYS_mremap));
	hard_verify_part(p, 4 * MIB, 1, 4 * MIB - 512);
	watch_clear();
	p = realloc(p, 2 * MIB);
	CHECK(p && mapped() == before + 1, "realloc: %zu mapped blocks", mapped() - before);
	CHECK(watch_count(SYS_mremap) == 1 && watched.count == 1, "realloc: %u calls, mremap %u",
	      watched.count, watch_count(SYS_mremap));
	CHECK(mallinfo2().hblkhd < 3 * MIB, "hblkhd is %zu after a shrink to 2 MiB",
	      mallinfo2().hblkhd);
	free(p);
	CHECK(mapped() == before, "%zu mapped blocks are left", mapped() - before);
}

/* What the free list can serve is not mapped, however large. */
static void from_the_list(void)
{
	char *piece[20];
	void *guard;

	for (size_t i = 0; i < ARRAY_LEN(piece); i++) {
		piece[i] = hard_malloc(100 * KIB);
		hard_fill(piece[i], 100 * KIB, i);
	}
	guard = hard_malloc(100);
	for (size_t i = 0; i < ARRAY_LEN(piece); i++)
		free(piece[i]);
	CHECK(!cycle(MIB), "1 MiB is mapped, though twice as much lies free");
	free(guard);
}

/* Each in a process of its own: the thresholds are never learned twice. */
#define IN_CHILD(call) \
	do { \
		pid_t pid_ = fork(); \
		if (pid_ == 0) { \
			call; \
			_exit(0); \
		} \
		hard_reap(pid_, #call); \
	} while (0)

int main(void)
{
	watch_memory();
	free(hard_malloc(1));
	IN_CHILD(defaults());
	IN_CHILD(dynamic());
	IN_CHILD(at_hand());
	IN_CHILD(frozen(M_TRIM_THRESHOLD, 128 << 10));
	IN_CHILD(frozen(M_TOP_PAD, 128 << 10));
	IN_CHILD(frozen(M_MMAP_THRESHOLD, 128 << 10));
	IN_CHILD(frozen(M_MMAP_MAX, 65536));
	IN_CHILD(not_frozen(M_PERTURB, 0));
	IN_CHILD(not_frozen(M_MXFAST, 64));
	IN_CHILD(not_frozen(M_ARENA_MAX, 1));
	IN_CHILD(resized());
	IN_CHILD(from_the_list());
	fixed();
	return 0;
}
