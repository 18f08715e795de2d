/* SPDX-License-Identifier: MIT */
/*
 * The page allocator's front: order of service over zones and growth.
 *
 *	1 a free run of ZONE_BRK	2 growth of the break
 *	3 a free run of ZONE_MMAP	5 a new chunk
 *	4 a free run of ZONE_DMA32
 *
 * and, for those who may: 6 the reserve.
 *
 * 3 comes before 2 when ZONE_MMAP has pages: whoever has grown it found the
 * break stuck, and reuse is cheaper than growth.
 *
 * Locking: takes zone_lock; callers may hold any lock of lower rank.
 */
#include "page/page.h"

#include <string.h>

#include "base/bits.h"
#include "os/bug.h"
#include "os/os.h"
#include "os/vm.h"
#include "page/aside.h"
#include "page/fault.h"
#include "page/reclaim.h"
#include "page/reserve.h"
#include "page/zone.h"
#include "tune/tune.h"

#define RUN_MIN		16	/* pages; shorter runs leave short tails */

static pfn_t take_free(struct zone *z, size_t npages, size_t align)
{
	if (npages >= RUN_MIN && align == 1) {
		pfn_t pfn = buddy_alloc_run(z, npages);

		if (pfn)
			return pfn;
	}
	if (npages > MAX_BLOCK || align > MAX_BLOCK)
		return buddy_alloc_contig(z, npages, align);
	return buddy_alloc_exact(z, npages, log2_ceil(align));
}

/* Blocks of the buddy would leave a short tail behind each run that has grown out of one. */
static pfn_t take_creeping(struct zone *z, size_t npages)
{
	pfn_t pfn = buddy_alloc_between(z, npages);

	return pfn ? pfn : buddy_alloc_run(z, npages);
}

static pfn_t take(struct zone *z, size_t npages, size_t align, unsigned how)
{
	pfn_t pfn = unlikely(how & ALLOC_CREEPS) ? take_creeping(z, npages) : 0;

	return pfn ? pfn : take_free(z, npages, align);
}

/* Of a program that is linked low, the break will do. */
static pfn_t alloc_low(size_t npages, size_t align, unsigned how)
{
	struct zone *brk = &zones[ZONE_BRK], *z = &zones[ZONE_DMA32];
	pfn_t limit = os_low_limit() >> PAGE_SHIFT, pfn = 0;

	if (brk->end && brk->end <= limit)
		pfn = take_free(brk, npages, align);
	if (!pfn && z->present)
		pfn = take_free(z, npages, align);
	/* Low chunks that share a section with another zone, and that zone's own. */
	if (!pfn)
		pfn = buddy_alloc_below(brk, npages, align, limit);
	if (!pfn)
		pfn = buddy_alloc_below(&zones[ZONE_MMAP], npages, align, limit);
	if (!pfn && how & ALLOC_GROW)
		pfn = zone_mmap_grow(z, npages, align);
	return pfn;
}

static pfn_t alloc_locked(size_t npages, size_t align, unsigned how)
{
	pfn_t pfn;

	if (unlikely(how & ALLOC_LOW))
		return alloc_low(npages, align, how);
	pfn = take(&zones[ZONE_BRK], npages, align, how);
	if (!pfn && zones[ZONE_MMAP].present)
		pfn = take(&zones[ZONE_MMAP], npages, align, how);
	if (!pfn && how & ALLOC_GROW)
		pfn = zone_brk_grow(&zones[ZONE_BRK], npages, align);
	if (!pfn && zones[ZONE_DMA32].present)
		pfn = take_free(&zones[ZONE_DMA32], npages, align);
	if (!pfn && how & ALLOC_GROW)
		pfn = zone_mmap_grow(&zones[ZONE_MMAP], npages, align);
	return pfn;
}

/* With zone_lock held, as the window must not move between the look and the store. */
static void set_class(pfn_t pfn, size_t npages, unsigned class)
{
	while (npages) {
		struct section *s;
		size_t i, n = section_part(pfn, npages, &s, &i);
		uint8_t *map = s->classmap + i;

		for (size_t k = 0; k < n; k++)
			WRITE_ONCE(map[k], (uint8_t)class);
		pfn += n;
		npages -= n;
	}
}

/* What is written down of a run before anybody else can see it. */
static void describe(pfn_t pfn, size_t npages, unsigned class, struct page **page)
{
	*page = page_of(pfn);
	(*page)->npages = (uint32_t)npages;
	if (class == CLASS_LARGE) {
		memset((*page)->words, 0, 3 * sizeof(uint64_t));
		store_release(&(*page)->state, PG_LARGE);
	}
	if (class != CLASS_NONE)
		set_class(pfn, class == CLASS_LARGE ? 1 : npages, class);
}

