/* SPDX-License-Identifier: MIT */
/*
 * Zones: making room for tables, and describing new pages.
 *
 * A growth first asks zone_carve_pages() how much of the new range must go to
 * tables, gets the memory from the system, and lets zone_describe() write
 * them. The memory is fresh, so tables begin as zeros: nothing is cleared, and
 * only what is used of a table is ever touched.
 *
 * Locking: zone_lock.
 */
#include "base/bits.h"
#include "os/bug.h"
#include "os/os.h"
#include "page/limit.h"
#include "page/migrate.h"
#include "page/reserve.h"
#include "page/thp.h"
#include "page/zone.h"

/*
 * Entries of the first window map: 4 GiB of heap, 1 MiB of addresses. The carve
 * that holds a window map can never be trimmed away, so later ones are to be rare.
 */
#define WINDOW_FIRST	(32 * SECTION_PAGES)

#define SECTION_STRUCT_PAGES	((sizeof(struct section) + PAGE_SIZE - 1) / PAGE_SIZE)

struct zone zones[NR_ZONES] __initdata = {
	[ZONE_MMAP] = { .id = ZONE_MMAP },
	[ZONE_DMA32] = { .id = ZONE_DMA32 },
};
struct zone_group brk_group __nearbss, zone_groups[MAX_SECTIONS / 64][NR_ZONES];
struct lock zone_lock = LOCK_INIT(RANK_ZONE);

const char *zone_name(const struct zone *z)
{
	static const char *const names[NR_ZONES] = { "BRK", "MMAP", "DMA32" };

	return names[z->id];
}

static bool is_windowed(const struct zone *z)
{
	return z == &zones[ZONE_BRK];
}

/* Entries of a new window map for growth to [start, end); 0: the old will do. */
static size_t window_need(pfn_t start, pfn_t end)
{
	pfn_t base = window.capacity ? window.base >> PAGE_SHIFT :
				       ALIGN_DOWN(start, SECTION_PAGES);
	size_t need = end - base, cap = window.capacity ? window.capacity : WINDOW_FIRST;

	if (need <= window.capacity)
		return 0;
	while (cap < need)
		cap *= 4;
	return cap;
}

static unsigned subs_missing(struct section *s, pfn_t sec, pfn_t start, pfn_t end)
{
	pfn_t lo = MAX(start, sec), hi = MIN(end, sec + SECTION_PAGES);
	unsigned n = 0;

	for (size_t i = (lo - sec) / SUB_PAGES; i <= (hi - 1 - sec) / SUB_PAGES; i++)
		n += !s || !s->memmap[i];
	return n;
}

__setup size_t zone_carve_pages(struct zone *z, pfn_t start, pfn_t end)
{
	size_t pages = 0;
	pfn_t leaf = ~(pfn_t)0, first = ALIGN_DOWN(start, SECTION_PAGES);

	for (pfn_t sec = first; sec < end; sec += SECTION_PAGES) {
		struct section *s = section_of(sec);

		if (!s) {
			pages += SECTION_STRUCT_PAGES;
			if (!is_windowed(z))
				pages += CLASSMAP_PAGES;
			/* Two sections may share a leaf: count it once. */
			if (section_leaf_missing(sec, sec - first) && sec >> LEAF_SHIFT != leaf) {
				pages += LEAF_PAGES;
				leaf = sec >> LEAF_SHIFT;
			}
		}
		pages += subs_missing(s, sec, start, end) * MEMMAP_PAGES;
	}
	if (is_windowed(z))
		pages += window_need(start, end) / PAGE_SIZE;
	return pages;
}

struct bump {
	pfn_t next;
};

static void *bump_take(struct bump *b, size_t pages)
{
	void *p = pfn_addr(b->next);

	b->next += pages;
	return p;
}

/* A larger window map: copy what is in use, publish, leave the old readable. */
static void window_grow(struct zone *z, struct bump *b, size_t need, pfn_t start)
{
	uint8_t *map = bump_take(b, need / PAGE_SIZE);

	lock_acquire(&reserve_lock);
	if (!window.capacity)
		window.base = ALIGN_DOWN(start, SECTION_PAGES) << PAGE_SHIFT;
	for (size_t i = 0; i < window.pages; i++) {
		if (window.map[i])
			map[i] = window.map[i];
	}
	window_set_map(map, need);
	for (size_t i = 0; i < z->nr_sections; i++) {
		struct section *s = *zone_section(z, i);

		s->classmap = map + (s->base - (window.base >> PAGE_SHIFT));
	}
	lock_release(&reserve_lock);
}

