/* SPDX-License-Identifier: MIT */
/*
 * All blocks of the program.
 *
 * 1. Walking goes over the class maps of the zones' sections: a slab's objects by
 *    their records (without records: by its bitmap, which counts what sheaves
 *    hold as live), runs of pages by their descriptors, mapped blocks by their
 *    table.
 *
 * 2. Finding. The table of units says where a slab's records are: descriptors lie
 *    too far apart to stay in a cache. Large blocks have a class on their first page
 *    only, and mapped ones none: an index of both is made, sorted by address, and
 *    searched where there is no slab.
 *
 * Locking: blocks_lock() takes all locks of the allocator in rank order, to be
 * given back once no other thread runs; the rest takes none.
 */
#include "slab/blocks.h"

#include <string.h>

#include "base/bits.h"
#include "debug/depot.h"
#include "page/reserve.h"
#include "page/vmalloc.h"
#include "page/vmap.h"
#include "page/zone.h"
#include "slab/large.h"
#include "slab/slab.h"
#include "slab/units.h"

/* A large or mapped block. */
struct extent {
	uintptr_t start, end;
	struct track *rec;
};

struct block_window block_windows[2];

static struct extent *extents;
static size_t nr_extents, max_extents;

#define PATIENCE_MS	500u	/* for the first lock that is not to be had */
#define NR_MISSED	16u

static struct lock *missed[NR_MISSED];
static unsigned nr_missed;

static void take(struct lock *l)
{
	if (nr_missed < NR_MISSED &&
	    !lock_acquire_for_fork_within(l, nr_missed ? PATIENCE_MS / 10 : PATIENCE_MS))
		missed[nr_missed++] = l;
}

static void give(struct lock *l)
{
	for (unsigned i = 0; i < nr_missed; i++) {
		if (missed[i] == l)
			return;
	}
	lock_unlock_word(l);
}

void blocks_lock(void)
{
	nr_missed = 0;
	take(&caches_lock);
	for_each_cache(c)
		take(&c->list_lock);
	for_each_cache(c)
		take(&c->barn.lock);
	take(&depot_lock);
	take(&vmalloc_lock);
	take(&vmap_lock);
	take(&zone_lock);
	take(&reserve_lock);
	take(&hit_lock);
}

void blocks_unlock(void)
{
	give(&hit_lock);
	give(&reserve_lock);
	give(&zone_lock);
	give(&vmap_lock);
	give(&vmalloc_lock);
	give(&depot_lock);
	for_each_cache(c)
		give(&c->barn.lock);
	for_each_cache(c)
		give(&c->list_lock);
	give(&caches_lock);
}

typedef bool visit_fn(const struct block *b, void *arg);

static struct block block_of(void *addr, size_t usable, struct track *rec)
{
	return (struct block){ addr, rec ? track_size(rec, usable) : usable, usable, rec };
}

/* A record of a block that was allocated while it was not tracked says nothing. */
static struct track *live(struct track *rec)
{
	return rec && rec->stack ? rec : NULL;
}

/* One per object; NULL: the cache is not tracked. */
static struct track *slab_records(const struct kmem_cache *c, struct slab *s)
{
	return c->tracked ? *slab_tracks(c, s) : NULL;
}

static bool walk_slab(struct slab *s, visit_fn *fn, void *arg)
{
	const struct kmem_cache *c = s->cache;
	const uint64_t *map = slab_bitmap(s);
	struct track *tracks = slab_records(c, s);

	for (size_t i = 0; (i = bits_next(map, i, c->objects, true)) < c->objects; i++) {
		struct track *rec = tracks ? &tracks[i] : NULL;
		struct block b;

		if (rec && !rec->stack)
			continue;
		b = block_of((char *)s->base + i * c->size, c->usable, rec);
		if (!fn(&b, arg))
			return false;
	}
	return true;
}

/* Slabs and large blocks: a run of each class found in the maps. */
typedef bool run_fn(struct page *page, pfn_t pfn, unsigned class, void *arg);

/*
 * Pages of @page's run: 1 where it is free. What a stopped thread was just making or
 * freeing is no block yet, or none any more.
 */
static size_t run_length(const struct page *page, unsigned class, bool *block)
{
	uint8_t state = page->state;

	*block = class == CLASS_LARGE ? state == PG_LARGE || state == PG_RUN :
					class != CLASS_NONE && state == PG_SLAB;
	return *block || class != CLASS_NONE || page->state == PG_META ? MAX(page->npages, 1u) : 1;
}

