/* SPDX-License-Identifier: MIT */
/*
 * Memory pools.
 *
 *	1 the pool's own allocator, as far as it goes without reclaim
 *	2 an element that was set aside
 *	3 who may wait: the allocator with all its means, then sleep until an element
 *	  comes back, and again from 1
 *
 * An element that is freed goes to the pool while that lacks any. Whoever puts
 * one back counts up "returned" before it looks for sleepers, and a sleeper looks
 * at the pool after it has read the count: one of them sees the other. A pool that
 * keeps nothing passes that on too, as what was freed may do for the allocator; and as
 * memory may come back without the pool being told, nobody sleeps longer than SLEEP_MS.
 *
 * Locking: mempool_lock for the elements of all pools; it is held for a few
 * instructions, and one lock can be kept over fork.
 */
#include "slab/mempool.h"

#include <errno.h>
#include <string.h>

#include "os/os.h"
#include "slab/gfp.h"
#include "slab/kmalloc.h"

#define SLEEP_MS	1000u

struct lock mempool_lock = LOCK_INIT(RANK_MEMPOOL);

static void *pop(struct stele_mempool *pool)
{
	return pool->curr_nr ? pool->elements[--pool->curr_nr] : NULL;
}

void *mempool_take(struct stele_mempool *pool, bool wait)
{
	void *p;

	if (!lock_enter(&mempool_lock, wait))
		return NULL;
	p = pop(pool);
	lock_release(&mempool_lock);
	return p;
}

/* False: it has all it wants. */
static bool put_back(struct stele_mempool *pool, void *element)
{
	bool room;

	lock_acquire(&mempool_lock);
	room = pool->curr_nr < pool->min_nr;
	if (room)
		pool->elements[pool->curr_nr++] = element;
	lock_release(&mempool_lock);
	return room;
}

void mempool_free(struct stele_mempool *pool, void *element)
{
	if (!put_back(pool, element)) {
		pool->free(element, pool->data);
		/* A full pool has no sleepers. */
		if (READ_ONCE(pool->min_nr))
			return;
	}
	__atomic_add_fetch(&pool->returned, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&pool->waiters, __ATOMIC_SEQ_CST))
		os_futex_wake(&pool->returned, 1);
}

/* One that came back while we slept; NULL: try everything again. */
static void *sleep_for_one(struct stele_mempool *pool)
{
	uint32_t seen;
	void *p;

	__atomic_add_fetch(&pool->waiters, 1, __ATOMIC_SEQ_CST);
	seen = __atomic_load_n(&pool->returned, __ATOMIC_SEQ_CST);
	p = mempool_take(pool, true);
	if (!p) {
		os_futex_wait_ms(&pool->returned, seen, SLEEP_MS);
		p = mempool_take(pool, true);
	}
	__atomic_sub_fetch(&pool->waiters, 1, __ATOMIC_SEQ_CST);
	return p;
}

void *mempool_alloc(struct stele_mempool *pool, stele_gfp_t gfp)
{
	const stele_gfp_t quick = (gfp | STELE_GFP_NOMEMALLOC | STELE_GFP_NORETRY |
				   STELE_GFP_NOWARN) &
				  ~(STELE_GFP_DIRECT_RECLAIM | STELE_GFP_NOFAIL);
	void *p;

	for (;;) {
		p = pool->alloc(quick, pool->data);
		if (!p)
			p = mempool_take(pool, gfp & STELE_GFP_DIRECT_RECLAIM);
		if (p || !(gfp & STELE_GFP_DIRECT_RECLAIM))
			return p;
		p = pool->alloc((gfp | STELE_GFP_NORETRY | STELE_GFP_NOWARN) &
				~STELE_GFP_NOFAIL, pool->data);
		if (!p)
			p = sleep_for_one(pool);
		if (p)
			return p;
	}
}

/* Elements up to @min_nr; false: the allocator has no more. */
static bool fill(struct stele_mempool *pool)
{
	void *p;

	while (READ_ONCE(pool->curr_nr) < pool->min_nr) {
		p = pool->alloc(STELE_GFP_KERNEL, pool->data);
		if (!p)
			return false;
		mempool_free(pool, p);
	}
	return true;
}

static void *block(size_t size)
{
	struct request r = { .call = "mempool_create", .size = size, .align = 1 };

	return gfp_alloc_plain(&r, STELE_GFP_KERNEL);
}

static void **room_for(int min_nr)
{
	return block((size_t)(min_nr ? min_nr : 1) * sizeof(void *));
}

struct stele_mempool *mempool_create(int min_nr, stele_mempool_alloc_t *alloc,
				     stele_mempool_free_t *free, void *data)
{
	struct stele_mempool *pool = block(sizeof(*pool));

	if (!pool)
		return NULL;
	*pool = (struct stele_mempool){ .min_nr = min_nr, .alloc = alloc, .free = free,
					.data = data };
	pool->elements = room_for(min_nr);
	if (pool->elements && fill(pool))
		return pool;
	mempool_destroy(pool);
	errno = ENOMEM;
	return NULL;
}

int mempool_resize(struct stele_mempool *pool, int min_nr)
{
	void **room = room_for(min_nr), **old, *p;

	if (!room)
		return -ENOMEM;
	for (;;) {
		lock_acquire(&mempool_lock);
		if (pool->curr_nr <= min_nr)
			break;
		p = pop(pool);
		lock_release(&mempool_lock);
		pool->free(p, pool->data);
	}
	memcpy(room, pool->elements, (size_t)pool->curr_nr * sizeof(void *));
	old = pool->elements;
	pool->elements = room;
	pool->min_nr = min_nr;
	lock_release(&mempool_lock);
	kfree(old);
	return fill(pool) ? 0 : -ENOMEM;
}

void mempool_destroy(struct stele_mempool *pool)
{
	void *p;

	while (pool->elements && (p = mempool_take(pool, true)))
		pool->free(p, pool->data);
	if (pool->elements)
		kfree(pool->elements);
	kfree(pool);
}
