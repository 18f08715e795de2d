/* SPDX-License-Identifier: MIT */
/*
 * Free pages of partial slabs.
 *
 * A slab with one object in use cannot go back, and of small blocks those that
 * survive keep many slabs. But pages that no object in use lies on can be emptied
 * where they are: the bitmap tells which. They keep their place; an object on them
 * is handed out as ever, and makes the page resident again.
 *
 * This is for kmalloc's caches: what a program keeps in free objects of its own
 * caches, as a constructor left it, must stay; and slabs of theirs may have more
 * than the 64 pages that slab->purged has bits for.
 *
 * slab->purged remembers these pages until an object on them is out again, so that
 * they are not given back twice, and are known to be zero when the slab dies.
 *
 * Locking: a slab under purge is isolated, so that list_lock is not held during
 * system calls. Objects may be freed into it meanwhile, which leaves what is free
 * free. A fork in between costs the child this slab's free objects.
 */
#include "base/bits.h"
#include "os/os.h"
#include "slab/slab.h"

/* Pages that have been in memory since the slab was made, and perhaps before. */
static uint64_t used_pages(const struct kmem_cache *c, struct slab *s)
{
	size_t bytes = MIN((size_t)s->fresh * c->size, PAGE_SIZE << c->order);

	return page_touched(s->base, 1ul << c->order) | (bytes ? slab_page_mask(0, bytes - 1) : 0);
}

/* Pages without an object in use, as far as they may hold memory. */
static uint64_t free_pages(const struct kmem_cache *c, struct slab *s)
{
	size_t npages = 1ul << c->order;
	uint64_t mask = 0;

	for (size_t p = 0; p < npages; p++) {
		size_t first = p * PAGE_SIZE / c->size;
		size_t end = MIN(((p + 1) * PAGE_SIZE - 1) / c->size + 1, (size_t)c->objects);

		if (first >= end || !bits_count(slab_bitmap(s), first, end))
			mask |= BITS_MASK(p);
	}
	return mask & used_pages(c, s) & ~s->purged;
}

static size_t purge_one(const struct kmem_cache *c, struct slab *s)
{
	uint64_t mask, done;

	mask = free_pages(c, s);
	done = page_purge_mapped(s->base, 1ul << c->order, mask);
	/* Only allocation looks at it, and that cannot be. */
	s->purged |= done;
	return (size_t)__builtin_popcountll(done);
}

size_t slab_purge(struct kmem_cache *c)
{
	static uint32_t rounds;
	uint32_t round = __atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
	size_t purged = 0;
	struct slab *s;

	while ((s = slab_isolate(c, round))) {
		purged += purge_one(c, s);
		slab_put_back(c, s);
	}
	return purged;
}
