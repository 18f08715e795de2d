/* SPDX-License-Identifier: MIT */
/*
 * The table of caches: what each class of objects looks like.
 *
 *	class   1 .. 40     kmalloc's sizes, opened by the first request, for good
 *	       41 .. 104    further caches with sheaves
 *	      105 .. 254    further caches without
 *
 * 1. Geometry. A slab is 64 to 256 KiB, for objects above 32 KiB up to 4 MiB:
 *    the smallest order that wastes at most 1/16 of it at the tail (else 1/8,
 *    1/4) and holds eight objects, or four large ones. Pages of a slab that no
 *    object has reached cost nothing.
 *
 * 2. A cache is in use while its size is not 0. The size is stored last when it
 *    opens and cleared first when it closes; a walker that saw it takes the locks
 *    of a cache that is valid, if empty.
 *
 * 3. Who goes through all caches and takes what is idle pins the one he stands at:
 *    a slab in his hands is of its geometry and goes to its destructor, and must not
 *    outlive it. Who closes a cache first waits until nobody stands there.
 *
 * Locking: caches_lock to open, close and pin. Closing drops it while it drains, as
 * the program's destructors run meanwhile.
 */
#include "slab/slab.h"

#include <string.h>

#include "base/bits.h"
#include "base/fmt.h"
#include "debug/track.h"
#include "os/os.h"
#include "slab/barn.h"
#include "slab/percpu.h"

#define SLAB_ORDER_MAX	6	/* 256 KiB, for kmalloc's sizes */
#define BATCH_BYTES	(32u << 10)
#define BATCH_MAX	256u
#define BARN_BATCHES	64u

struct kmem_cache kmem_caches[NR_CLASSES] __nearbss_table;
static unsigned classes_end = NR_SIZE_CLASSES + 1;	/* caches_lock to write; never falls */
struct lock caches_lock = LOCK_INIT(RANK_CACHES);

/* The bitmap must fit in the descriptors behind the first. */
static_assert((PAGE_SIZE << SLAB_ORDER_MIN) / SIZE_STEP / 8 <=
		      ((1u << SLAB_ORDER_MIN) - 1) * sizeof(struct page),
	      "bitmap of the smallest objects fits");

/* Bytes that a sheaf and a barn may hold: small objects move more often. */
static const struct cache_limit {
	uint32_t size, sheaf, barn;	/* for objects up to size */
} limits[] = {
	{ 512, 128u << 10, 2u << 20 },
	{ 8192, 64u << 10, 256u << 10 },
	{ UINT32_MAX, 32u << 10, 0 },
};

static const struct cache_limit *limit_for(size_t size)
{
	const struct cache_limit *l = limits;

	while (size > l->size)
		l++;
	return l;
}

static unsigned slab_order(size_t size)
{
	unsigned most = size <= SIZE_MAX_SLAB ? SLAB_ORDER_MAX : MAX_ORDER;
	size_t objects = size <= SIZE_MAX_SLAB ? 8 : 4;

	for (size_t fraction = 16; fraction >= 4; fraction /= 2) {
		for (unsigned o = SLAB_ORDER_MIN; o <= most; o++) {
			size_t bytes = PAGE_SIZE << o;

			if (bytes / size >= objects && bytes % size <= bytes / fraction)
				return o;
		}
	}
	return most;
}

static __setup size_t sheaf_most(size_t size)
{
	return CLAMP(limit_for(size)->sheaf / size, 2u, SHEAF_MAX);
}

/* All but the name and the size, which opens it. */
static __setup void cache_set(struct kmem_cache *c, size_t size, size_t sheaf_slots)
{
	c->class = (uint8_t)(c - kmem_caches);
	c->usable = (uint32_t)size;
	c->tracked = false;
	c->link = 0;
	c->order = (uint8_t)slab_order(size);
	c->objects = (uint32_t)((PAGE_SIZE << c->order) / size);
	c->magic = (uint32_t)(((1ull << 32) + size - 1) / size);
	c->bucket_magic = (NR_BUCKETS << 16) / c->objects;
	c->batch = (uint16_t)CLAMP(BATCH_BYTES / size, 2u, BATCH_MAX);
	c->sheaf_max = (uint16_t)MIN(sheaf_most(size), sheaf_slots);
	/* Once only: a walker may still hold those of a cache that was closed. */
	if (!c->list_lock.rank) {
		c->list_lock = (struct lock)LOCK_INIT(RANK_CACHE);
		c->barn.lock = (struct lock)LOCK_INIT(RANK_BARN);
	}
	c->barn.limit = c->sheaf_max ?
		(uint32_t)MIN(limit_for(size)->barn / size, BARN_BATCHES * c->batch) : 0;
	for (unsigned b = 0; b < NR_BUCKETS; b++)
		list_init(&c->partial[b]);
	list_init(&c->empty);
}

