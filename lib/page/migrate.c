/* SPDX-License-Identifier: MIT */
/*
 * 1. What is moved. Whole regions of 2 MiB: the system does it by one entry of a page
 *    table, huge pages stay whole, and the process's list of mappings is split at
 *    multiples of a region only. At the target at least half of the pages must be
 *    untouched, and the source must bring GAIN more than there are.
 *
 * 2. From where. The free regions of the zone, from the top down: what lies low is for
 *    small blocks, which are placed there.
 *
 * 3. Mappings. Moved memory is a mapping of its own, of which a process has 65530. So
 *    only MOVED_MAX regions are targets (section->moved). The program may have split the
 *    zone's mapping too, or locked it: then a move is refused, and after REFUSED_MAX more
 *    of them than were made none is tried any more.
 *
 * Locking: zone_lock, dropped around the system's part. The source is out of the buddy
 * meanwhile, and the target's run is in nobody's hands yet.
 */
#include "page/migrate.h"

#include <string.h>

#include "base/bits.h"
#include "os/vm.h"
#include "page/aside.h"
#include "page/limit.h"
#include "page/thp.h"
#include "page/zone.h"
#include "tune/tune.h"

#define GAIN		(HUGE_PAGES / 4)
#define MOVED_MAX	2048	/* regions: 4 GiB */
#define REFUSED_MAX	64
#define TRIES_MAX	1024	/* blocks looked at for one run */

/* Protected by zone_lock. */
static size_t moved;		/* bits in section->moved */
static unsigned refused;

/* Where regions are looked for, for one run. */
struct search {
	struct zone *zone;
	size_t pos;		/* as in buddy_prev() */
	unsigned tries;
};

static bool is_wanted(void)
{
	return tune_is_dynamic() && thp_mode() != THP_MODE_ALWAYS &&
	       READ_ONCE(refused) < REFUSED_MAX;
}

bool migrate_has(size_t least, size_t npages)
{
	return is_wanted() && !limit_is_set() && !thp_pool_page() &&
	       READ_ONCE(zones[ZONE_BRK].free_touched) + READ_ONCE(aside.pages) >= least &&
	       (npages < HUGE_PAGES || os_can_move());
}

static size_t region_touched(pfn_t pfn)
{
	struct section *s = section_of(pfn);

	return bits_count(s->touched, pfn - s->base, pfn - s->base + HUGE_PAGES);
}

/* The next free region, downwards, of at least @least touched pages: taken. 0: none. */
static pfn_t take_region(struct search *f, size_t least)
{
	pfn_t start;
	unsigned order;

	while (f->tries && f->zone->free_touched >= least &&
	       buddy_prev(f->zone, HUGE_ORDER, &f->pos, &start, &order)) {
		f->tries--;
		for (size_t n = 1ul << order; n; n -= HUGE_PAGES) {
			pfn_t pfn = start + n - HUGE_PAGES;

			if (region_touched(pfn) < least || !buddy_take(pfn, HUGE_PAGES))
				continue;
			/* What is left of the block comes next. */
			f->pos += n - HUGE_PAGES;
			return pfn;
		}
	}
	return 0;
}

/* The bookkeeping of a move that was made. */
static void note_moved(pfn_t from, pfn_t to)
{
	struct section *s = section_of(from), *t = section_of(to);
	size_t page = from - s->base, at = to - t->base, r = at / HUGE_PAGES;

	memcpy(&t->touched[at / 64], &s->touched[page / 64], HUGE_PAGES / 8);
	bits_clear_range(s->touched, page, page + HUGE_PAGES);
	thp_note_moved(t, r, s, page / HUGE_PAGES);
	moved += !(t->moved & BITS_MASK(r));
	t->moved |= BITS_MASK(r);
}
static_assert(HUGE_PAGES % 64 == 0, "regions are whole words");

/* 0 or -errno or OS_LOST: os_move(). */
static int move_region(pfn_t from, pfn_t to)
{
	int err;

	lock_release(&zone_lock);
	err = os_move(pfn_addr(from), pfn_addr(to), HUGE_SIZE);
	lock_acquire(&zone_lock);
	if (err) {
		WRITE_ONCE(refused, refused + 1);
	} else {
		note_moved(from, to);
		WRITE_ONCE(refused, refused - (refused > 0));
	}
	buddy_free(from, HUGE_PAGES);
	return err;
}

static bool is_target(pfn_t pfn)
{
	struct section *s = section_of(pfn);
	size_t r = (pfn - s->base) / HUGE_PAGES;

	return region_touched(pfn) <= HUGE_PAGES / 2 &&
	       (moved < MOVED_MAX || s->moved & BITS_MASK(r));
}

bool migrate_in(void *addr, size_t npages)
{
	pfn_t pfn = addr_pfn(addr), first = ALIGN_UP(pfn, HUGE_PAGES);
	pfn_t to = ALIGN_DOWN(pfn + npages, HUGE_PAGES);
	struct search f = { .zone = section_of(pfn)->zone, .tries = TRIES_MAX };
	int err = 0;

	if (to <= first || READ_ONCE(f.zone->free_touched) < GAIN || !is_wanted() || !os_can_move())
		return true;
	lock_acquire(&zone_lock);
	f.pos = f.zone->nr_sections * SECTION_PAGES;
	/* Downwards as the sources: what lay side by side is one mapping afterwards. */
	while (err != OS_LOST && refused < REFUSED_MAX && (to -= HUGE_PAGES) >= first) {
		pfn_t from;

		if (!is_target(to))
			continue;
		from = take_region(&f, region_touched(to) + GAIN);
		if (!from)
			break;
		err = move_region(from, to);
	}
	if (err == OS_LOST)
		WRITE_ONCE(refused, REFUSED_MAX);
	lock_release(&zone_lock);
	return err != OS_LOST;
}

void migrate_forget(struct section *s, size_t page, size_t end)
{
	size_t r = ALIGN_UP(page, HUGE_PAGES) / HUGE_PAGES;

	for (; s->moved && r < end / HUGE_PAGES; r++) {
		moved -= !!(s->moved & BITS_MASK(r));
		s->moved &= ~BITS_MASK(r);
	}
}
