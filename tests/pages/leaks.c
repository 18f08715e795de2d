/* SPDX-License-Identifier: MIT */
/*
 * Pages, areas and pinned buffers as the leak scanner sees them: they are
 * no blocks that could be lost, but what they hold is held; and what faults in
 * them does not trouble it.
 */
#include "tap.h"

static size_t page;

/* Where only this function has been, so that no word of it is left on the stack. */
__attribute__((noinline)) static void fill_all(void **pages, void **area, void **pinned, void **low)
{
	pages[3] = malloc(1001);
	area[5] = malloc(1002);
	pinned[7] = malloc(1003);
	low[9] = malloc(1004);
}

__attribute__((noinline)) static void lose_one(void)
{
	void *volatile p = malloc(2001);

	if (p)
		p = NULL;
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
	fill_all(pages, area, pinned, low);
	lose_one();
	scrub();
	counted = stele_leak_count(&count);
	ok(stele_leak_on() && counted == 0, "a count is to be had");
	ok(count.direct.blocks == 1 && count.direct.bytes == 2001,
	   "what they hold is no leak, what nothing holds is: %zu blocks, %zu bytes",
	   count.direct.blocks, count.direct.bytes);
	ok(count.indirect.blocks == 0 && count.possible.blocks == 0, "nor is it a possible one");
	pages[3] = NULL;
	area[5] = NULL;
	pinned[7] = NULL;
	low[9] = NULL;
	scrub();
	counted = stele_leak_count(&count);
	ok(counted == 0 && count.direct.blocks == 5,
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
