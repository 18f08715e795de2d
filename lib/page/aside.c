/* SPDX-License-Identifier: MIT */
/*
 * Runs put aside.
 *
 * To free a run, of a block or of a slab that has become empty, takes the zone's lock, and writes
 * bits, summaries and counts that no near cache has: these were the slowest calls of free(). Who
 * takes pages writes the same lines anyway. So free() only links a run that is not long, and the
 * next who takes pages, or looks at what is free, frees it.
 *
 *	runs -> first page of a run -> ... -> 0		by words of their descriptors
 *
 * A descriptor belongs to whom turned its state from PG_LARGE to PG_AWAY, or took an empty slab
 * off its list, until a compare-and-swap of the head has published it; then to the holder of
 * zone_lock, who takes all runs by one exchange. No single run is ever taken off, so a head that
 * has been freed and put aside again meanwhile is as good as before. Signal handlers and other
 * CPUs may put at any instruction. A child of fork has what lay aside; what another thread had
 * in hand is lost to it, and is not counted any more.
 *
 * What lies aside is in memory and counts for the watermark (reclaim.c), so that the promise on
 * free touched pages holds. Programs that set parameters or a limit count on what the very
 * call of free() gives back, kswapd is woken by it, and the reserve is wanted back at once: there
 * nothing is put aside.
 */
#include "page/aside.h"

#include "page/limit.h"
#include "page/reserve.h"
#include "page/zone.h"
#include "tune/tune.h"

#define ASIDE_RUN	256	/* pages; of longer ones parts may be out of memory */

enum { NEXT, WRITTEN };		/* words of the descriptor of a run aside */

struct aside aside;

bool aside_put(void *addr, struct page *page, size_t written)
{
	pfn_t pfn = addr_pfn(addr), top = READ_ONCE(aside.runs);

	if (page->npages >= ASIDE_RUN ||
	    READ_ONCE(aside.pages) + page->npages > READ_ONCE(aside.most) || !tune_is_dynamic() ||
	    limit_is_set() || reserve_owns(pfn))
		return false;
	__atomic_add_fetch(&aside.pages, page->npages, __ATOMIC_RELAXED);
	WRITE_ONCE(page->state, PG_AWAY);
	page->words[WRITTEN] = written;
	do {
		page->words[NEXT] = top;
		/* The release pairs with the acquire in aside_free_all(). */
	} while (!__atomic_compare_exchange_n(&aside.runs, &top, pfn, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
	return true;
}

void aside_free_all(void)
{
	pfn_t pfn = __atomic_exchange_n(&aside.runs, 0, __ATOMIC_ACQUIRE);

	while (pfn) {
		struct page *page = page_of(pfn);
		pfn_t next = page->words[NEXT];
		size_t written = page->words[WRITTEN];

		__atomic_sub_fetch(&aside.pages, page->npages, __ATOMIC_RELAXED);
		/* Zero again, as who takes the pages next finds a descriptor. */
		page->words[NEXT] = page->words[WRITTEN] = 0;
		zone_free_run(pfn, page->npages, written);
		pfn = next;
	}
}

void aside_fork_child(void)
{
	size_t pages = 0;

	for (pfn_t pfn = aside.runs; pfn; pfn = page_of(pfn)->words[NEXT])
		pages += page_of(pfn)->npages;
	aside.pages = pages;
}
