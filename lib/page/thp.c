/* SPDX-License-Identifier: MIT */
#include "page/thp.h"

#include "base/bits.h"
#include "os/os.h"
#include "page/zone.h"
#include "tune/tune.h"

/*
 * Regions that must not be huge split the system's list of mappings, of which a
 * process has so many only: this many runs of them, and no more.
 */
#define HELD_RUNS_MAX	128

static_assert(SECTION_PAGES / HUGE_PAGES == 64, "a word of regions per section");

enum thp_mode thp_mode(void)
{
	switch (READ_ONCE(tune.thp)) {
	case THP_ALWAYS:
		return THP_MODE_ALWAYS;
	case THP_NEVER:
		return THP_MODE_NEVER;
	default:
		return READ_ONCE(tune.hugetlb) == 1 ? THP_MODE_ALWAYS : THP_MODE_SYSTEM;
	}
}

void thp_advise(void *addr, size_t len)
{
	enum thp_mode mode = thp_mode();
	uintptr_t from = (uintptr_t)addr, to = from + len;

	if (likely(mode == THP_MODE_SYSTEM))
		return;
	if (mode == THP_MODE_ALWAYS) {
		from = ALIGN_UP(from, HUGE_SIZE);
		to = ALIGN_DOWN(to, HUGE_SIZE);
	}
	/* A kernel without huge pages refuses, and has none to keep away either. */
	if (from < to)
		os_advise_huge((void *)from, to - from, mode == THP_MODE_ALWAYS);
}

/* How many more runs of held regions there are when region @r is held too. */
static int more_runs(uint64_t held, size_t r)
{
	int left = r > 0 && (held & BITS_MASK(r - 1));
	int right = r < 63 && (held & BITS_MASK(r + 1));

	return 1 - left - right;
}

/* The pages around [*from, *to), which are present, that are so too, up to the region's ends. */
static void clip_to_present(struct section *s, size_t region, size_t *from, size_t *to)
{
	size_t low = region * HUGE_PAGES, high = low + HUGE_PAGES;

	while (*from > low && bits_test(s->present, *from - 1))
		--*from;
	*to = bits_next(s->present, *to, high, false);
}

static void hold_region(struct section *s, size_t r, size_t page, size_t end)
{
	struct zone *z = s->zone;
	int more = more_runs(s->held, r);

	if (s->held & BITS_MASK(r) || (more > 0 && z->held_runs >= HELD_RUNS_MAX))
		return;
	/* What else lies in the region may be the program's own. */
	clip_to_present(s, r, &page, &end);
	if (!IS_ALIGNED((s->base + page) << PAGE_SHIFT, os_page_size()) ||
	    os_advise_huge(pfn_addr(s->base + page), (end - page) << PAGE_SHIFT, false))
		return;
	s->held |= BITS_MASK(r);
	z->held_runs += more;
}

static void release_region(struct section *s, size_t r)
{
	s->held &= ~BITS_MASK(r);
	s->zone->held_runs -= more_runs(s->held, r);
}

__far void thp_before_purge(struct section *s, pfn_t pfn, size_t npages)
{
	enum thp_mode mode = thp_mode();
	size_t page = pfn - s->base, end = page + npages;

	if (mode == THP_MODE_NEVER)
		return;
	if (npages < HUGE_PAGES) {
		/* A block of the buddy: it lies in one region. */
		hold_region(s, page / HUGE_PAGES, page, end);
		return;
	}
	/* Whole regions again. Where the system decides there is no way to tell it so. */
	for (size_t r = page / HUGE_PAGES; mode == THP_MODE_ALWAYS && r < end / HUGE_PAGES; r++) {
		if (s->held & BITS_MASK(r) &&
		    !os_advise_huge(pfn_addr(s->base + r * HUGE_PAGES), HUGE_SIZE, true))
			release_region(s, r);
	}
}

void thp_note_moved(struct section *s, size_t r, const struct section *from, size_t from_r)
{
	bool held = from->held & BITS_MASK(from_r);

	if (held == !!(s->held & BITS_MASK(r)))
		return;
	if (!held) {
		release_region(s, r);
		return;
	}
	s->zone->held_runs += more_runs(s->held, r);
	s->held |= BITS_MASK(r);
}

void thp_forget(struct section *s, size_t page, size_t end)
{
	for (size_t r = page / HUGE_PAGES; s->held && r * HUGE_PAGES < end; r++) {
		if (s->held & BITS_MASK(r))
			release_region(s, r);
	}
}

size_t thp_pool_page(void)
{
	static size_t pool_page;	/* 0: not asked yet */
	uint64_t want = READ_ONCE(tune.hugetlb);

	if (likely(want < 2))
		return 0;
	if (want > 2)
		return is_pow2(want) && want >= os_page_size() ? want : 0;
	if (!READ_ONCE(pool_page))
		WRITE_ONCE(pool_page, os_huge_default());
	return READ_ONCE(pool_page);
}
