/* SPDX-License-Identifier: MIT */
#include "observe/stats.h"

#include "os/bug.h"
#include "os/os.h"
#include "page/aside.h"
#include "page/vmalloc.h"
#include "page/zone.h"
#include "slab/kmalloc.h"
#include "slab/percpu.h"
#include "slab/slab.h"

void heap_stats(struct heap_stats *st)
{
	struct vmalloc_stats v = vmalloc_stats();
	struct kmalloc_usage u = kmalloc_usage();
	size_t free_blocks = 0;

	*st = (struct heap_stats){ 0 };
	lock_acquire(&zone_lock);
	aside_flush();
	for (unsigned i = 0; i < NR_ZONES; i++) {
		st->arena += zones[i].present << PAGE_SHIFT;
		st->max_arena += zones[i].max_present << PAGE_SHIFT;
		st->meta += zones[i].meta << PAGE_SHIFT;
		for (unsigned o = 0; o < NR_ORDERS; o++)
			free_blocks += zones[i].nr_blocks[o];
	}
	st->keepcost = zone_brk_excess(&zones[ZONE_BRK]);
	lock_release(&zone_lock);
	st->ordblks = free_blocks;
	st->hblks = v.count;
	st->hblkhd = v.bytes;
	st->max_hblks = v.max_count;
	st->max_hblkhd = v.max_bytes;
	st->uordblks = u.slab_bytes + u.large_bytes;
	st->fordblks = st->arena > st->uordblks ? st->arena - st->uordblks : 0;
}

static unsigned long kib(size_t pages)
{
	return (unsigned long)(pages << PAGE_SHIFT >> 10);
}

void stats_print(void)
{
	struct percpu_stats p = percpu_stats();
	struct vmalloc_stats v = vmalloc_stats();
	struct kmalloc_usage u = kmalloc_usage();

	report("stele: pid %d served %lu allocations and %lu frees from %u sheaf sets", os_pid(),
	       (unsigned long)p.allocs, (unsigned long)p.frees, p.regions);
	lock_acquire(&zone_lock);
	aside_flush();
	lock_release(&zone_lock);
	for (unsigned i = 0; i < NR_ZONES; i++) {
		const struct zone *z = &zones[i];

		if (z->max_present)
			report("stele: zone %-4s %lu kB, of it free %lu, tables %lu, "
			       "most ever %lu; grown %lux, trimmed %lux, purged %lux",
			       zone_name(z), kib(z->present), kib(z->free), kib(z->meta),
			       kib(z->max_present), (unsigned long)z->nr_grow,
			       (unsigned long)z->nr_trim, (unsigned long)z->nr_purge);
	}
	report("stele: slabs    %lu kB, with the program %lu kB in %lu blocks, cached %lu kB",
	       kib(u.slab_pages), (unsigned long)u.slab_bytes >> 10,
	       (unsigned long)u.slab_blocks, (unsigned long)u.cached_bytes >> 10);
	report("stele: large    %lu kB in %lu blocks; mapped %lu kB in %lu, most ever %lu kB in %lu",
	       (unsigned long)u.large_bytes >> 10, (unsigned long)u.large_blocks,
	       (unsigned long)v.bytes >> 10, (unsigned long)v.count,
	       (unsigned long)v.max_bytes >> 10, (unsigned long)v.max_count);
}