static struct section *section_add(struct zone *z, struct bump *b, pfn_t base, bool *pinned)
{
	struct section *s = bump_take(b, SECTION_STRUCT_PAGES);

	/* Its bits are read before they are written: written first, a page faults once. */
	for (size_t i = 0; i < SECTION_STRUCT_PAGES; i++)
		WRITE_ONCE(((char *)s)[i * PAGE_SIZE], 0);
	if (section_leaf_missing(base, 0)) {
		section_set_leaf(base, bump_take(b, LEAF_PAGES));
		*pinned = true;
	}
	s->base = base;
	s->zone = z;
	s->index = z->nr_sections;
	s->classmap = is_windowed(z) ? window.map + (base - (window.base >> PAGE_SHIFT)) :
				       bump_take(b, CLASSMAP_PAGES);
	*zone_section(z, z->nr_sections++) = s;
	section_publish(s);
	return s;
}

/* A section that has not got all of its memmaps yet gets those it lacks. */
static void section_fill(struct section *s, struct bump *b, pfn_t start, pfn_t end)
{
	pfn_t lo = MAX(start, s->base), hi = MIN(end, s->base + SECTION_PAGES);

	for (size_t i = (lo - s->base) / SUB_PAGES; i <= (hi - 1 - s->base) / SUB_PAGES; i++) {
		if (s->memmap[i])
			continue;
		s->memmap[i] = bump_take(b, MEMMAP_PAGES);
		near_memmap_add(s->base / SUB_PAGES + i, s->memmap[i]);
	}
}

__setup void zone_describe(struct zone *z, pfn_t carve, size_t carve_pages, pfn_t start, pfn_t end)
{
	struct bump b = { carve };
	size_t need = is_windowed(z) ? window_need(start, end) : 0;
	bool pinned = !z->top_carve || need;

	if (need)
		window_grow(z, &b, need, start);
	for (pfn_t sec = ALIGN_DOWN(start, SECTION_PAGES); sec < end; sec += SECTION_PAGES) {
		struct section *s = section_of(sec);

		if (!s)
			s = section_add(z, &b, sec, &pinned);
		section_fill(s, &b, start, end);
	}
	/* What the estimate had too much stays with the carve. */
	debug_check(b.next <= carve + carve_pages);

	/* Next to the descriptors of what is allocated first. */
	pfn_t last = carve + carve_pages - 1;
	struct section *s = section_of(last);
	struct page *page = &s->memmap[(last - s->base) / SUB_PAGES][last % SUB_PAGES];
	struct carve *c = (struct carve *)page->words;

	page->state = PG_META;
	*c = (struct carve){ z->top_carve, carve, carve + carve_pages, pinned };
	z->top_carve = c;
	z->meta += carve_pages;
}

__setup void zone_set_present(struct zone *z, pfn_t start, pfn_t end)
{
	for (pfn_t p = start; p < end;) {
		struct section *s = section_of(p);
		pfn_t stop = MIN(end, s->base + SECTION_PAGES);

		ADD_ONCE(s->zone->present,
			 bits_set_range(s->present, p - s->base, stop - s->base));
		/* A section where break and chunk meet may be the other zone's. */
		s->zone->max_present = MAX(s->zone->max_present, s->zone->present);
		p = stop;
	}
	if (!is_windowed(z))
		return;

	/* The window ends where the zone's own sections end. */
	size_t pages = window.pages;
	struct section *s = section_of(end - 1);

	if (s->zone == z)
		pages = MAX(pages, end - (window.base >> PAGE_SHIFT));
	window_set_pages(MIN(pages, window.capacity));
}

/* Pages that leave the zone: they must be out of the buddy already. */
__far void zone_drop_present(pfn_t start, pfn_t end)
{
	limit_uncharge((end - start) << PAGE_SHIFT);
	for (pfn_t p = start; p < end;) {
		struct section *s = section_of(p);
		pfn_t stop = MIN(end, s->base + SECTION_PAGES);

		ADD_ONCE(s->zone->present,
			 -bits_clear_range(s->present, p - s->base, stop - s->base));
		bits_clear_range(s->touched, p - s->base, stop - s->base);
		thp_forget(s, p - s->base, stop - s->base);
		migrate_forget(s, p - s->base, stop - s->base);
		p = stop;
	}
}