static bool kmalloc_tracked __nearbss;

__setup void slab_init(void)
{
	kmalloc_tracked = track_on;
}

__setup size_t kmalloc_sheaf_most(unsigned class)
{
	return sheaf_most(class_size(class));
}

/* By hand: all processes do this, and else they would have all of fmt.c in memory for it. */
static __setup void set_kmalloc_name(char *name, size_t size)
{
	unsigned digits = 1;

	for (size_t n = size; n >= 10; n /= 10)
		digits++;
	memcpy(name, "kmalloc-", 8);
	name += 8;
	name[digits] = '\0';
	for (; digits; size /= 10)
		name[--digits] = (char)('0' + size % 10);
}

__setup bool kmalloc_cache_open(struct kmem_cache *c, bool wait)
{
	size_t size = class_size((unsigned)(c - kmem_caches));

	if (!lock_enter(&caches_lock, wait))
		return false;
	if (!c->size) {
		cache_set(c, size, SHEAF_MAX);
		c->tracked = kmalloc_tracked;
		set_kmalloc_name(c->name, size);
		store_release(&c->size, (uint32_t)size);
	}
	lock_release(&caches_lock);
	return true;
}

struct kmem_cache *cache_next(struct kmem_cache *c)
{
	/* Behind the last one that was ever open, the table is untouched memory. */
	while (++c < &kmem_caches[READ_ONCE(classes_end)]) {
		if (load_acquire(&c->size))
			return c;
	}
	return NULL;
}

static void unpin(struct kmem_cache *c)
{
	/* A fork inside of a destructor has reset it in the child. */
	c->pins -= c->pins > 0;
}

__far struct kmem_cache *cache_pin_next(struct kmem_cache *c)
{
	lock_acquire(&caches_lock);
	if (c != kmem_caches)
		unpin(c);
	do
		c = cache_next(c);
	while (c && c->closing);
	if (c)
		c->pins++;
	lock_release(&caches_lock);
	return c;
}

void caches_fork_child(void)
{
	for_each_cache(c) {
		if (c->pins)
			c->pins = 0;
		if (c->closing)
			c->closing = false;
	}
}

/* With caches_lock held. */
static struct kmem_cache *free_cache(unsigned from, unsigned to)
{
	for (unsigned class = from; class <= to; class++) {
		if (!kmem_caches[class].size)
			return &kmem_caches[class];
	}
	return NULL;
}

__far struct kmem_cache *cache_open(const char *name, size_t size, size_t sheaf_slots,
			      const struct cache_ops *ops, void *owner)
{
	struct kmem_cache *c = NULL;

	lock_acquire(&caches_lock);
	if (sheaf_slots)
		c = free_cache(NR_SIZE_CLASSES + 1, NR_SHEAF_CLASSES);
	if (!c) {
		c = free_cache(NR_SHEAF_CLASSES + 1, CLASS_LARGE - 1);
		sheaf_slots = 0;
	}
	if (c) {
		cache_set(c, size, sheaf_slots);
		fmt_print(c->name, sizeof(c->name), "%s", name);
		c->ops = ops;
		c->owner = owner;
		WRITE_ONCE(classes_end, MAX(classes_end, c->class + 1u));
		store_release(&c->size, (uint32_t)size);
		if (sheaf_slots)
			percpu_open_class(c->class);
	}
	lock_release(&caches_lock);
	return c;
}

__far void cache_settle(struct kmem_cache *c)
{
	lock_acquire(&caches_lock);
	c->closing = true;
	while (c->pins) {
		lock_release(&caches_lock);
		os_nap(NAP_US);
		lock_acquire(&caches_lock);
	}
	lock_release(&caches_lock);
}

__far bool cache_close(struct kmem_cache *c)
{
	bool closed;

	cache_settle(c);
	percpu_close_class(c->class);
	barn_drain(c);
	slab_shrink(c);
	lock_acquire(&caches_lock);
	closed = !READ_ONCE(c->nr_slabs);
	if (closed) {
		slab_free_spare(c);
		/* The array has room for this cache's limit, not for the next one's. */
		barn_shrink(c);
		store_release(&c->size, 0);
	}
	c->closing = false;
	lock_release(&caches_lock);
	if (!closed && c->sheaf_max)
		percpu_open_class(c->class);
	return closed;
}
