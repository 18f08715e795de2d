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
#include "page/reclaim.h"
#include "page/reserve.h"
#include "slab/slab.h"

#define LOOKS_MAX	64	/* slabs that one free() looks at */

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

static size_t purge_one(struct kmem_cache *c, struct slab *s)
{
	/* What is of the reserve goes back to it, and is in memory there. */
	uint64_t mask = unlikely(reserve_owns(addr_pfn(s->base))) ? 0 : free_pages(c, s);
	uint64_t done = page_purge_mapped(s->base, 1ul << c->order, mask);

	slab_put_back(c, s, done);
	return (size_t)__builtin_popcountll(done);
}

static uint32_t rounds;		/* atomic; the latest */

size_t slab_purge(struct kmem_cache *c)
{
	uint32_t round = __atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
	size_t purged = 0;
	struct slab *s;

	while ((s = slab_isolate(c, round)))
		purged += purge_one(c, s);
	return purged;
}

/* Free bytes in slabs of the cache, as pages, that are in memory or may be. */
static size_t idle_pages(const struct kmem_cache *c)
{
	size_t all = READ_ONCE(c->nr_slabs) << c->order;
	size_t gone = READ_ONCE(c->nr_purged) + READ_ONCE(c->nr_inuse) * c->size / PAGE_SIZE;

	return all > gone ? all - gone : 0;
}

/* Pages that are above the watermark, of all caches and the zones. */
static size_t excess_pages(void)
{
	size_t idle = 0, purged = 0;

	for (unsigned class = 1; class <= NR_SIZE_CLASSES; class++) {
		idle += idle_pages(&kmem_caches[class]);
		purged += READ_ONCE(kmem_caches[class].nr_purged);
	}
	return reclaim_excess(idle, purged);
}

/*
 * The next slab of the cache, if there is anything to gain: its pages purged. False:
 * that was the last. A cache where little was found (small objects leave a survivor
 * on each page) rests until twice as much is free, others until a little more is.
 */
static bool purge_next(struct kmem_cache *c, uint32_t round, size_t *purged)
{
	size_t idle = idle_pages(c);
	struct slab *s = idle > READ_ONCE(c->purge_floor) ? slab_isolate(c, round) : NULL;
	size_t pages;

	if (s) {
		pages = purge_one(c, s);
		WRITE_ONCE(c->found, c->found + pages);
		*purged += pages;
		return true;
	}
	if (idle > READ_ONCE(c->purge_floor))
		WRITE_ONCE(c->purge_floor, c->found < idle / 16 ? 2 * idle : idle + idle / 16);
	WRITE_ONCE(c->found, 0);
	return false;
}

/*
 * Of free() itself, hence some at a time: by a round that goes through all caches,
 * those of large objects first, as more of their pages are free.
 */
void slab_reclaim(struct kmem_cache *freed)
{
	static uint32_t round, class;	/* hints: racing threads do each other's work */
	size_t excess = excess_pages(), purged = 0;

	WRITE_ONCE(freed->freed, 0);
	for (unsigned looks = 0; purged < excess && looks < LOOKS_MAX; looks++) {
		uint32_t k = READ_ONCE(class);

		if (!k) {
			WRITE_ONCE(round, __atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED));
			k = NR_SIZE_CLASSES;
		}
		k -= !purge_next(&kmem_caches[k], READ_ONCE(round), &purged);
		WRITE_ONCE(class, k);
		if (!k)
			break;
	}
}
