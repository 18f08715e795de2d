/* SPDX-License-Identifier: MIT */
/*
 * Large blocks.
 *
 * At or above mmap_threshold, and while mmap_max allows: vmalloc. Otherwise
 * whole pages of a zone, exactly as many as needed. When the system gives no
 * mapping the zone is asked too, and the other way round.
 *
 * malloc(3) has it that mappings are for what the free list cannot serve. So blocks that
 * could lie free as a whole afterwards come from a zone too where a good part of as many
 * pages lies free in memory: as a mapping, all of them would be faulted in.
 *
 * The first page's state decides who may free: it goes from PG_LARGE to PG_AWAY
 * by one compare-and-swap, so of two racing frees one is told.
 */
#include "slab/large.h"

#include "base/bits.h"
#include "debug/track.h"
#include "os/bug.h"
#include "os/os.h"
#include "page/aside.h"
#include "page/migrate.h"
#include "page/section.h"
#include "page/thp.h"
#include "page/vmalloc.h"
#include "slab/badptr.h"
#include "tune/tune.h"

#define IN_MEMORY_PART	4	/* one page in so many, to take a zone */

static size_t live_pages, live_blocks;	/* atomic */

void large_count(long pages, long blocks)
{
	__atomic_add_fetch(&live_pages, (size_t)pages, __ATOMIC_RELAXED);
	__atomic_add_fetch(&live_blocks, (size_t)blocks, __ATOMIC_RELAXED);
}

/* Part of a run has gone: what is left of it stays where it is, in nobody's hands. */
static __cold_path void abandon(void *p, struct page *page, size_t npages)
{
	page_set_class(p, 1, CLASS_NONE);
	page->state = PG_META;
	os_purge(p, npages << PAGE_SHIFT);
}

static void *run_alloc(size_t size, size_t align, bool zero, unsigned how)
{
	size_t npages = bytes_pages(size), align_pages = MAX(align, PAGE_SIZE) / PAGE_SIZE;
	struct page *page;
	void *p = page_alloc_class(npages, align_pages, CLASS_LARGE, how, &page);

	if (!p)
		return NULL;
	page->zeroed = zero;
	if (zero) {
		page_zero(p, npages);
	} else if (npages >= HUGE_PAGES && how & ALLOC_GROW && !migrate_in(p, npages)) {
		abandon(p, page, npages);
		return NULL;
	}
	large_count((long)npages, 1);
	return p;
}

/* Has a zone what a mapping would have to fault in? See above. */
static bool is_in_memory(size_t size, bool zero, unsigned how)
{
	size_t npages = bytes_pages(size);

	return !zero && !(how & ALLOC_MOVES) && size <= READ_ONCE(tune.watermark) &&
	       migrate_has(npages / IN_MEMORY_PART, npages);
}

/* From a zone in place of a mapping. What no region can be moved to must be free as it is. */
static void *in_memory_alloc(size_t size, size_t align, bool zero, unsigned how)
{
	if (!is_in_memory(size, zero, how))
		return NULL;
	return run_alloc(size, align, zero, size < HUGE_SIZE ? how & ALLOC_WAIT : how);
}

void *large_alloc(size_t size, size_t align, bool zero, unsigned how)
{
	bool may_map = how & ALLOC_GROW && vmalloc_allowed();
	bool mapped = size >= READ_ONCE(tune.mmap_threshold) && may_map;
	void *p = NULL;

	if (unlikely(size > PTRDIFF_MAX - PAGE_SIZE || align > PTRDIFF_MAX))
		return NULL;
	if (mapped)
		p = in_memory_alloc(size, align, zero, how);
	if (!p && mapped)
		p = vmalloc_alloc(size, align);
	if (!p)
		p = run_alloc(size, align, zero, how);
	if (!p && !mapped && may_map)
		p = vmalloc_alloc(size, align);
	return p;
}

void large_free(void *p)
{
	struct page *page = page_in_use(p);
	uint8_t large = PG_LARGE;
	size_t npages;

	if (!page || !IS_ALIGNED((uintptr_t)p, PAGE_SIZE))
		bad_pointer("free", p);
	npages = page->npages;
	if (!__atomic_compare_exchange_n(&page->state, &large, PG_AWAY, false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		if (large != PG_NONE)
			bad_pointer("free", p);
		bug("double free of %p: another thread is freeing it", p);
	}
	large_count(-(long)npages, -1);
	if (likely(!track_any) && !page->zeroed && aside_put(p, page, npages))
		return;
	page_fetch_free(p);
	page_free_sparse(p, npages, page->zeroed);
}

size_t large_size(const void *p)
{
	return (size_t)page_in_use(p)->npages << PAGE_SHIFT;
}

void *large_alloc_room(size_t size, size_t room)
{
	void *p = run_alloc(size + room, PAGE_SIZE, false, ALLOC_NORMAL | ALLOC_CREEPS);

	if (p)
		*large_asked(page_in_use(p)) = size;
	return p;
}

bool large_resize(void *p, size_t size, size_t room)
{
	struct page *page = page_in_use(p);
	size_t old = page->npages, want = bytes_pages(size), most = bytes_pages(size + room);

	if (want > old) {
		if (most >> 32)
			return false;
		if (most > want && page_extend(p, old, most))
			want = most;
		else if (!page_extend(p, old, want))
			return false;
	}
	page->npages = (uint32_t)want;
	*large_asked(page) = room ? size : 0;
	if (want < old) {
		char *tail = (char *)p + (want << PAGE_SHIFT);

		page_free_sparse(tail, old - want, page->zeroed);
	}
	large_count((long)(want - old), 0);
	return true;
}

void large_usage(size_t *bytes, size_t *blocks)
{
	*bytes = READ_ONCE(live_pages) << PAGE_SHIFT;
	*blocks = READ_ONCE(live_blocks);
}
