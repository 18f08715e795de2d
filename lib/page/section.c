/* SPDX-License-Identifier: MIT */
#include "page/section.h"

#include "os/lock.h"
#include "os/os.h"

#define LEAF_BITS	10
#define ROOT_SHIFT	LEAF_SHIFT
#define ROOT_ENTRIES	(1ul << (OS_ADDRESS_BITS - SECTION_SHIFT - LEAF_BITS))

typedef struct section *leaf_t[1 << LEAF_BITS];
static_assert(LEAF_SHIFT == SECTION_SHIFT + LEAF_BITS - PAGE_SHIFT, "one leaf's reach");
static_assert(sizeof(leaf_t) == LEAF_PAGES * PAGE_SIZE, "a leaf fills its pages");

/*
 * Most processes have a few sections, whose root and leaves would be pages with one word
 * each. Those that find a place of their own here are nowhere else. The pointer is stored
 * before the number that lets a reader use it, and cleared after it.
 */
static struct {
	size_t number;		/* of the section, counted from 1; 0: free */
	struct section *section;
} few[NR_FEW] __nearbss;

/* zone_lock to write both, anybody reads. */
static leaf_t *root[ROOT_ENTRIES];
static bool root_used __nearbss;

struct window window = { .closed = true };
struct hit hit __nearbss_last;
struct lock hit_lock = LOCK_INIT(RANK_HIT);

static inline size_t section_number(pfn_t pfn)
{
	return pfn / SECTION_PAGES + 1;
}

struct section *section_of(pfn_t pfn)
{
	size_t r = pfn >> ROOT_SHIFT, number = section_number(pfn), i = number % NR_FEW;

	if (likely(load_acquire(&few[i].number) == number)) {	/* pairs with section_publish */
		struct section *s = load_acquire(&few[i].section);

		/* Of an address that is not ours, it may have become another's meanwhile. */
		if (likely(READ_ONCE(few[i].number) == number))
			return s;
	}
	if (!load_acquire(&root_used) || r >= ROOT_ENTRIES)
		return NULL;

	leaf_t *leaf = load_acquire(&root[r]);	/* pairs with section_set_leaf */

	if (!leaf)
		return NULL;
	/* pairs with section_publish */
	return load_acquire(&(*leaf)[(pfn / SECTION_PAGES) & ((1 << LEAF_BITS) - 1)]);
}

struct page *page_of(pfn_t pfn)
{
	struct section *s = section_of(pfn);

	if (!s)
		return NULL;

	size_t i = pfn - s->base;

	if (!(READ_ONCE(s->present[i / 64]) >> (i & 63) & 1))
		return NULL;
	return s->memmap[i / SUB_PAGES] + i % SUB_PAGES;
}

uintptr_t near_memmaps[NEAR_MEMMAPS] __nearbss;
static_assert(SUB_PAGES == 1ul << SUB_SHIFT, "one subsection is one largest block");
static_assert(OS_ADDRESS_BITS - PAGE_SHIFT + SUB_BITS <= 64, "both numbers fit in a word");

__setup void near_memmap_add(pfn_t sub, struct page *memmap)
{
	uintptr_t *word = &near_memmaps[sub % NEAR_MEMMAPS];

	if (!*word)
		store_release(word, addr_pfn(memmap) << SUB_BITS | sub);
}

void near_memmap_drop(pfn_t sub)
{
	uintptr_t *word = &near_memmaps[sub % NEAR_MEMMAPS];

	if ((*word & ((1ul << SUB_BITS) - 1)) == sub)
		WRITE_ONCE(*word, 0);
}

__setup bool section_leaf_missing(pfn_t pfn, size_t behind_first)
{
	if (!few[section_number(pfn) % NR_FEW].number && behind_first < NR_FEW * SECTION_PAGES)
		return false;
	return pfn >> ROOT_SHIFT < ROOT_ENTRIES && !root[pfn >> ROOT_SHIFT];
}

void section_set_leaf(pfn_t pfn, void *pages)
{
	store_release(&root[pfn >> ROOT_SHIFT], (leaf_t *)pages);
	store_release(&root_used, true);
}

static struct section **leaf_slot(pfn_t pfn)
{
	return &(*root[pfn >> ROOT_SHIFT])[(pfn / SECTION_PAGES) & ((1 << LEAF_BITS) - 1)];
}

__setup void section_publish(struct section *s)
{
	size_t number = section_number(s->base), i = number % NR_FEW;

	if (few[i].number) {
		store_release(leaf_slot(s->base), s);
	} else {
		store_release(&few[i].section, s);
		store_release(&few[i].number, number);
	}
}

void section_unpublish(struct section *s)
{
	size_t number = section_number(s->base), i = number % NR_FEW;

	for (size_t sub = 0; sub < NR_SUBS; sub++)
		near_memmap_drop(s->base / SUB_PAGES + sub);
	if (few[i].number == number) {
		store_release(&few[i].number, 0);
		store_release(&few[i].section, NULL);
	} else {
		store_release(leaf_slot(s->base), NULL);
	}
}

__setup void window_close(bool closed)
{
	WRITE_ONCE(window.closed, closed);
	hit.base = window.base;
	WRITE_ONCE(hit.map, window.map);
	store_release(&hit.pages, closed ? 0 : window.pages);
}

__setup void window_set_map(uint8_t *map, size_t capacity)
{
	lock_acquire(&hit_lock);
	window.capacity = capacity;
	store_release(&window.map, map);
	store_release(&hit.map, map);
	hit.base = window.base;
	/* Who sees the page count that comes next sees this map: see page/hit.h. */
	if (hit.area && !os_single_threaded())
		os_fence(-1);
	lock_release(&hit_lock);
}

__setup void window_set_pages(size_t pages)
{
	lock_acquire(&hit_lock);
	store_release(&window.pages, pages);
	if (!READ_ONCE(window.closed))
		store_release(&hit.pages, pages);
	lock_release(&hit_lock);
}
