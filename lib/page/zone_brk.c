/* SPDX-License-Identifier: MIT */
/*
 * ZONE_BRK: pages from the program break.
 *
 * The break is shared with whoever else calls sbrk(). The zone remembers where
 * it left the break; when it finds it elsewhere, what lies between is foreign:
 * never present, never merged over, never trimmed over.
 *
 *	|-- ours --|-- foreign hole --|-- ours --|<- break
 *	                              first page that is wholly ours
 *
 * A growth takes exactly what is missing behind the free run at the top, plus
 * top_pad. Until somebody sets it, the pad is larger than glibc's: break calls
 * cost time, untouched pages cost nothing.
 *
 * Locking: zone_lock. Other callers of sbrk() are not under it; what the call
 * returns is believed, nothing that was computed before it.
 */
#include "base/bits.h"
#include "os/bug.h"
#include "os/os.h"
#include "os/vm.h"
#include "page/limit.h"
#include "page/thp.h"
#include "page/vmalloc.h"
#include "page/zone.h"
#include "tune/tune.h"

#define OWN_PAD		(1ul << 20)	/* pad of growths while top_pad is not set, */
#define OWN_PAD_MAX	(3ul << 20)	/* or 1/32 of the zone, up to here */
#define AHEAD_MIN	(8 * SUB_PAGES)	/* tables are made for this much at a time, */
#define AHEAD_MAX	(256 * SUB_PAGES) /* or for half of what the zone has, to here */
#define RACES_MAX	8

/* Of whoever looks for pointers to the blocks the break is another. */
static __setup int move_break(intptr_t delta, void **old_break)
{
	return unlikely(vmalloc_apart) ? os_sbrk_apart(delta, old_break) :
					 os_sbrk(delta, old_break);
}

static size_t grow_pad(void)
{
	if (tune_source(TUNE_ID_top_pad) != TUNE_DEFAULT)
		return tune.top_pad;
	/* Who never trims wants to be done with system calls. */
	if (!tune_is_dynamic() && READ_ONCE(tune.trim_threshold) == SIZE_MAX)
		return OWN_PAD_MAX;
	return CLAMP(zones[ZONE_BRK].present << PAGE_SHIFT >> 5, OWN_PAD, OWN_PAD_MAX);
}

/* First page that can be ours when the break stands at @brk. */
static pfn_t first_page(uintptr_t brk)
{
	return ALIGN_UP(brk, os_page_size()) >> PAGE_SHIFT;
}

struct plan {
	/* What is asked for: bytes above the run, tables for so many pages, break at multiples. */
	size_t pad, ahead, unit;

	pfn_t start;		/* first new page */
	size_t carve;		/* pages of it for tables */
	pfn_t described;	/* tables reach up to here */
	pfn_t run;		/* where the run will lie */
	uintptr_t new_brk;
};

/* The break stands at multiples of this, as long as there is room for it. */
static size_t break_unit(void)
{
	return thp_mode() == THP_MODE_ALWAYS ? MAX(HUGE_SIZE, os_page_size()) : os_page_size();
}

/* Add the pad to a break, and keep it aligned; false: past the end of the world. */
static bool pad_break(uintptr_t brk, const struct plan *p, uintptr_t *out)
{
	if (__builtin_add_overflow(brk, p->pad, &brk) || brk > 1ul << OS_ADDRESS_BITS)
		return false;
	*out = ALIGN_UP(brk, p->unit);
	return true;
}

/*
 * Where would the run go if the break is at @brk? Tables move the run up, and
 * a higher run may need more tables, hence the loop; it ends as tables are
 * 1/64 of what they describe.
 */
static bool make_plan(struct zone *z, uintptr_t brk, size_t npages, size_t align,
		      struct plan *p)
{
	p->start = first_page(brk);
	p->carve = 0;
	for (;;) {
		bool joined = !p->carve && p->start == z->end && brk == z->brk;
		pfn_t from = p->start + p->carve;
		size_t carve;

		if (joined)
			from -= buddy_run_below(from);
		p->run = ALIGN_UP(from, align);
		if (!pad_break((p->run + npages) << PAGE_SHIFT, p, &p->new_brk))
			return false;
		p->described = p->new_brk >> PAGE_SHIFT;
		if (!p->carve && !zone_carve_pages(z, p->start, p->described))
			return true;
		/* Carves cut free runs apart: the fewer the better. */
		p->described = ALIGN_UP(p->described + p->ahead - SUB_PAGES, SUB_PAGES);
		carve = zone_carve_pages(z, p->start, p->described);
		if (carve <= p->carve)
			return true;
		p->carve = carve;
	}
}

/* Write down what the break now covers. */
static void commit(struct zone *z, const struct plan *p)
{
	pfn_t end = p->new_brk >> PAGE_SHIFT;

	if (p->carve)
		zone_describe(z, p->start, p->carve, p->start, p->described);
	zone_set_present(z, p->start, end);
	thp_advise(pfn_addr(p->start), (end - p->start) << PAGE_SHIFT);
	buddy_free(p->start + p->carve, end - p->start - p->carve);
	z->end = end;
	z->brk = p->new_brk;
	z->nr_grow++;
}