void *page_alloc_class(size_t npages, size_t align, unsigned class, unsigned how,
		       struct page **page)
{
	pfn_t pfn = 0;

	if (!npages || (npages | align) >> (OS_ADDRESS_BITS - PAGE_SHIFT) ||
	    should_fail(STELE_FAIL_PAGE_ALLOC, npages << PAGE_SHIFT))
		return NULL;
	if (lock_enter(&zone_lock, how & ALLOC_WAIT)) {
		/* To free may enter the kernel. */
		if (how & ALLOC_WAIT)
			aside_flush();
		pfn = alloc_locked(npages, align, how);
		if (pfn)
			describe(pfn, npages, class, page);
		lock_release(&zone_lock);
	}
	if (unlikely(!pfn) && how & (ALLOC_HIGH | ALLOC_HARDER | ALLOC_RESERVE) &&
	    !(how & ALLOC_LOW) && reserve_enter(how)) {
		/* The map of classes keeps still while the reserve is held. */
		pfn = reserve_take(npages, align, how);
		if (pfn)
			describe(pfn, npages, class, page);
		reserve_leave();
	}
	return pfn ? pfn_addr(pfn) : NULL;
}

void *page_alloc(size_t npages, size_t align, struct page **page)
{
	return page_alloc_class(npages, align, CLASS_NONE, ALLOC_NORMAL, page);
}

void zone_note_written(pfn_t pfn, size_t npages)
{
	while (npages) {
		struct section *s;
		size_t i, n = section_part(pfn, npages, &s, &i);

		bits_set_range(s->touched, i, i + n);
		pfn += n;
		npages -= n;
	}
}

void page_note_written(void *addr, size_t npages)
{
	lock_acquire(&zone_lock);
	zone_note_written(addr_pfn(addr), npages);
	lock_release(&zone_lock);
}

/*
 * With zone_lock held. False: who may not @wait must come back. All that is written
 * down of the run is so before the reserve has it: who takes it there holds another
 * lock than ours.
 */
static bool free_locked(pfn_t pfn, size_t npages, size_t written, bool wait)
{
	struct page *page = page_of(pfn);
	uint8_t state = page->state;
	pfn_t part;
	size_t n;

	zone_note_written(pfn, written);
	page->state = PG_NONE;
	if (!reserve_put(pfn, npages, wait, &part, &n)) {
		page->state = state;
		return false;
	}
	/* What is not the reserve's: all, or what an extension added to its run. */
	if (part > pfn)
		buddy_free(pfn, part - pfn);
	if (part + n < pfn + npages)
		buddy_free(part + n, pfn + npages - part - n);
	return true;
}

void page_free(void *addr, size_t npages, size_t written)
{
	pfn_t pfn = addr_pfn(addr);

	lock_acquire(&zone_lock);
	free_locked(pfn, npages, written, true);
	reclaim_after_free(pfn, npages);
	lock_release(&zone_lock);
}

__far bool page_try_free(void *addr, size_t npages, size_t written)
{
	unsigned class;
	bool done;

	if (!lock_try_quiet(&zone_lock))
		return false;
	class = class_of(addr);
	if (class != CLASS_NONE)
		set_class(addr_pfn(addr), 1, CLASS_NONE);
	done = free_locked(addr_pfn(addr), npages, written, false);
	if (!done && class != CLASS_NONE)
		set_class(addr_pfn(addr), 1, class);
	lock_release(&zone_lock);
	return done;
}

void zone_free_run(pfn_t pfn, size_t npages, size_t written)
{
	set_class(pfn, 1, CLASS_NONE);
	free_locked(pfn, npages, written, true);
	reclaim_after_free(pfn, npages);
}

void page_free_written(void *addr, size_t npages)
{
	lock_acquire(&zone_lock);
	aside_flush();
	zone_free_run(addr_pfn(addr), npages, npages);
	lock_release(&zone_lock);
}

/* A run of at most 64 pages may cross from one section to the next. */
static void set_touched(pfn_t pfn, size_t npages, uint64_t mask, bool touched)
{
	for (size_t i = 0; i < npages; i++) {
		struct section *s;
		size_t at;

		if (!(mask & BITS_MASK(i)))
			continue;
		section_part(pfn + i, 1, &s, &at);
		if (touched)
			bits_set(s->touched, at);
		else
			bits_clear(s->touched, at);
	}
}

void page_free_mapped(void *addr, size_t npages, uint64_t written, uint64_t zero)
{
	pfn_t pfn = addr_pfn(addr);

	lock_acquire(&zone_lock);
	set_touched(pfn, npages, written, true);
	set_touched(pfn, npages, zero, false);
	free_locked(pfn, npages, 0, true);
	reclaim_after_free(pfn, npages);
	lock_release(&zone_lock);
}

