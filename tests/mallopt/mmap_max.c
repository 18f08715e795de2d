/* SPDX-License-Identifier: MIT */
/* M_MMAP_MAX counts the mapped blocks that there are at a time; the others come from the break. */
#include <malloc.h>

#include "watch.h"

#define BLOCKS 40

static char *p[BLOCKS];

static size_t mapped(void)
{
	return mallinfo2().hblks;
}

static int in_heap(const char *q)
{
	return q < the_break() && q > the_break() - 1024 * MIB;
}

static void take(size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		p[i] = hard_malloc(MIB);
		hard_fill(p[i], MIB, i);
	}
}

static void give(size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		hard_verify(p[i], MIB, i);
		free(p[i]);
		p[i] = NULL;
	}
}

static void counting(size_t max, size_t base)
{
	CHECK(mallopt(M_MMAP_MAX, (int)max) == 1, "M_MMAP_MAX %zu", max);
	watch_clear();
	take(0, BLOCKS);
	CHECK(mapped() == base + max, "M_MMAP_MAX %zu: %zu mapped of %d", max, mapped() - base,
	      BLOCKS);
	CHECK(watch_count(SYS_mmap) == max, "M_MMAP_MAX %zu: %u calls of mmap", max,
	      watch_count(SYS_mmap));
	CHECK(max == BLOCKS || watch_count(SYS_brk) > 0, "the rest did not come from the break");
	for (size_t i = 0; i < BLOCKS; i++)
		CHECK(in_heap(p[i]) == (i >= max), "block %zu of %zu mapped at %p", i, max, p[i]);

	/* a place that is given up may be taken again */
	if (max > 2) {
		give(0, 2);
		CHECK(mapped() == base + max - 2, "%zu mapped after two were freed",
		      mapped() - base);
		take(0, 2);
		CHECK(mapped() == base + max, "%zu mapped after two were taken again",
		      mapped() - base);
	}
	give(0, BLOCKS);
	CHECK(mapped() == base, "%zu mapped after all were freed", mapped() - base);
	malloc_trim(0);
}

/* A lower maximum makes no new mappings, and leaves those that are there alone. */
static void lowered(size_t base)
{
	mallopt(M_MMAP_MAX, 8);
	take(0, 8);
	mallopt(M_MMAP_MAX, 2);
	take(8, 16);
	CHECK(mapped() == base + 8, "%zu mapped, not 8", mapped() - base);
	give(8, 16);
	malloc_trim(0);
	give(0, 5);
	take(0, 2);
	CHECK(mapped() == base + 3, "%zu mapped, not 3", mapped() - base);
	give(0, 2);
	malloc_trim(0);
	give(5, 7);
	take(0, 3);
	CHECK(mapped() == base + 2, "%zu mapped, not 2", mapped() - base);
	give(0, 3);
	give(7, 8);
	CHECK(mapped() == base, "%zu mapped, not 0", mapped() - base);
}

/* A mapped block may grow while the maximum is reached: it is counted already. */
static void resized(size_t base)
{
	char *q;

	mallopt(M_MMAP_MAX, 1);
	q = hard_malloc(MIB);
	hard_fill(q, MIB, 7);
	q = realloc(q, 5 * MIB);
	CHECK(q && mapped() == base + 1, "%zu mapped after realloc", mapped() - base);
	hard_verify_part(q, MIB, 7, MIB - 512);
	free(q);
	CHECK(mapped() == base, "%zu mapped, not 0", mapped() - base);
}

int main(void)
{
	size_t base = mapped();

	watch_memory();
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	mallopt(M_TOP_PAD, 0);
	counting(5, base);
	counting(0, base);
	counting(1, base);
	counting(17, base);
	counting(BLOCKS, base);
	lowered(base);
	resized(base);
	return 0;
}
