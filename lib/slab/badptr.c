/* SPDX-License-Identifier: MIT */
/*
 * Telling bad pointers apart, with the stacks of the block where they are kept. Runs only on the
 * way to abort(), so it may walk.
 */
#include "slab/badptr.h"

#include "base/bits.h"
#include "debug/track.h"
#include "os/bug.h"
#include "os/os.h"
#include "page/section.h"
#include "page/vmalloc.h"
#include "page/vmap.h"
#include "page/zone.h"
#include "slab/large.h"
#include "slab/slab.h"

__cold_path void bad_object(const struct kmem_cache *c, const void *obj, long index)
{
	if (index >= 0)
		bug("double free of %p: object %ld of the slab at %p, cache %s", obj, index,
		    slab_base(c, obj), c->name);
	bug("invalid free of %p: inside of an object of the slab at %p, cache %s", obj,
	    slab_base(c, obj), c->name);
}

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

static _Noreturn void tell_and_die(const struct track *t)
{
	if (track_any)
		track_tell(t);
	os_abort();
}

static struct track record_of(const struct vm_tag *tag)
{
	union {
		struct vm_tag tag;
		struct track track;
	} u = { *tag };

	return u.track;
}

static _Noreturn void in_slab(const char *call, const void *p, unsigned class)
{
	const struct kmem_cache *c = &kmem_caches[class];
	size_t i = ((uintptr_t)p - (uintptr_t)slab_base(c, p)) / c->size;
	struct slab *s = slab_of(p, class);
	struct track none = { 0 };

	warn("%s: invalid free of %p: inside of an object of the slab at %p, cache %s", call, p,
	     slab_base(c, p), c->name);
	tell_and_die(c->tracked && s && i < c->objects ? &(*slab_tracks(c, s))[i] : &none);
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
	if (run && page->state == PG_AWAY)
		bug("%s: double free of %p: its block is being freed already, zone %s", call, p,
		    zone);
	if (run && page->state == PG_LARGE) {
		warn("%s: invalid free of %p: inside of the block of %lu bytes at %p, zone %s",
		     call, p, (unsigned long)page->npages << PAGE_SHIFT, pfn_addr(run), zone);
		tell_and_die(large_track(page));
	}
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

static void in_mapping(const char *call, const void *p)
{
	struct vm_tag tag = { 0 };
	struct track record;
	size_t size;
	void *block = vmalloc_block_of(p, &size);

	if (block) {
		vmalloc_tag(block, &tag);
		warn("%s: invalid free of %p: inside of the mapped block of %lu bytes at %p", call,
		     p, (unsigned long)size, block);
	} else if (vmalloc_was_freed(p, &tag)) {
		warn("%s: double free of %p: this mapped block was freed already", call, p);
	} else {
		return;
	}
	record = record_of(&tag);
	tell_and_die(&record);
}

__cold_path void bad_pointer(const char *call, const void *p)
{
	unsigned class = class_of(p);

	if (class != CLASS_NONE && class != CLASS_LARGE)
		in_slab(call, p, class);
	if (class == CLASS_LARGE || page_of(addr_pfn(p)))
		in_zone(call, p);
	in_area(call, p);
	in_mapping(call, p);
	bug("%s: wild pointer %p: in no zone, no mapped block, not of libc", call, p);
}