uint64_t page_touched(const void *addr, size_t npages)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < npages; i++) {
		struct section *s;
		size_t at;

		section_part(addr_pfn(addr) + i, 1, &s, &at);
		if (READ_ONCE(s->touched[at / 64]) & BITS_MASK(at))
			mask |= BITS_MASK(i);
	}
	return mask;
}

__far uint64_t page_purge_mapped(void *addr, size_t npages, uint64_t mask)
{
	size_t unit = os_page_size() >> PAGE_SHIFT;
	pfn_t pfn = addr_pfn(addr);
	uint64_t done = 0;

	for (size_t i = 0; (i = bits_next(&mask, i, npages, true)) < npages;) {
		size_t end = bits_next(&mask, i, npages, false);
		pfn_t from = ALIGN_UP(pfn + i, unit), to = ALIGN_DOWN(pfn + end, unit);

		if (from < to && !reclaim_purge(from, to - from))
			done |= bits_span(from - pfn, to - pfn);
		i = end;
	}
	return done;
}

size_t zone_untouched(pfn_t pfn, size_t npages)
{
	size_t n = 0;

	while (npages) {
		struct section *s;
		size_t i, k = section_part(pfn, npages, &s, &i);

		n += k - bits_count(s->touched, i, i + k);
		pfn += k;
		npages -= k;
	}
	return n;
}

void page_empty(pfn_t pfn, size_t npages)
{
	npages = ALIGN_DOWN(npages, os_page_size() >> PAGE_SHIFT);
	if (os_purge(pfn_addr(pfn), npages << PAGE_SHIFT))
		return;
	lock_acquire(&zone_lock);
	section_of(pfn)->zone->nr_purge++;
	while (npages) {
		struct section *s;
		size_t i, n = section_part(pfn, npages, &s, &i);

		bits_clear_range(s->touched, i, i + n);
		pfn += n;
		npages -= n;
	}
	lock_release(&zone_lock);
}

/*
 * What grows in small steps at the top of the heap would take new memory with each,
 * for ever, while what others have left lies idle below: it is to go there.
 */
static bool may_grow(const struct zone *z, size_t old_pages, size_t new_pages)
{
	return new_pages - old_pages >= old_pages / 2 || z->free_touched < 2 * new_pages;
}

bool page_extend(void *addr, size_t old_pages, size_t new_pages)
{
	pfn_t next = addr_pfn(addr) + old_pages;
	size_t more = new_pages - old_pages;
	struct zone *z = &zones[ZONE_BRK];
	bool done;

	lock_acquire(&zone_lock);
	aside_flush();
	done = buddy_take(next, more);
	if (!done && next <= z->end && z->end - buddy_run_below(z->end) <= next &&
	    next + more > z->end && may_grow(z, old_pages, new_pages)) {
		/* At the top of the heap: move the break for what is missing. */
		pfn_t run = zone_brk_grow(z, more, 1);

		done = run == next;
		if (run && !done)
			buddy_free(run, more);
	}
	lock_release(&zone_lock);
	return done;
}

void page_zero(void *addr, size_t npages)
{
	pfn_t pfn = addr_pfn(addr), end = pfn + npages;

	while (pfn < end) {
		struct section *s = section_of(pfn);
		size_t stop = MIN(end - s->base, SECTION_PAGES);
		size_t i = pfn - s->base;

		while ((i = bits_next(s->touched, i, stop, true)) < stop) {
			size_t e = bits_next(s->touched, i, stop, false);

			memset(pfn_addr(s->base + i), 0, (e - i) << PAGE_SHIFT);
			i = e;
		}
		pfn = s->base + stop;
	}
}

void *page_alloc_meta_how(size_t npages, unsigned how)
{
	struct page *page;
	void *p = page_alloc_class(npages, 1, CLASS_NONE, how, &page);

	if (p) {
		page->state = PG_META;
		page_zero(p, npages);
	}
	return p;
}

__setup void *page_alloc_table(size_t npages)
{
	size_t unit = os_page_size() >> PAGE_SHIFT;
	struct page *page;
	void *p = page_alloc(npages, unit, &page);

	if (!p)
		return NULL;
	page->state = PG_META;
	if (tune_is_dynamic() && npages - zone_untouched(addr_pfn(p), npages) > npages / 4)
		page_empty(addr_pfn(p), npages);
	page_zero(p, npages);
	return p;
}

void *page_alloc_meta(size_t npages)
{
	return page_alloc_meta_how(npages, ALLOC_NORMAL);
}

void page_free_meta(void *addr, size_t npages)
{
	page_free(addr, npages, npages);
}

void page_set_class(void *addr, size_t npages, unsigned class)
{
	lock_acquire(&zone_lock);
	set_class(addr_pfn(addr), npages, class);
	lock_release(&zone_lock);
}
