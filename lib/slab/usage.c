/* SPDX-License-Identifier: MIT */
/*
 * All of kmalloc at once: what the program holds, and giving back what lies idle
 * in sheaves, barns and slabs.
 *
 * Locking: none of its own; each cache is looked at by itself.
 */
#include "base/bits.h"
#include "slab/barn.h"
#include "slab/deferred.h"
#include "slab/kmalloc.h"
#include "slab/large.h"
#include "slab/percpu.h"
#include "slab/slab.h"

struct kmalloc_usage kmalloc_usage(void)
{
	struct kmalloc_usage u = { 0 };

	for_each_cache(c) {
		size_t cached = percpu_count(c->class) + READ_ONCE(c->barn.count);
		size_t out = READ_ONCE(c->nr_inuse);

		/* Other threads may move objects between the two readings. */
		cached = MIN(cached, out);
		u.cached_bytes += cached * c->size;
		u.slab_blocks += out - cached;
		u.slab_bytes += (out - cached) * c->size;
		u.slab_pages += READ_ONCE(c->nr_slabs) << c->order;
	}
	large_usage(&u.large_bytes, &u.large_blocks);
	return u;
}

void kmalloc_drain(void)
{
	if (deferred_any())
		deferred_drain();
	percpu_drain();
	for_each_cache_pinned(c) {
		barn_drain(c);
		barn_shrink(c);
		slab_shrink(c);
	}
}

void kmalloc_drain_idle(void)
{
	percpu_drain();
	for_each_cache_pinned(c) {
		if (c->ops && c->ops->unmake)
			continue;
		barn_drain(c);
		barn_shrink(c);
		slab_shrink(c);
	}
}

size_t kmalloc_purge(void)
{
	size_t pages = 0;

	for (unsigned class = 1; class <= NR_SIZE_CLASSES; class++)
		pages += slab_purge(&kmem_caches[class]);
	return pages;
}
