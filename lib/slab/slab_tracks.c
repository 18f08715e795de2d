/* SPDX-License-Identifier: MIT */
/*
 * The records of a tracked cache's slabs: pages of their own. Who may not wait takes
 * them quietly, before the slab, and where the slab is not to be had gives them back
 * quietly, or leaves them for the next one. Locking: see slab_tracks_drop().
 */
#include "base/bits.h"
#include "debug/track.h"
#include "slab/slab.h"

static size_t tracks_pages(const struct kmem_cache *c)
{
	return bytes_pages(c->objects * sizeof(struct track));
}

struct track *slab_tracks_new(struct kmem_cache *c, unsigned how)
{
	struct track *t = __atomic_exchange_n(&c->spare_tracks, NULL, __ATOMIC_ACQUIRE);

	return t ? t : page_alloc_meta_how(tracks_pages(c), how);
}

void slab_tracks_drop(struct kmem_cache *c, struct track *t, unsigned how)
{
	if (how & ALLOC_WAIT)
		page_free_meta(t, tracks_pages(c));
	else if (!page_try_free(t, tracks_pages(c), 0))
		/* Under list_lock since the last was taken: the place is empty. */
		store_release(&c->spare_tracks, t);
}

void slab_free_spare(struct kmem_cache *c)
{
	struct track *t = __atomic_exchange_n(&c->spare_tracks, NULL, __ATOMIC_ACQUIRE);

	if (t)
		page_free_meta(t, tracks_pages(c));
}
