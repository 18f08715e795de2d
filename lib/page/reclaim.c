/* SPDX-License-Identifier: MIT */
/*
 * Reclaim.
 *
 * 1. The top of ZONE_BRK. Once the program has set any of glibc's parameters,
 *    the free() that makes the top exceed trim_threshold moves the break down
 *    to top_pad, in that very call. Otherwise the top is treated like the rest.
 *
 * 2. The rest. Free touched pages are what costs memory. Above a watermark, by
 *    default max(64 MiB, 1/4 of the pages in use), whoever frees gives pages back
 *    until 15/16 of the watermark remain, a bounded number per pass. A clock hand goes
 *    down through the free blocks: what was freed just now, and will be wanted
 *    next, is spared until the hand comes round.
 *
 * 3. A block under purge is out of the buddy, so that the lock can be dropped
 *    during the system call; it goes back as untouched.
 *
 * 4. An idle program frees nothing, and keeps what is below the watermark. That
 *    is for kswapd, if it was asked for (life/kswapd.c): reclaim_idle() gives back
 *    half of what has lain free since its last call, the largest blocks first.
 *    What a load takes and frees in between is not idle, and stays.
 *
 * Locking: zone_lock, dropped around madvise.
 */
#include "page/reclaim.h"

#include "base/bits.h"
#include "os/os.h"
#include "page/aside.h"
#include "page/thp.h"
#include "page/zone.h"
#include "tune/tune.h"

#define PASS_PAGES	(4ul << 20 >> PAGE_SHIFT) /* purged by one free(), or twice its own */
#define PASS_STEPS	4096	/* free blocks looked at in one go */
#define PURGE_ORDER	4	/* smaller blocks are worth no system call of free() */
#define ASIDE_MOST	512	/* pages that free() may put aside (aside.c) */
#define IDLE_STEP	(16ul << 20 >> PAGE_SHIFT) /* the least that kswapd does at a time */

/* kswapd: see reclaim.h. */
size_t kswapd_mark = SIZE_MAX;
void (*kswapd_wake)(void);

/* Pages in use that no block is on, as reclaim_excess() was told last. */
static size_t not_live;

static size_t watermark(size_t used)
{
	size_t live = used - MIN(used, READ_ONCE(not_live));

	return MAX(READ_ONCE(tune.watermark) >> PAGE_SHIFT,
		   live * READ_ONCE(tune.watermark_scale) / 100);
}

/*
 * May memory go back that lies inside of a zone? -1 is "never give back", there as
 * at the top; and who wants no mappings may be in a filter that knows of brk alone.
 */
bool reclaim_allowed(void)
{
	return tune_is_dynamic() ||
	       (READ_ONCE(tune.trim_threshold) != SIZE_MAX && READ_ONCE(tune.mmap_max));
}

size_t reclaim_excess(size_t idle, size_t purged)
{
	size_t used = 0, free = idle + READ_ONCE(aside.pages), mark;

	WRITE_ONCE(not_live, idle + purged);
	for (unsigned i = 0; i < NR_ZONES; i++) {
		used += READ_ONCE(zones[i].present) - READ_ONCE(zones[i].free);
		free += READ_ONCE(zones[i].free_touched);
	}
	mark = watermark(used);
	/* What lies in slabs are parts of huge pages. */
	if (free <= mark || !reclaim_allowed() || thp_mode() == THP_MODE_ALWAYS)
		return 0;
	return free - mark;
}

/* Blocks that free() purges: parts of a huge page are not worth breaking it. */
static unsigned smallest_order(void)
{
	return thp_mode() == THP_MODE_ALWAYS ? HUGE_ORDER : PURGE_ORDER;
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
	thp_before_purge(s, s->base + page, npages);
	lock_release(&zone_lock);
	err = os_purge(pfn_addr(from), (to - from) << PAGE_SHIFT);
	lock_acquire(&zone_lock);
	z->nr_purge++;
	z->nr_refused += err != 0;
	return err ? 0 : bits_clear_range(s->touched, from - s->base, to - s->base);
}

int reclaim_purge(pfn_t pfn, size_t npages)
{
	struct section *s = section_of(pfn);

	lock_acquire(&zone_lock);
	thp_before_purge(s, pfn, npages);
	s->zone->nr_purge++;
	lock_release(&zone_lock);
	return os_purge(pfn_addr(pfn), npages << PAGE_SHIFT);
}

/*
 * Purge until @target free touched pages remain, in blocks of at least @order
 * and of @budget pages in all. The hand goes down through the zone; true: it has
 * come to the end, where it starts over.
 */
static bool purge_down(struct zone *z, size_t target, unsigned order, size_t budget,
		       size_t *purged)
{
	size_t steps = PASS_STEPS;

	while (z->free_touched > target && budget && steps--) {
		struct section *s;
		unsigned found;
		pfn_t start;

		if (!buddy_prev(z, order, &z->hand, &start, &found)) {
			z->hand = z->nr_sections * SECTION_PAGES;
			return true;
		}
		s = section_of(start);
		if (!bits_count(s->touched, start - s->base, start - s->base + (1ul << found)) ||
		    !buddy_take(start, 1ul << found))
			continue;
		*purged += purge_block(z, s, start - s->base, 1ul << found);
		buddy_free(start, 1ul << found);
		budget -= MIN(budget, 1ul << found);
	}
	return false;
}

