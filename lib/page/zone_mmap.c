/* SPDX-License-Identifier: MIT */
/*
 * ZONE_MMAP: pages in chunks by mmap, for when the break cannot move (another
 * mapping in its way, RLIMIT_DATA, a libc that keeps the break for itself).
 * ZONE_DMA32: the same below 4 GiB, for those who ask for such pages alone.
 *
 * Each chunk begins with the tables it is the first to need. Chunks that the
 * kernel places side by side merge in the buddy like any other pages.
 *
 * Locking: zone_lock.
 */
#include "base/bits.h"
#include "os/bug.h"
#include "os/os.h"
#include "page/limit.h"
#include "page/thp.h"
#include "page/vmalloc.h"
#include "os/vm.h"
#include "page/zone.h"

#define CHUNK_MIN	(4ul << 20 >> PAGE_SHIFT)
#define CHUNK_MAX	(64ul << 20 >> PAGE_SHIFT)

/* The most that tables for @npages anywhere can take. */
static size_t tables_most(size_t npages)
{
	size_t subs = npages / SUB_PAGES + 2, secs = npages / SECTION_PAGES + 2;

	return 1 + subs * MEMMAP_PAGES +
	       secs * (CLASSMAP_PAGES + LEAF_PAGES +
		       (sizeof(struct section) + PAGE_SIZE - 1) / PAGE_SIZE);
}

/* The same for a chunk that has @npages beside them: the tables are described too. */
static size_t tables_bound(size_t npages)
{
	size_t bound = 0, most;

	/* What rounds the chunk to system pages lies in it as well. */
	npages += os_page_size() >> PAGE_SHIFT;
	while ((most = tables_most(npages + bound)) > bound)
		bound = most;
	return bound;
}

static int map_chunk(const struct zone *z, size_t len, void **addr)
{
	return z == &zones[ZONE_DMA32] ? os_map_low(len, addr) : vmalloc_map(len, 1, addr);
}

static pfn_t try_chunk(struct zone *z, size_t npages, size_t align, size_t chunk)
{
	size_t total = chunk + (align > 1 ? align : 0) + tables_bound(chunk + align);
	pfn_t start, end, run;
	size_t carve;
	void *addr;

	total = ALIGN_UP(total << PAGE_SHIFT, os_page_size()) >> PAGE_SHIFT;
	if (z->nr_sections + total / SECTION_PAGES + 2 > MAX_SECTIONS)
		return 0;
	if (!limit_charge(total << PAGE_SHIFT))
		return 0;
	if (map_chunk(z, total << PAGE_SHIFT, &addr)) {
		limit_uncharge(total << PAGE_SHIFT);
		return 0;
	}
	start = addr_pfn(addr);
	end = start + total;
	carve = zone_carve_pages(z, start, end);
	if (carve)
		zone_describe(z, start, carve, start, end);
	zone_set_present(z, start, end);
	thp_advise(addr, total << PAGE_SHIFT);
	buddy_free(start + carve, total - carve);
	z->nr_grow++;
	run = ALIGN_UP(start + carve, align);
	if (!buddy_take(run, npages))
		bug("zone %s: pages %p.. of a chunk are not free", zone_name(z), pfn_addr(run));
	return run;
}

pfn_t zone_mmap_grow(struct zone *z, size_t npages, size_t align)
{
	size_t chunk = CLAMP(z->present / 4, CHUNK_MIN, CHUNK_MAX);
	pfn_t run = 0;

	if (npages > MAX_SECTIONS * SECTION_PAGES)
		return 0;
	if (chunk > npages)
		run = try_chunk(z, npages, align, chunk);
	return run ? run : try_chunk(z, npages, align, npages);
}
