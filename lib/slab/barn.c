/* SPDX-License-Identifier: MIT */
/*
 * The barn: what sheaves spill, other CPUs' sheaves reload, in batches.
 *
 *	objs:  |-- count pointers --|-- room up to limit --|
 *	       coldest      hottest
 *
 * One stack per cache. A producer on one CPU and a consumer on another move
 * whole batches through it: a lock and a copy per batch, no touch of objects,
 * nothing handed back to an "owner". Its array is allocated when first used
 * and, being fresh pages, costs only what has been filled.
 *
 * Locking: barn.lock, held for a copy of at most a batch.
 */
#include "slab/barn.h"

#include <string.h>

/* With the lock held; false: no memory for the array. */
static bool open_barn(struct barn *b)
{
	size_t pages = bytes_pages(b->limit * sizeof(void *));

	b->objs = page_alloc_meta(pages);
	b->pages = (uint32_t)pages;
	return b->objs;
}

bool barn_put(struct kmem_cache *c, void *const *objs, size_t n, bool wait)
{
	struct barn *b = &c->barn;
	bool ok;

	if (READ_ONCE(b->count) + n > b->limit || !lock_enter(&b->lock, wait))
		return false;
	ok = b->count + n <= b->limit && (b->objs || (wait && open_barn(b)));
	if (ok) {
		memcpy(b->objs + b->count, objs, n * sizeof(void *));
		WRITE_ONCE(b->count, b->count + (uint32_t)n);
	}
	lock_release(&b->lock);
	return ok;
}

size_t barn_get(struct kmem_cache *c, void **objs, size_t n, bool wait)
{
	struct barn *b = &c->barn;

	if (!READ_ONCE(b->count) || !lock_enter(&b->lock, wait))
		return 0;
	n = MIN(n, b->count);
	WRITE_ONCE(b->count, b->count - (uint32_t)n);
	memcpy(objs, b->objs + b->count, n * sizeof(void *));
	lock_release(&b->lock);
	return n;
}

void barn_drain(struct kmem_cache *c)
{
	void *objs[256];
	size_t n;

	while ((n = barn_get(c, objs, ARRAY_SIZE(objs), true)))
		slab_free(c, objs, n);
}

void barn_shrink(struct kmem_cache *c)
{
	struct barn *b = &c->barn;

	lock_acquire(&b->lock);
	if (b->objs && !b->count) {
		page_free_meta(b->objs, b->pages);
		b->objs = NULL;
	}
	lock_release(&b->lock);
}