/* One pass of free(): the hand goes on where it stopped, and over the end once. */
static size_t purge_some(struct zone *z, size_t target, unsigned order, size_t budget)
{
	size_t purged = 0;

	if (purge_down(z, target, order, budget, &purged) && !purged)
		purge_down(z, target, order, budget, &purged);
	return purged;
}

/* The whole zone, with breaks for whoever waits for the lock. */
static size_t purge_all(struct zone *z, size_t target, unsigned order)
{
	size_t purged = 0;

	z->hand = z->nr_sections * SECTION_PAGES;
	while (z->free_touched > target && !purge_down(z, target, order, SIZE_MAX, &purged)) {
		lock_release(&zone_lock);
		lock_acquire(&zone_lock);
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

/* The watermark of a zone, less what lies aside. */
static size_t zone_mark(const struct zone *z)
{
	size_t mark = watermark(READ_ONCE(z->present) - READ_ONCE(z->free));

	return mark - MIN(mark, READ_ONCE(aside.pages));
}

/*
 * What may lie aside must not bring a zone above its watermark, and stays small. kswapd
 * is to be woken by what is free.
 */
static void allow_aside(const struct zone *z, size_t mark)
{
	size_t most = kswapd_wake ? 0 : mark - MIN(mark, z->free_touched);

	most = MIN(most, ASIDE_MOST);
	if (aside.most != most)
		WRITE_ONCE(aside.most, most);
}

void reclaim_after_free(pfn_t pfn, size_t npages)
{
	struct zone *z = section_of(pfn)->zone;
	size_t mark, target;

	if (z == &zones[ZONE_BRK] && pfn < z->end)
		trim_top(z, pfn + npages);
	if (!reclaim_allowed())
		return;
	if (unlikely(z->free_touched > READ_ONCE(kswapd_mark)))
		kswapd_wake();
	mark = zone_mark(z);
	allow_aside(z, mark);
	mark = target = MAX(mark, z->purge_floor);
	if (likely(z->free_touched <= mark))
		return;
	/* Who frees no small blocks any more tells nothing new of them. */
	WRITE_ONCE(not_live, not_live - not_live / 64);
	/* Many small ones in one go; what is large is worth its calls, and wanted next. */
	if (npages < PASS_PAGES)
		target -= mark / 16;
	/* Nothing to be had (locked memory, fragments): wait for twice as much. */
	if (!purge_some(z, target, smallest_order(), MAX(2 * npages, PASS_PAGES)))
		z->purge_floor = 2 * z->free_touched;
	else
		z->purge_floor = 0;
}

size_t reclaim_bound(void)
{
	size_t pages = 0;

	for (unsigned i = 0; i < NR_ZONES; i++)
		pages += READ_ONCE(zones[i].present);
	return pages << PAGE_SHIFT;
}

bool reclaim_all(size_t pad)
{
	size_t given = 0;

	lock_acquire(&zone_lock);
	aside_flush();
	given += zone_brk_trim(&zones[ZONE_BRK], pad);
	for (unsigned i = 0; i < NR_ZONES; i++) {
		given += purge_all(&zones[i], 0, 0);
	}
	lock_release(&zone_lock);
	return given != 0;
}

/* Largest blocks first, as they cost the fewest calls. */
static size_t purge_largest_first(struct zone *z, size_t target)
{
	static const unsigned orders[] = { HUGE_ORDER, PURGE_ORDER, 0 };
	size_t purged = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(orders); i++)
		purged += purge_all(z, target, orders[i]);
	return purged;
}

static size_t purge_idle(struct zone *z, size_t keep)
{
	size_t idle = MIN(z->low_touched, z->free_touched), purged = 0;

	if (idle > keep) {
		idle -= keep;
		idle = MIN(MAX(idle / 2, IDLE_STEP), idle);
		purged = purge_largest_first(z, z->free_touched - idle);
	}
	z->low_touched = z->free_touched;
	return purged;
}

bool reclaim_idle(size_t keep)
{
	size_t refused = 0, purged = 0;

	lock_acquire(&zone_lock);
	for (unsigned i = 0; i < NR_ZONES && reclaim_allowed(); i++) {
		refused -= zones[i].nr_refused;
		purged += purge_idle(&zones[i], keep >> PAGE_SHIFT);
		refused += zones[i].nr_refused;
	}
	lock_release(&zone_lock);
	return purged || !refused;
}

bool reclaim_sleep(size_t keep, bool refused, uint32_t *awake)
{
	size_t most = 0;
	bool sleep;

	lock_acquire(&zone_lock);
	aside_flush();
	for (unsigned i = 0; i < NR_ZONES; i++)
		most = MAX(most, zones[i].free_touched);
	keep >>= PAGE_SHIFT;
	sleep = most <= keep || refused || !reclaim_allowed();
	if (sleep) {
		WRITE_ONCE(*awake, 0);
		/* Where nothing goes back (locked memory), wait for twice as much. */
		WRITE_ONCE(kswapd_mark, most <= keep ? keep : 2 * most);
	}
	lock_release(&zone_lock);
	return sleep;
}

void reclaim_pressure(void)
{
	lock_acquire(&zone_lock);
	aside_flush();
	for (unsigned i = 0; i < NR_ZONES && reclaim_allowed(); i++) {
		purge_largest_first(&zones[i], 0);
	}
	lock_release(&zone_lock);
}
