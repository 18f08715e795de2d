/* SPDX-License-Identifier: MIT */
/*
 * Runs of which the program has used few pages: which ones the system tells. What it
 * tells is all that may be other than zero.
 *
 * Locking: takes zone_lock; not while the system is asked, as the run is the caller's
 * until it is free.
 */
#include "page/page.h"

#include <string.h>

#include "base/bits.h"
#include "os/os.h"
#include "page/thp.h"
#include "page/zone.h"
#include "tune/tune.h"

#define SPARSE_MIN	256	/* pages; below, a call costs more than it saves, */
#define SPARSE_ZEROED	64	/* or than zeroing, where that is asked for */
#define SPARSE_CHUNK	2048
#define SPARSE_PART	4	/* sparse: at most one page in so many is in memory */
#define SPARSE_LEFT	256	/* pages of sparse runs that may stay there, free */

/* What was found in memory of a run that is being freed. */
struct resident {
	size_t pages, new;	/* of these, untouched when the run was allocated */
};

/* None of the next eight system pages is in memory. */
static bool none_of_eight(const unsigned char *vec)
{
	uint64_t word;

	memcpy(&word, vec, sizeof(word));
	return !(word & 0x0101010101010101);
}

/* Mark the pages of [pfn, pfn + n) that are in memory, n <= SPARSE_CHUNK. */
static bool note_resident(pfn_t pfn, size_t n, struct resident *found)
{
	unsigned char vec[SPARSE_CHUNK];
	size_t unit = os_page_size() >> PAGE_SHIFT, end = (n + unit - 1) / unit;

	if (os_resident(pfn_addr(pfn), n << PAGE_SHIFT, vec))
		return false;
	lock_acquire(&zone_lock);
	for (size_t i = 0; i < end; i++) {
		size_t k = MIN(unit, n - i * unit);

		if (i % 8 == 0 && end - i >= 8 && none_of_eight(vec + i)) {
			i += 7;
			continue;
		}
		if (!(vec[i] & 1))
			continue;
		found->pages += k;
		found->new += zone_untouched(pfn + i * unit, k);
		zone_note_written(pfn + i * unit, k);
	}
	lock_release(&zone_lock);
	return true;
}

/*
 * The whole of a run. A page may be absent and yet not zero only if it is in swap: where
 * anything is in swap, before or after we looked, there is no answer.
 */
static bool find_resident(pfn_t pfn, size_t npages, struct resident *found)
{
	size_t n;

	if (!os_nothing_swapped())
		return false;
	for (; npages; pfn += n, npages -= n) {
		n = MIN(npages, SPARSE_CHUNK);
		if (!note_resident(pfn, n, found))
			return false;
	}
	return os_nothing_swapped();
}

/*
 * Arrays of which ever other pages are used would in the end keep all of the heap
 * in memory, and calloc would zero more and more of it. So what sparse runs add is
 * counted, and beyond SPARSE_LEFT the run that adds to it is emptied. Who uses the
 * same few pages each time adds nothing. With zone_lock held.
 */
static bool should_empty(const struct resident *found, size_t npages)
{
	static size_t left;

	if (!found->new || found->pages > npages / SPARSE_PART || thp_mode() == THP_MODE_ALWAYS)
		return false;
	left += found->new;
	if (left <= SPARSE_LEFT)
		return false;
	left -= MIN(left, found->pages);
	return true;
}

/* Programs that set parameters count on no other call than those that they expect. */
static bool may_be_sparse(const void *addr, size_t npages, size_t least)
{
	return npages >= least && tune_is_dynamic() &&
	       IS_ALIGNED((uintptr_t)addr, os_page_size()) &&
	       zone_untouched(addr_pfn(addr), npages) >= least;
}

void page_free_sparse(void *addr, size_t npages, bool zeroed)
{
	struct resident found = { 0 };
	pfn_t pfn = addr_pfn(addr);
	bool empty;

	if (!may_be_sparse(addr, npages, zeroed ? SPARSE_ZEROED : SPARSE_MIN)) {
		page_free_written(addr, npages);
		return;
	}
	page_set_class(addr, 1, CLASS_NONE);
	page_of(pfn)->state = PG_NONE;
	if (!find_resident(pfn, npages, &found)) {
		page_free(addr, npages, npages);
		return;
	}
	lock_acquire(&zone_lock);
	empty = should_empty(&found, npages);
	lock_release(&zone_lock);
	if (empty)
		page_empty(pfn, npages);
	page_free(addr, npages, 0);
}