static bool walk_section(struct section *s, run_fn *fn, void *arg)
{
	for (size_t i = 0; (i = bits_next(s->present, i, SECTION_PAGES, true)) < SECTION_PAGES;) {
		unsigned class = READ_ONCE(s->classmap[i]);
		struct page *page = page_of(s->base + i);
		bool block;
		size_t n = run_length(page, class, &block);

		if (block && !fn(page, s->base + i, class, arg))
			return false;
		i += n;
	}
	return true;
}

static bool walk_zones(run_fn *fn, void *arg)
{
	for (unsigned z = 0; z < NR_ZONES; z++) {
		for (size_t i = 0; i < zones[z].nr_sections; i++) {
			if (!walk_section(*zone_section(&zones[z], i), fn, arg))
				return false;
		}
	}
	return true;
}

/* Or the inside of one, or a mapping. */
static bool is_run(unsigned class)
{
	return class == CLASS_LARGE || class == CLASS_NONE;
}

/* Pages that were asked for as such have no record. */
static struct track *run_track(struct page *page)
{
	return page->state == PG_LARGE ? live(large_track(page)) : NULL;
}

struct walk_arg {
	visit_fn *fn;
	void *arg;
};

static bool walk_run(struct page *page, pfn_t pfn, unsigned class, void *arg)
{
	const struct walk_arg *w = arg;
	struct block b;

	if (!is_run(class))
		return (track_sampling && !kmem_caches[class].tracked) ||
		       walk_slab((struct slab *)page, w->fn, w->arg);
	b = block_of(pfn_addr(pfn), (size_t)page->npages << PAGE_SHIFT, run_track(page));
	return (track_sampling && !b.rec) || w->fn(&b, w->arg);
}

static bool walk_mapped(void *addr, size_t len, struct vm_tag *tag, void *arg)
{
	const struct walk_arg *w = arg;
	struct block b = block_of(addr, len, live((struct track *)tag));

	return (track_sampling && !b.rec) || w->fn(&b, w->arg);
}

bool blocks_walk(visit_fn *fn, void *arg)
{
	struct walk_arg w = { fn, arg };

	return walk_zones(walk_run, &w) && vmalloc_walk(walk_mapped, &w);
}

/* ---- the index ---- */

static void widen(struct block_window *w, uintptr_t start, uintptr_t end)
{
	uintptr_t before = w->size ? w->start + w->size : end;

	w->start = w->size ? MIN(w->start, start) : start;
	w->size = MAX(before, end) - w->start;
}

static bool count_run(struct page *page, pfn_t pfn, unsigned class, void *arg)
{
	uintptr_t at = (uintptr_t)pfn_addr(pfn);

	*(size_t *)arg += is_run(class);
	widen(&block_windows[section_of(pfn)->zone != &zones[ZONE_BRK]], at,
	      at + ((size_t)page->npages << PAGE_SHIFT));
	return true;
}

static bool count_mapped(void *addr __unused_arg, size_t len __unused_arg,
			 struct vm_tag *tag __unused_arg, void *arg)
{
	++*(size_t *)arg;
	return true;
}

static bool enter_run(struct page *page, pfn_t pfn, unsigned class, void *arg __unused_arg)
{
	uintptr_t at = (uintptr_t)pfn_addr(pfn);

	if (is_run(class) && nr_extents < max_extents)
		extents[nr_extents++] = (struct extent){
			at, at + ((size_t)page->npages << PAGE_SHIFT), run_track(page) };
	return true;
}

static bool enter_mapped(void *addr, size_t len, struct vm_tag *tag, void *arg __unused_arg)
{
	uintptr_t at = (uintptr_t)addr;

	if (nr_extents < max_extents)
		extents[nr_extents++] = (struct extent){ at, at + len,
							    live((struct track *)tag) };
	widen(&block_windows[1], at, at + len);
	return true;
}

static void sift(struct extent *e, size_t i, size_t n)
{
	struct extent x = e[i];

	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && e[child + 1].start > e[child].start)
			child++;
		if (e[child].start <= x.start)
			break;
		e[i] = e[child];
	}
	e[i] = x;
}

/* By start; a heap, as there is neither recursion nor memory to spare. */
static void sort(struct extent *e, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift(e, i, n);
	while (n > 1) {
		struct extent last = e[--n];

		e[n] = e[0];
		e[0] = last;
		sift(e, 0, n);
	}
}

