/* SPDX-License-Identifier: MIT */
/*
 * Zones: where pages come from. Private to lib/page, tests and observers.
 *
 *	ZONE_BRK	one range that grows and shrinks with the break
 *	ZONE_MMAP	chunks by mmap, for when the break cannot move
 *	ZONE_DMA32	chunks below 4 GiB, for requests that want them; others take
 *			what is free there before they have a chunk mapped
 *
 * A section belongs to the zone that first had a page in it; where the break
 * and a chunk, or two chunks, meet in one section, its free pages are kept in that
 * zone's bitmaps whichever way they came, and whoever looks for pages of the other
 * looks there too. One lock covers all zones.
 *
 * Layout of a growth that needs new tables ("memmap on memory"):
 *
 *	|-- carve: sections, memmaps, maps, header --|-- pages for the buddy --|
 *
 * Carves of the break zone form a stack by address. What a carve describes
 * lies at or above it, so trimming the break may drop it together with all
 * that it describes, unless it is pinned (it holds a leaf or the window map).
 */
#ifndef STELE_PAGE_ZONE_H
#define STELE_PAGE_ZONE_H

#include "os/lock.h"
#include "page/section.h"

#define MAX_SECTIONS	8192	/* 1 TiB per zone */

/* Kept in the descriptor of the carve's last page. */
struct carve {
	struct carve *below;	/* NULL: the first */
	pfn_t start, end;
	bool pinned;
};
static_assert(sizeof(struct carve) <= sizeof(((struct page *)0)->words), "fits");

/* Protected by zone_lock throughout; counters may be read without. */
struct zone {
	uint32_t id;			/* enum zone_id; constant */
	uint32_t nr_sections;
	/* Summary of zone_group.avail. */
	uint64_t avail_top[NR_ORDERS][MAX_SECTIONS / 64 / 64];
	size_t nr_blocks[NR_ORDERS];	/* free blocks */
	size_t present;			/* pages in the zone, tables included */
	size_t free;			/* pages in the buddy */
	size_t free_touched;		/* of these: touched */
	size_t meta;			/* pages in carves */

	/* ZONE_BRK only. */
	pfn_t end;			/* one past our last page; 0: no page yet */
	uintptr_t brk;			/* the break as we left it */
	struct carve *top_carve;

	size_t low_touched;		/* least of free_touched since kswapd looked */
	int held_runs;			/* runs of held regions; see thp.c */
	size_t purge_floor;		/* free_touched must exceed it; see reclaim.c */
	size_t hand;			/* where the next purge goes on, as in buddy_prev */
	size_t nr_grow, nr_trim, nr_purge;	/* system calls made */
	size_t nr_refused;		/* of the purges */
	size_t max_present;
};

enum zone_id { ZONE_BRK, ZONE_MMAP, ZONE_DMA32, NR_ZONES };

extern struct zone zones[NR_ZONES];

/*
 * Sections of a zone, 64 at a time, and which of them have a free block of an order. The
 * first of the break zone, which is all that most need, lies with what every process writes.
 */
struct zone_group {
	uint64_t avail[NR_ORDERS];
	struct section *sections[64];	/* ZONE_BRK: by address */
};

extern struct zone_group brk_group, zone_groups[MAX_SECTIONS / 64][NR_ZONES];

static inline struct zone_group *zone_group(const struct zone *z, size_t i)
{
	return i || z->id != ZONE_BRK ? &zone_groups[i][z->id] : &brk_group;
}

static inline struct section **zone_section(const struct zone *z, size_t i)
{
	return &zone_group(z, i / 64)->sections[i % 64];
}

extern struct lock zone_lock;

const char *zone_name(const struct zone *z);

/* ---- page.c ---- */

/* With zone_lock held: these pages, of a run that is being freed, may be other than zero. */
void zone_note_written(pfn_t pfn, size_t npages);
/* How many of them were zero when they were allocated; ditto, or in the run's owner's hands. */
size_t zone_untouched(pfn_t pfn, size_t npages);
/* As page_free() of pages of which all may be other than zero; the first loses its class. */
void page_free_written(void *addr, size_t npages);
/*
 * With zone_lock held, which may be dropped meanwhile: a run of a block or of a slab, of which
 * so many leading pages may be other than zero. Its first page loses its class.
 */
void zone_free_run(pfn_t pfn, size_t npages, size_t written);
/* Without the lock: give back the memory of a run in use, of which few pages are in memory. */
void page_empty(pfn_t pfn, size_t npages);

/* ---- buddy.c ---- */

/* Give any range of present pages to the buddy; merges eagerly. */
void buddy_free(pfn_t pfn, size_t npages);
/* Lowest block of 1 << order pages; 0: none. Splits larger blocks. */
pfn_t buddy_alloc(struct zone *z, unsigned order);
/* Exactly @npages (<= MAX_BLOCK), aligned to 1 << align_order. */
pfn_t buddy_alloc_exact(struct zone *z, size_t npages, unsigned align_order);
/*
 * Exactly @npages at any page, where a free run that no single block covers will
 * do; looks at a few candidates only. 0: none of them.
 */
pfn_t buddy_alloc_run(struct zone *z, size_t npages);
/*
 * Exactly @npages in the middle of a larger free run, or of its first part, where memory is
 * touched: room for what lies below to grow, and for itself. 0: none of a few candidates.
 */
pfn_t buddy_alloc_between(struct zone *z, size_t npages);
/* The same for any alignment, of pages below @limit; a few candidates per section. */
pfn_t buddy_alloc_below(struct zone *z, size_t npages, size_t align, pfn_t limit);
/* More than MAX_BLOCK pages, or alignment above it: runs of largest blocks. */
pfn_t buddy_alloc_contig(struct zone *z, size_t npages, size_t align);
/* Take this very range if all of it is free. */
bool buddy_take(pfn_t pfn, size_t npages);
/* Length of the free run that ends at (not including) @end. */
size_t buddy_run_below(pfn_t end);
/*
 * Walk free blocks of at least @order downwards: *@pos counts pages over the
 * zone's sections in the order of their index. False: none below *@pos, else it
 * becomes the position of the block found.
 */
bool buddy_prev(struct zone *z, unsigned order, size_t *pos, pfn_t *start, unsigned *found);
/* Order of the free block that holds @pfn and its first page; false: in use. */
bool buddy_find(pfn_t pfn, pfn_t *start, unsigned *order);

/* ---- zone.c ---- */

/*
 * How many pages a carve must have to describe [start, end), and its writing.
 * The new range is not present before zone_set_present().
 */
size_t zone_carve_pages(struct zone *z, pfn_t start, pfn_t end);
void zone_describe(struct zone *z, pfn_t carve, size_t carve_pages, pfn_t start, pfn_t end);
void zone_set_present(struct zone *z, pfn_t start, pfn_t end);
void zone_drop_present(pfn_t start, pfn_t end);

/* Grow so that @npages aligned to @align are had; they are taken. 0: failed. */
pfn_t zone_brk_grow(struct zone *z, size_t npages, size_t align);
/* The other zones than ZONE_BRK. */
pfn_t zone_mmap_grow(struct zone *z, size_t npages, size_t align);

/*
 * Move the break down, leaving @pad bytes free below it. Returns pages given
 * back. zone_brk_excess(): bytes at the top that a trim could reach.
 */
size_t zone_brk_trim(struct zone *z, size_t pad);
size_t zone_brk_excess(const struct zone *z);

#endif
