/* SPDX-License-Identifier: MIT */
/*
 * Pages, areas and pinned buffers as the leak scanner sees them: they are
 * no blocks that could be lost, but what they hold is held; and what faults in
 * them does not trouble it.
 */
#include "tap.h"

static size_t page;

#define HELD	1001		/* bytes of the blocks that a container holds, */
#define LOST	2001		/* and of those that nothing holds */
#define MANY	64		/* of each: words that are left on the stack may save a few */

/* In frames of their own, which others overwrite. */
__attribute__((noinline)) static void hold(void **container)
{
	for (size_t i = 0; i < MANY; i++)
		container[i] = malloc(HELD);
}

__attribute__((noinline)) static void lose(void)
{
	for (size_t i = 0; i < MANY; i++) {
		void *volatile p = malloc(LOST);

		if (p)
			p = NULL;
	}
}

/* Sealed by markers, and by mappings, beside what lives. */
static void make_holes(void)
{
	size_t sizes[] = { page, 5 * page, 100 * page, 8 * MIB };
	void *p[ARRAY_LEN(sizes)], *q[ARRAY_LEN(sizes)];

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		p[i] = stele_vmalloc(sizes[i]);
		q[i] = stele_vmalloc(sizes[i]);
		memset(p[i], 0, sizes[i]);
		memset(q[i], 0, sizes[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		stele_vfree(p[i]);
	q[3] = stele_vrealloc(q[3], page, STELE_GFP_KERNEL);
	stele_free_pages_nolock(stele_get_free_pages(STELE_GFP_KERNEL, 2), 2);
}

__attribute__((noinline)) static void scrub(void)
{
	volatile char room[4096];

	memset((char *)room, 0, sizeof(room));
}

static int tracked(void)
{
	void **pages = stele_get_free_pages(STELE_GFP_KERNEL | STELE_GFP_ZERO, 2);
	void **area = stele_vzalloc(10 * page), **pinned = stele_alloc_pinned(page, 0, NULL);
	void **low = stele_get_free_pages(STELE_GFP_KERNEL | STELE_GFP_ZERO | STELE_GFP_DMA32, 0);
	struct stele_leak_count count;
	int counted;

	if (!pinned)
		pinned = stele_vzalloc(page);
	make_holes();
	hold(pages);
	hold(area);
	hold(pinned);
	hold(low);
	lose();
	scrub();
	counted = stele_leak_get_count(&count);
	ok(stele_leak_on() && counted == 0, "a count is to be had");
	ok(count.direct.blocks >= MANY / 2 && count.direct.blocks <= MANY,
	   "what nothing holds is a leak: %zu blocks", count.direct.blocks);
	ok(count.direct.bytes == count.direct.blocks * LOST && !count.indirect.blocks &&
	   !count.possible.blocks, "what they hold is none: %zu bytes", count.direct.bytes);
	memset(pages, 0, MANY * sizeof(*pages));
	memset(area, 0, MANY * sizeof(*area));
	memset(pinned, 0, MANY * sizeof(*pinned));
	memset(low, 0, MANY * sizeof(*low));
	scrub();
	counted = stele_leak_get_count(&count);
	ok(counted == 0 && count.direct.blocks > 4 * MANY,
	   "with the pointers the blocks are lost: %zu", count.direct.blocks);
	stele_free_pages(pages, 2);
	stele_vfree(area);
	return tap_end();
}

int main(int argc, char **argv)
{
	page = stele_page_size();
	if (argc > 1)
		return tracked();
	setenv("STELE_CONF", "leak=on", 1);
	execl("/proc/self/exe", argv[0], "tracked", (char *)NULL);
	return EXIT_FAILURE;
}
