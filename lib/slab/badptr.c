/* SPDX-License-Identifier: MIT */
/*
 * Telling bad pointers apart. Runs only on the way to abort(), so it may walk.
 */
#include "slab/badptr.h"

#include "base/bits.h"
#include "os/bug.h"
#include "page/section.h"
#include "page/vmalloc.h"
#include "page/vmap.h"
#include "page/zone.h"
#include "slab/slab.h"

/* The run in use that @pfn lies in; 0: none. Only first pages have a state. */
static pfn_t run_of(pfn_t pfn, struct page **page)
{
	for (pfn_t p = pfn; (*page = page_of(p)); p--) {
		unsigned class = class_of(pfn_addr(p));

		/* A slab's descriptors hold a bitmap. */
		if (class != CLASS_NONE && class != CLASS_LARGE)
			return 0;
		if ((*page)->state >= PG_LARGE)
			return p + (*page)->npages > pfn ? p : 0;
	}
	return 0;
}

static _Noreturn void in_zone(const char *call, const void *p)
{
	pfn_t pfn = addr_pfn(p), start, run;
	const char *zone = zone_name(section_of(pfn)->zone);
	struct page *page;
	unsigned order;
	bool free_page;

	lock_acquire(&zone_lock);
	free_page = buddy_find(pfn, &start, &order);
	lock_release(&zone_lock);
	if (free_page)
		bug("%s: double free of %p: its page is free already, zone %s", call, p, zone);
	run = run_of(pfn, &page);
	if (run && page->state == PG_LARGE)
		bug("%s: invalid free of %p: inside of the block of %lu bytes at %p, zone %s",
		    call, p, (unsigned long)page->npages << PAGE_SHIFT, pfn_addr(run), zone);
	if (run && page->state == PG_RUN)
		bug("%s: invalid free of %p: of the pages at %p, which stele_free_pages() frees",
		    call, p, pfn_addr(run));
	bug("%s: invalid free of %p: not a block, zone %s", call, p, zone);
}

static void in_area(const char *call, const void *p)
{
	static const char *const owner[NR_VMAP_KINDS] = {
		"stele_vfree", "stele_free_pinned", "stele_unmap_region"
	};
	struct vmap_area a;

	if (!vmap_find(p, &a))
		return;
	if (a.freed)
		bug("%s: invalid free of %p: %s() has freed it", call, p, owner[a.kind]);
	bug("%s: invalid free of %p: of the area of %lu bytes at %p, which %s() frees", call, p,
	    (unsigned long)a.size, (void *)a.addr, owner[a.kind]);
}

__cold_path void bad_pointer(const char *call, const void *p)
{
	unsigned class = class_of(p);
	void *block;
	size_t size;

	if (class != CLASS_NONE && class != CLASS_LARGE) {
		const struct kmem_cache *c = &kmem_caches[class];

		bug("%s: invalid free of %p: inside of an object of the slab at %p, cache %s",
		    call, p, slab_base(c, p), c->name);
	}
	if (class == CLASS_LARGE || page_of(addr_pfn(p)))
		in_zone(call, p);
	in_area(call, p);
	block = vmalloc_block_of(p, &size);
	if (block)
		bug("%s: invalid free of %p: inside of the mapped block of %lu bytes at %p",
		    call, p, (unsigned long)size, block);
	if (vmalloc_was_freed(p))
		bug("%s: double free of %p: this mapped block was freed already", call, p);
	bug("%s: wild pointer %p: in no zone, no mapped block, not of libc", call, p);
}
