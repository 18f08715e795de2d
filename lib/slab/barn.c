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
 * and, of pages that are not in memory, costs only what has been filled.
 *
 * What comes out is in the order in which it was freed. Slabs give objects out by
 * address, fullest slab first: neighbours that a program walks together. So a
 * batch goes into the barn only
 *
 *	where another CPU missed last: it may want what this one frees; or
 *	where what the program has held of the class of late fits in a CPU's cache,
 *	and order is no matter.
 *
 * Locking: barn.lock, held for a copy of at most a batch.
 */
#include "slab/barn.h"
#include "debug/track.h"

#include <string.h>

#define FIRST_SLOTS	128u
#define CACHED_BYTES	(640ul << 10)	/* of a CPU's second cache: 512 KiB and more */
#define FADE_SHIFT	23

/*
 * The most that the program has held of late. Who frees all of a large map will fill the
 * next one: its last nodes are no small set.
 */
static size_t held_most(struct kmem_cache *c)
{
	/* Out of the slabs, and not here or in the sheaf that has just been full. */
	size_t idle = READ_ONCE(c->barn.count) + c->sheaf_max, out = READ_ONCE(c->nr_inuse);
	uint32_t most = READ_ONCE(c->barn.most);

	if (out <= idle || out - idle <= most)
		return most;
	WRITE_ONCE(c->barn.most, (uint32_t)(out - idle));
	return out - idle;
}

/* By 8 MiB that go down it falls to a third, if less is held then. */
void barn_note_spilt(struct kmem_cache *c, size_t n)
{
	uint64_t most = READ_ONCE(c->barn.most), part = (most * n * c->size >> FADE_SHIFT) + 1;

	WRITE_ONCE(c->barn.most, (uint32_t)(most - MIN(most, part)));
}

bool barn_is_for(struct kmem_cache *c, uint32_t self)
{
	return held_most(c) * c->size <= CACHED_BYTES || READ_ONCE(c->barn.taker) != self;
}

void barn_note_taker(struct kmem_cache *c, uint32_t self)
{
	if (READ_ONCE(c->barn.taker) != self)
		WRITE_ONCE(c->barn.taker, self);
}

/*
 * Most barns of most programs never hold more than a few batches, for which an array of
 * its own would be a page each.
 */
static void *first[NR_SIZE_CLASSES][FIRST_SLOTS];

/* With the lock held: room for @n objects more; false: there is none, or no memory. */
static bool make_room(struct kmem_cache *c, size_t n, bool wait)
{
	struct barn *b = &c->barn;
	size_t pages = bytes_pages(b->limit * sizeof(void *));
	void **objs;

	if (b->count + n <= b->room)
		return true;
	if (b->count + n > b->limit)
		return false;
	if (!b->objs && c->class <= NR_SIZE_CLASSES) {
		b->objs = first[c->class - 1];
		b->room = MIN(b->limit, FIRST_SLOTS);
		if (n <= b->room)
			return true;
	}
	objs = wait ? page_alloc_table(pages) : NULL;
	if (!objs)
		return false;
	if (b->count)
		memcpy(objs, b->objs, b->count * sizeof(void *));
	b->objs = objs;
	b->room = b->limit;
	b->pages = (uint32_t)pages;
	return true;
}

bool barn_put(struct kmem_cache *c, void *const *objs, size_t n, bool wait)
{
	struct barn *b = &c->barn;
	bool ok;

	if (!barn_has_room(c, n) || !lock_enter(&b->lock, wait))
		return false;
	ok = make_room(c, n, wait);
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

	while ((n = barn_get(c, objs, ARRAY_SIZE(objs), true))) {
		slab_free(c, objs, n);
		track_forget(objs, n);
	}
}

void barn_shrink(struct kmem_cache *c)
{
	struct barn *b = &c->barn;

	lock_acquire(&b->lock);
	if (b->pages && !b->count) {
		page_free_meta(b->objs, b->pages);
		b->objs = NULL;
		b->room = b->pages = 0;
	}
	lock_release(&b->lock);
}