bool blocks_index(void *(*alloc)(size_t bytes))
{
	memset(block_windows, 0, sizeof(block_windows));
	max_extents = 0;
	vmalloc_walk(count_mapped, &max_extents);
	walk_zones(count_run, &max_extents);
	extents = alloc((max_extents + 1) * sizeof(*extents));
	if (!extents)
		return false;
	nr_extents = 0;
	walk_zones(enter_run, NULL);
	vmalloc_walk(enter_mapped, NULL);
	sort(extents, nr_extents);
	return true;
}

void blocks_unindex(void)
{
	extents = NULL;
	nr_extents = 0;
}

static __noinline bool find_extent(uintptr_t at, struct block *b)
{
	size_t lo = 0, hi = nr_extents;
	const struct extent *e;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (extents[mid].start <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || at >= extents[lo - 1].end)
		return false;
	e = &extents[lo - 1];
	*b = (struct block){ (void *)e->start, e->end - e->start, e->end - e->start, e->rec };
	return true;
}

/* Which object of its slab: the reciprocal is exact where objects begin, else maybe one up. */
static inline size_t object_at(const struct kmem_cache *c, uintptr_t at)
{
	size_t off = at & ((PAGE_SIZE << c->order) - 1), i = off * c->magic >> 32;

	return i - (i * c->size > off);
}

static __noinline bool locate_elsewhere(uintptr_t at, struct block *b)
{
	unsigned class = class_of((void *)at);
	const struct kmem_cache *c = &kmem_caches[class];
	struct track *tracks;
	struct slab *s;
	size_t i;

	if (!block_possible(at))
		return false;
	/* Large blocks have a class on their first page only, and mapped ones none. */
	if (class == CLASS_NONE || is_run(class))
		return find_extent(at, b);
	i = object_at(c, at);
	s = slab_of((void *)at, class);
	if (i >= c->objects || s->state != PG_SLAB || !bits_test(slab_bitmap(s), i))
		return false;
	tracks = slab_records(c, s);
	*b = (struct block){ (char *)s->base + i * c->size, c->usable, c->usable,
			     tracks ? &tracks[i] : NULL };
	return true;
}

bool block_locate(const void *addr, struct block *b)
{
	uintptr_t at = (uintptr_t)addr;
	uint64_t unit = unit_of(addr);
	const struct kmem_cache *c;
	size_t i;

	if (unlikely(!unit))
		return locate_elsewhere(at, b);
	c = &kmem_caches[unit_class(unit)];
	i = object_at(c, at);
	if (i >= c->objects)
		return false;
	b->addr = (char *)ALIGN_DOWN(at, PAGE_SIZE << c->order) + i * c->size;
	b->size = b->usable = c->usable;
	b->rec = unit_tracks(unit) + i;
	__builtin_prefetch(b->rec, 1);
	return true;
}

/* An object of a tracked slab is one while it has a stack; what has no record is one. */
bool block_is_live(struct block *b)
{
	if (!b->rec)
		return true;
	b->size = track_size(b->rec, b->usable);
	return b->rec->stack;
}

bool block_find(const void *addr, struct block *b)
{
	return block_locate(addr, b) && block_is_live(b);
}

/* ---- what is ours ---- */

struct ranges {
	void (*fn)(uintptr_t start, uintptr_t end, void *arg);
	void *arg;
};

static bool mapped_range(void *addr, size_t len, struct vm_tag *tag __unused_arg, void *arg)
{
	const struct ranges *r = arg;

	r->fn((uintptr_t)addr, (uintptr_t)addr + len, r->arg);
	return true;
}

static void section_ranges(const struct section *s, const struct ranges *r)
{
	size_t i = 0, end;

	while ((i = bits_next(s->present, i, SECTION_PAGES, true)) < SECTION_PAGES) {
		end = bits_next(s->present, i, SECTION_PAGES, false);
		r->fn((s->base + i) << PAGE_SHIFT, (s->base + end) << PAGE_SHIFT, r->arg);
		i = end;
	}
}

void blocks_ranges(void (*fn)(uintptr_t start, uintptr_t end, void *arg), void *arg)
{
	struct ranges r = { fn, arg };

	for (unsigned z = 0; z < NR_ZONES; z++) {
		for (size_t i = 0; i < zones[z].nr_sections; i++)
			section_ranges(*zone_section(&zones[z], i), &r);
	}
	vmalloc_walk(mapped_range, &r);
}
