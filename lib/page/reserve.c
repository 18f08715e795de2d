/* SPDX-License-Identifier: MIT */
/*
 * The reserve: pages set aside, in memory, for those who can neither wait nor
 * ask the system, or who are needed to free memory.
 *
 * 1. It is one run of pages with a bitmap of those that are there. What is
 *    taken from it comes back to it when it is freed; when the reserve itself is
 *    replaced, the old one's pages go to the buddy, now or when they are freed.
 *
 * 2. How much of it who may have is the kernel's rule for its watermark:
 *    HIGH may use half, HARDER (HIGH, and cannot wait) five eighths, RESERVE all.
 *
 * 3. A signal handler may have interrupted the holder of zone_lock, so the
 *    reserve has a lock of its own. As who takes a run also writes the class map,
 *    whoever moves that map (zone.c) holds reserve_lock too.
 *
 * Locking: reserve_lock, below zone_lock.
 */
#include "page/reserve.h"

#include <string.h>

#include "base/bits.h"
#include "page/zone.h"

static struct {
	pfn_t start;		/* of the run */
	size_t pages;		/* its length; 0: there is no reserve */
	size_t there;		/* bits set in map */
	uint64_t *map;		/* bit set: the page may be taken */
} reserve;

struct lock reserve_lock = LOCK_INIT(RANK_RESERVE);

static size_t map_pages(size_t npages)
{
	return bytes_pages((npages + 63) / 64 * sizeof(uint64_t));
}

bool reserve_enter(unsigned how)
{
	return READ_ONCE(reserve.pages) && lock_enter(&reserve_lock, how & ALLOC_WAIT);
}

void reserve_leave(void)
{
	lock_release(&reserve_lock);
}

/* Pages that must stay, by who asks. */
static size_t floor_for(unsigned how)
{
	if (how & ALLOC_RESERVE)
		return 0;
	return how & ALLOC_HARDER ? reserve.pages * 3 / 8 : reserve.pages / 2;
}

pfn_t reserve_take(size_t npages, size_t align, unsigned how)
{
	size_t i = 0;

	if (reserve.there < npages || reserve.there - npages < floor_for(how))
		return 0;
	while ((i = bits_next(reserve.map, i, reserve.pages, true)) + npages <= reserve.pages) {
		pfn_t pfn = ALIGN_UP(reserve.start + i, align);
		size_t from = pfn - reserve.start, end;

		if (from + npages > reserve.pages)
			return 0;
		end = bits_next(reserve.map, from, from + npages, false);
		if (end == from + npages) {
			bits_clear_range(reserve.map, from, end);
			WRITE_ONCE(reserve.there, reserve.there - npages);
			return pfn;
		}
		i = end + 1;
	}
	return 0;
}

bool reserve_put(pfn_t pfn, size_t npages, bool wait, pfn_t *first, size_t *n)
{
	pfn_t end;

	*first = pfn;
	*n = 0;
	if (likely(!READ_ONCE(reserve.pages)))
		return true;
	if (!lock_enter(&reserve_lock, wait))
		return false;
	end = MIN(pfn + npages, reserve.start + reserve.pages);
	pfn = MAX(pfn, reserve.start);
	if (pfn < end) {
		*first = pfn;
		*n = end - pfn;
		bits_set_range(reserve.map, pfn - reserve.start, end - reserve.start);
		WRITE_ONCE(reserve.there, reserve.there + *n);
	}
	lock_release(&reserve_lock);
	return true;
}

bool reserve_owns(pfn_t pfn)
{
	return pfn - READ_ONCE(reserve.start) < READ_ONCE(reserve.pages);
}

size_t reserve_available(void)
{
	return READ_ONCE(reserve.there);
}

/* Every bit of an old reserve that is set is a page for the buddy. */
static void dissolve(pfn_t start, size_t npages, const uint64_t *map)
{
	size_t i = 0, end;

	while ((i = bits_next(map, i, npages, true)) < npages) {
		end = bits_next(map, i, npages, false);
		page_free(pfn_addr(start + i), end - i, end - i);
		i = end;
	}
}

bool reserve_fill(size_t npages)
{
	pfn_t start = 0, old_start;
	uint64_t *map = NULL, *old_map;
	struct page *page;
	size_t old_pages;
	void *run;

	if (npages) {
		/* On the grid of slabs, so that the alignments asked for are there. */
		run = page_alloc(npages, MIN((size_t)1 << log2_ceil(npages), 64ul), &page);
		map = run ? page_alloc_meta(map_pages(npages)) : NULL;
		if (!map) {
			if (run)
				page_free(run, npages, 0);
			return false;
		}
		page->state = PG_META;
		/* In memory now, and known to be written: whoever needs zeros clears it. */
		memset(run, 0, npages << PAGE_SHIFT);
		page_note_written(run, npages);
		bits_set_range(map, 0, npages);
		start = addr_pfn(run);
	}
	lock_acquire(&zone_lock);
	lock_acquire(&reserve_lock);
	old_start = reserve.start;
	old_pages = reserve.pages;
	old_map = reserve.map;
	reserve.start = start;
	reserve.map = map;
	WRITE_ONCE(reserve.there, npages);
	WRITE_ONCE(reserve.pages, npages);
	lock_release(&reserve_lock);
	lock_release(&zone_lock);
	if (old_pages) {
		dissolve(old_start, old_pages, old_map);
		page_free_meta(old_map, map_pages(old_pages));
	}
	return true;
}
