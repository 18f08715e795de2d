/* SPDX-License-Identifier: MIT */
/*
 * Regions: where each sheaf lies in one, and their making. See percpu.h for a
 * drawing. Locking: the caller's; the layout is constant once it is set.
 */
#include "base/bits.h"
#include "slab/percpu.h"

uint32_t sheaf_small[NR_SHEAF_CLASSES + 1] __initdata, sheaf_full[NR_SHEAF_CLASSES + 1] __initdata;

static uint32_t region_bytes __initdata;

void region_set_layout(void)
{
	uint32_t off = sizeof(struct region);

	for (unsigned c = 1; c <= NR_SIZE_CLASSES; c++) {
		sheaf_small[c] = off;
		off += MIN(SMALL_SLOTS * (uint32_t)sizeof(void *), sheaf_limit(c));
	}
	for (unsigned c = 1; c <= NR_SIZE_CLASSES; c++) {
		sheaf_full[c] = off;
		off += sheaf_limit(c);
	}
	for (unsigned c = NR_SIZE_CLASSES + 1; c <= NR_SHEAF_CLASSES; c++) {
		sheaf_small[c] = sheaf_full[c] = off;
		off += EXTRA_SLOTS * (uint32_t)sizeof(void *);
	}
	region_bytes = off;
}

struct region *region_create(void)
{
	struct region *r = page_alloc_table(bytes_pages(region_bytes));

	if (!r)
		return NULL;
	/* A fresh page is mapped once if it is written first, and twice if it is read. */
	WRITE_ONCE(r->end[CLASS_NONE], 0);
	for_each_cache(c)
		region_open_class(r, c->class);
	return r;
}

/* Both words of a sheaf at once: nobody sees a top without its begin. */
static void set_sheaf(struct region *r, unsigned class, uint32_t off)
{
	union {
		struct sheaf s;
		uint64_t word;
	} u = { .s = { off, off } };

	__atomic_store_n((uint64_t *)&r->sheaf[class], u.word, __ATOMIC_RELEASE);
}

bool region_begin_class(struct region *r, unsigned class)
{
	if (!sheaf_limit(class) || r->sheaf[class].begin)
		return false;
	set_sheaf(r, class, sheaf_small[class]);
	return true;
}

void region_open_class(struct region *r, unsigned class)
{
	if (region_begin_class(r, class))
		WRITE_ONCE(r->end[class], sheaf_small[class] +
			   MIN(SMALL_SLOTS * (uint32_t)sizeof(void *), sheaf_limit(class)));
}

void region_close_class(struct region *r, unsigned class)
{
	store_release(&r->end[class], 0);
	set_sheaf(r, class, 0);
}