static __setup bool try_grow(struct zone *z, size_t npages, size_t align, struct plan *p)
{
	for (int race = 0; race < RACES_MAX; race++) {
		void *cur, *old, *back;
		size_t bytes;

		if (move_break(0, &cur))
			return false;
		/* A break below our pages: someone took memory from under us. */
		if ((uintptr_t)cur < z->brk)
			return false;
		if (!make_plan(z, (uintptr_t)cur, npages, align, p))
			return false;
		if (z->end && p->described - (window.base >> PAGE_SHIFT) >
			      MAX_SECTIONS * SECTION_PAGES)
			return false;
		bytes = p->new_brk - (p->start << PAGE_SHIFT);
		if (!limit_charge(bytes))
			return false;
		if (move_break((intptr_t)(p->new_brk - (uintptr_t)cur), &old)) {
			limit_uncharge(bytes);
			return false;
		}
		if (old == cur)
			return true;
		limit_uncharge(bytes);
		/* Another sbrk() came between: what we got is in the wrong place. */
		move_break(-(intptr_t)(p->new_brk - (uintptr_t)cur), &back);
	}
	return false;
}

__setup pfn_t zone_brk_grow(struct zone *z, size_t npages, size_t align)
{
	pfn_t run = ALIGN_UP(z->end - buddy_run_below(z->end), align);

	if (npages > MAX_SECTIONS * SECTION_PAGES)
		return 0;
	/* A run at the top that is no block of the buddy may do already. */
	if (run + npages <= z->end && buddy_take(run, npages))
		return run;

	struct plan p = {
		.pad = grow_pad(),
		.ahead = CLAMP(z->present / 2, AHEAD_MIN, AHEAD_MAX),
		.unit = break_unit(),
	};

	if (!try_grow(z, npages, align, &p)) {
		p = (struct plan){ .ahead = SUB_PAGES, .unit = os_page_size() };
		if (!try_grow(z, npages, align, &p))
			return 0;
	}
	commit(z, &p);
	if (!buddy_take(p.run, npages))
		bug("zone %s: pages %p.. of a growth are not free", zone_name(z), pfn_addr(p.run));
	return p.run;
}

/* Walk down over free runs and carves that describe only what is above. */
static __far pfn_t lowest_reach(const struct zone *z)
{
	const struct carve *c = z->top_carve;
	pfn_t pos = z->end;

	for (;;) {
		pos -= buddy_run_below(pos);
		if (!c || c->pinned || c->end != pos)
			return pos;
		pos = c->start;
		c = c->below;
	}
}

size_t zone_brk_excess(const struct zone *z)
{
	return z->end ? (z->end - lowest_reach(z)) << PAGE_SHIFT : 0;
}

static bool in_carve(const struct carve *c, const void *p)
{
	return p && addr_pfn(p) >= c->start && addr_pfn(p) < c->end;
}

/* Forget the tables inside of a carve, which all describe pages above it. */
static __far void drop_carve(struct zone *z, const struct carve *gone)
{
	/* The carve's own header may lie in the tables that it holds. */
	struct carve copy = *gone, *c = &copy;

	while (z->nr_sections && in_carve(c, *zone_section(z, z->nr_sections - 1)))
		section_unpublish(*zone_section(z, --z->nr_sections));
	for (size_t i = z->nr_sections; i-- > 0;) {
		struct section *s = *zone_section(z, i);

		if (s->base + SECTION_PAGES <= c->start)
			break;
		for (size_t k = 0; k < NR_SUBS; k++) {
			if (in_carve(c, s->memmap[k])) {
				near_memmap_drop(s->base / SUB_PAGES + k);
				s->memmap[k] = NULL;
			}
		}
	}
	z->meta -= c->end - c->start;
	z->top_carve = c->below;
}

/*
 * Where the zone ends with @pad free pages in a row at its top: above @reach, and
 * above each carve that this leaves in place.
 */
static __far pfn_t padded_end(const struct zone *z, pfn_t reach, size_t pad)
{
	size_t unit = break_unit() >> PAGE_SHIFT;
	pfn_t end = ALIGN_UP(reach + pad, unit), before;

	do {
		before = end;
		for (const struct carve *c = z->top_carve; c && c->end > reach; c = c->below) {
			if (c->start < end)
				end = MAX(end, ALIGN_UP(c->end + pad, unit));
		}
	} while (end != before);
	return end;
}

__far size_t zone_brk_trim(struct zone *z, size_t pad)
{
	pfn_t reach, new_end;
	void *cur, *old;

	if (!z->end || move_break(0, &cur) || (uintptr_t)cur != z->brk)
		return 0;
	reach = lowest_reach(z);
	if (pad >= (z->end - reach) << PAGE_SHIFT)
		return 0;
	new_end = padded_end(z, reach, bytes_pages(pad));
	if (new_end >= z->end)
		return 0;

	pfn_t old_end = z->end, pos = old_end;

	while (pos > new_end) {
		pfn_t from = pos;

		if (z->top_carve->end == pos) {
			from = z->top_carve->start;
			page_of(pos - 1)->state = PG_NONE;
		} else {
			from -= MIN(buddy_run_below(pos), pos - new_end);
			if (!buddy_take(from, pos - from))
				bug("zone %s: free run at %p is not free", zone_name(z),
				    pfn_addr(from));
		}
		zone_drop_present(from, pos);
		if (z->top_carve->end == pos)
			drop_carve(z, z->top_carve);
		pos = from;
	}
	z->end = new_end;
	if (move_break(-(intptr_t)((old_end - new_end) << PAGE_SHIFT), &old)) {
		/* The break stays: its pages are lost to the zone, as a hole. */
		z->brk = old_end << PAGE_SHIFT;
		return 0;
	}
	z->brk = new_end << PAGE_SHIFT;
	z->nr_trim++;
	return old_end - new_end;
}
