/* SPDX-License-Identifier: MIT */
/*
 * Sections: from an address to what we know about its page.
 *
 * A section is 128 MiB of address space with everything that the page layer
 * keeps about it. Its descriptors (memmap) come in subsections of 4 MiB, one
 * largest buddy block each, so that a small heap has small tables.
 *
 *	address  |47 ......... 37|36 ....... 27|26 ... 22|21 .. 12|11 .. 0|
 *	          root[]           leaf[]        memmap[]  page     offset
 *	          few[]            -> struct section
 *
 * Nothing is reserved up front: sections, leaves and memmaps are carved out of
 * the zone that they describe when it grows (see zone.c).
 *
 * The window. Almost every block lies in the break zone, and that is one
 * range of addresses. Its class maps are one array, so that the hit path of
 * free() needs a subtraction, a shift and a compare instead of the walk above:
 *
 *	class = window.map[(addr - window.base) >> PAGE_SHIFT]
 *
 * When the zone outgrows the array, a larger copy takes its place: the map is
 * published before the page count that lets a reader use it; the old map stays
 * readable for ever (all of them together are as large as the last).
 */
#ifndef STELE_PAGE_SECTION_H
#define STELE_PAGE_SECTION_H

#include "os/os.h"
#include "page/hit.h"
#include "page/page.h"

#define SECTION_SHIFT	27
#define SECTION_PAGES	(1ul << (SECTION_SHIFT - PAGE_SHIFT))
#define SUB_PAGES	MAX_BLOCK
#define NR_SUBS		(SECTION_PAGES / SUB_PAGES)
#define MEMMAP_PAGES	(SUB_PAGES * sizeof(struct page) / PAGE_SIZE)
#define CLASSMAP_PAGES	(SECTION_PAGES / PAGE_SIZE)
#define SECTION_WORDS	(SECTION_PAGES / 64)

struct zone;

/* All fields: zone lock to write; the pointers are constant once published. */
struct section {
	pfn_t base;
	struct zone *zone;
	uint32_t index;			/* in its zone: see zone_section() */
	uint8_t *classmap;		/* one byte per page; written by a run's owner */
	struct page *memmap[NR_SUBS];	/* NULL: the subsection is not ours */

	/* Free blocks: a bit per block and order, with two summaries above. */
	uint64_t top[NR_ORDERS];	/* bit w: level[order][w] != 0 */
	uint64_t level[NR_ORDERS][SECTION_WORDS / 64];
	uint64_t free[2 * SECTION_WORDS];

	uint64_t touched[SECTION_WORDS];	/* page may hold other than zeros */
	uint64_t present[SECTION_WORDS];	/* page belongs to the zone */
	uint64_t held;				/* regions that must not be huge; see thp.h */
	uint64_t moved;				/* regions of moved memory; see migrate.h */
};

struct window {
	uintptr_t base;		/* constant once pages != 0 */
	size_t pages;		/* entries of map that may be read */
	uint8_t *map;
	size_t capacity;	/* entries of map */
	bool closed;		/* hit.pages is kept at 0 */
};

extern struct window window;

/* The section of a page, or NULL. Lock-free. */
struct section *section_of(pfn_t pfn);
/* The descriptor of a page, or NULL when no zone has it. Lock-free. */
struct page *page_of(pfn_t pfn);

/*
 * The memmaps near at hand: of each subsection, as far as there is room, one word
 *
 *	| page number of its memmap | its own number, SUB_BITS |
 *
 * so that the descriptor of a page in use is one load away, not four that wait for
 * each other. Written with zone_lock held.
 */
#define NEAR_MEMMAPS	64
#define SUB_SHIFT	MAX_ORDER
#define SUB_BITS	(OS_ADDRESS_BITS - PAGE_SHIFT - SUB_SHIFT)
extern uintptr_t near_memmaps[NEAR_MEMMAPS];
void near_memmap_add(pfn_t sub, struct page *memmap);
void near_memmap_drop(pfn_t sub);

/* The descriptor of a page that its class says is in use, or was; NULL: not near. */
static inline struct page *page_near(const void *addr)
{
	pfn_t pfn = addr_pfn(addr), sub = pfn >> SUB_SHIFT;
	uintptr_t word = load_acquire(&near_memmaps[sub % NEAR_MEMMAPS]);

	if (unlikely((word & ((1ul << SUB_BITS) - 1)) != sub))
		return NULL;
	return (struct page *)pfn_addr(word >> SUB_BITS) + pfn % SUB_PAGES;
}

/* The same of any such page. */
static inline struct page *page_in_use(const void *addr)
{
	struct page *page = page_near(addr);

	return likely(page) ? page : page_of(addr_pfn(addr));
}

/*
 * Ranges may cross sections: how many of [pfn, pfn + npages) lie in the section of
 * @pfn, which must exist, and where they begin in it.
 */
static inline size_t section_part(pfn_t pfn, size_t npages, struct section **s, size_t *page)
{
	*s = section_of(pfn);
	*page = pfn - (*s)->base;
	return MIN(npages, SECTION_PAGES - *page);
}

/*
 * Pages for tables that section_add() would need on top of the section. NR_FEW sections in
 * a row may be added together and not stand in each other's way; others need a leaf.
 */
#define NR_FEW		32
#define LEAF_SHIFT	(SECTION_SHIFT + 10 - PAGE_SHIFT)
bool section_leaf_missing(pfn_t pfn, size_t behind_first);
#define LEAF_PAGES	2
void section_set_leaf(pfn_t pfn, void *pages);
void section_publish(struct section *s);
void section_unpublish(struct section *s);

/*
 * Let hit paths use the window, or send all of them down the slow path; with
 * hit_lock held. The others take it themselves, under zone_lock.
 */
void window_close(bool closed);
void window_set_map(uint8_t *map, size_t capacity);
void window_set_pages(size_t pages);

/* The class of an address in the window; CLASS_NONE elsewhere. */
static inline unsigned class_in_window(const void *addr)
{
	size_t i = ((uintptr_t)addr - window.base) >> PAGE_SHIFT;

	return likely(i < load_acquire(&window.pages)) ? READ_ONCE(READ_ONCE(window.map)[i]) :
							 CLASS_NONE;
}

/* The class of any address; CLASS_NONE when it is not ours. */
static inline unsigned class_of(const void *addr)
{
	unsigned class = class_in_window(addr);

	if (likely(class))
		return class;

	/* Also where a chunk of ZONE_MMAP lies inside of the window's range. */
	struct section *s = section_of(addr_pfn(addr));

	return s ? READ_ONCE(s->classmap[addr_pfn(addr) - s->base]) : CLASS_NONE;
}

#endif
