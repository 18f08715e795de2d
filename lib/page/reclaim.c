/* SPDX-License-Identifier: MIT */
/*
 * Reclaim.
 *
 * 1. The top of ZONE_BRK. Once the program has set any of glibc's parameters,
 *    the free() that makes the top exceed trim_threshold moves the break down
 *    to top_pad, in that very call. Otherwise the top is treated like the rest.
 *
 * 2. The rest. Free touched pages are what costs memory. Above a watermark,
 *    max(64 MiB, 1/4 of the pages in use), whoever frees gives pages back until
 *    15/16 of the watermark remain, a bounded number per pass. A clock hand goes
 *    down through the free blocks: what was freed just now, and will be wanted
 *    next, is spared until the hand comes round.
 *
 * 3. A block under purge is out of the buddy, so that the lock can be dropped
 *    during the system call; it goes back as untouched.
 *
 * Locking: zone_lock, dropped around madvise.
 */
#include "page/reclaim.h"

#include "base/bits.h"
#include "os/os.h"
#include "page/zone.h"
#include "tune/tune.h"

#define WATERMARK_MIN	(64ul << 20 >> PAGE_SHIFT)
#define PASS_PAGES	(4ul << 20 >> PAGE_SHIFT) /* purged by one free(), or twice its own */
#define PASS_STEPS	4096	/* free blocks looked at by one free() */
#define PURGE_ORDER	4	/* smaller blocks are worth no system call */

static size_t watermark(const struct zone *z)
{
	return MAX(WATERMARK_MIN, (z->present - z->free) / 4);
}

/* Drop what is not a whole system page; nothing left: *from == *to. */
static void round_inward(pfn_t *from, pfn_t *to)
{
	size_t unit = os_page_size() >> PAGE_SHIFT;

	*from = ALIGN_UP(*from, unit);
	*to = MAX(ALIGN_DOWN(*to, unit), *from);
}

/* Purge a block that the caller has taken, from its first touched page to its last. */
static size_t purge_block(struct zone *z, struct section *s, size_t page, size_t npages)
{
	size_t end = page + npages, first = bits_next(s->touched, page, end, true), last = end;
	pfn_t from, to;
	int err;

	while (last > first && !bits_test(s->touched, last - 1))
		last--;
	from = s->base + first;
	to = s->base + last;
	round_inward(&from, &to);
	if (from == to)
		return 0;
	lock_release(&zone_lock);
	err = os_purge(pfn_addr(from), (to - from) << PAGE_SHIFT);
	lock_acquire(&zone_lock);
	z->nr_purge++;
	return err ? 0 : bits_clear_range(s->touched, from - s->base, to - s->base);
}

/*
 * Purge until @target free touched pages remain, in blocks of at least @order
 * and of @budget pages in all. The hand goes down through the zone and starts
 * over at its end, at most once a pass.
 */
static size_t purge_zone(struct zone *z, size_t target, unsigned order, size_t budget)
{
	size_t purged = 0, steps = PASS_STEPS;
	bool again = false;

	while (z->free_touched > target && budget && steps--) {
		struct section *s;
		unsigned found;
		pfn_t start;

		if (!buddy_prev(z, order, &z->hand, &start, &found)) {
			if (again)
				break;
			again = true;
			z->hand = z->nr_sections * SECTION_PAGES;
			continue;
		}
		s = section_of(start);
		if (!bits_count(s->touched, start - s->base, start - s->base + (1ul << found)) ||
		    !buddy_take(start, 1ul << found))
			continue;
		purged += purge_block(z, s, start - s->base, 1ul << found);
		buddy_free(start, 1ul << found);
		budget -= MIN(budget, 1ul << found);
	}
	return purged;
}

static void trim_top(struct zone *z, pfn_t end)
{
	size_t threshold = READ_ONCE(tune.trim_threshold), excess;

	if (tune_is_dynamic() || threshold == SIZE_MAX)
		return;
	excess = zone_brk_excess(z);
	/* Only a free that reaches into the excess can have made it. */
	if (end >= z->end - (excess >> PAGE_SHIFT) && excess >= threshold)
		zone_brk_trim(z, tune.top_pad);
}

void reclaim_after_free(pfn_t pfn, size_t npages)
{
	struct zone *z = section_of(pfn)->zone;
	size_t mark;

	if (z == &zones[ZONE_BRK] && pfn < z->end)
		trim_top(z, pfn + npages);
	/* -1 is "never give back", inside as at the top; and who wants no mappings
	 * may be in a filter that knows of brk alone. */
	if (!tune_is_dynamic() &&
	    (READ_ONCE(tune.trim_threshold) == SIZE_MAX || !READ_ONCE(tune.mmap_max)))
		return;
	mark = MAX(watermark(z), z->purge_floor);
	if (likely(z->free_touched <= mark))
		return;
	/* Nothing to be had (locked memory, fragments): wait for twice as much. */
	if (!purge_zone(z, mark - mark / 16, PURGE_ORDER, MAX(2 * npages, PASS_PAGES)))
		z->purge_floor = 2 * z->free_touched;
	else
		z->purge_floor = 0;
}

size_t reclaim_bound(void)
{
	return (READ_ONCE(zones[ZONE_BRK].present) + READ_ONCE(zones[ZONE_MMAP].present))
	       << PAGE_SHIFT;
}

bool reclaim_all(size_t pad)
{
	size_t given = 0;

	lock_acquire(&zone_lock);
	given += zone_brk_trim(&zones[ZONE_BRK], pad);
	for (unsigned i = 0; i < NR_ZONES; i++) {
		zones[i].hand = zones[i].nr_sections * SECTION_PAGES;
		while (purge_zone(&zones[i], 0, 0, SIZE_MAX))
			given++;
	}
	lock_release(&zone_lock);
	return given != 0;
}
