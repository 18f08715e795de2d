/* SPDX-License-Identifier: MIT */
/*
 * The slab layer.
 *
 * 1. Geometry. A slab is 64 to 256 KiB: the smallest order that wastes at most
 *    1/16 of it at the tail (else 1/8, 1/4) and holds eight objects. Pages of a
 *    slab that no object has reached cost nothing.
 *
 * 2. Allocation takes from the fullest partial slab, lowest address first, so
 *    that the emptiest drain and go back to the buddy.
 *
 * 3. Freeing verifies each pointer against the bitmap: off the grid is an
 *    invalid free, a clear bit a double free.
 *
 * 4. Locking. list_lock per cache. Page calls are made without it: a new slab
 *    is private until it is put on a list, a dying one once it is off. A bug
 *    is reported without it too, as abort handlers may allocate.
 *
 * Invariant: sum of inuse == nr_inuse == objects with the program, in sheaves
 * and in the barn of the cache.
 */
#include "slab/slab.h"

#include <string.h>

#include "base/bits.h"
#include "base/fmt.h"
#include "os/bug.h"
#include "page/section.h"

#define ORDER_MIN	4	/* 64 KiB */
#define ORDER_MAX	6	/* 256 KiB */
#define OBJECTS_MIN	8
#define BATCH_BYTES	(32u << 10)
#define BATCH_MAX	256u
#define SHEAF_MAX	2048u
#define BARN_BATCHES	64u
#define EMPTY_MAX	16u

struct kmem_cache kmem_caches[NR_CLASSES];

/* The bitmap must fit in the descriptors behind the first. */
static_assert((PAGE_SIZE << ORDER_MIN) / SIZE_STEP / 8 <=
		      ((1u << ORDER_MIN) - 1) * sizeof(struct page),
	      "bitmap of the smallest objects fits");

/* Bytes that a sheaf and a barn may hold: small objects move more often. */
static const struct cache_limit {
	uint32_t size, sheaf, barn;	/* for objects up to size */
} limits[] = {
	{ 512, 128u << 10, 2u << 20 },
	{ 4096, 64u << 10, 256u << 10 },
	{ SIZE_MAX_SLAB, 32u << 10, 0 },
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
	for (size_t fraction = 16; fraction >= 4; fraction /= 2) {
		for (unsigned o = ORDER_MIN; o <= ORDER_MAX; o++) {
			size_t bytes = PAGE_SIZE << o;

			if (bytes / size >= OBJECTS_MIN && bytes % size <= bytes / fraction)
				return o;
		}
	}
	return ORDER_MAX;
}

void slab_init(void)
{
	for (unsigned class = 1; class <= NR_SIZE_CLASSES; class++) {
		struct kmem_cache *c = &kmem_caches[class];
		uint32_t size = (uint32_t)class_size(class);

		c->size = size;
		c->class = (uint8_t)class;
		c->order = (uint8_t)slab_order(size);
		c->objects = (uint32_t)((PAGE_SIZE << c->order) / size);
		c->magic = (uint32_t)(((1ull << 32) + size - 1) / size);
		c->bucket_magic = (NR_BUCKETS << 16) / c->objects;
		c->batch = (uint16_t)CLAMP(BATCH_BYTES / size, 2u, BATCH_MAX);
		c->sheaf_max = (uint16_t)CLAMP(limit_for(size)->sheaf / size, 2u, SHEAF_MAX);
		fmt_print(c->name, sizeof(c->name), "kmalloc-%u", size);
		c->list_lock = (struct lock)LOCK_INIT(RANK_CACHE);
		c->barn.lock = (struct lock)LOCK_INIT(RANK_BARN);
		c->barn.limit = MIN(limit_for(size)->barn / size, BARN_BATCHES * c->batch);
		for (unsigned b = 0; b < NR_BUCKETS; b++)
			list_init(&c->partial[b]);
		list_init(&c->empty);
	}
}

static unsigned bucket_for(const struct kmem_cache *c, const struct slab *s)
{
	if (!s->inuse)
		return BUCKET_EMPTY;
	if (s->inuse == c->objects)
		return BUCKET_FULL;
	return s->inuse * c->bucket_magic >> 16;
}

static void unlist(struct kmem_cache *c, struct slab *s)
{
	unsigned b = s->bucket;

	if (b == BUCKET_FULL)
		return;
	list_del(&s->node);
	if (b == BUCKET_EMPTY)
		c->nr_empty--;
	else if (list_empty(&c->partial[b]))
		c->bucket_mask &= ~(1u << b);
}

static void enlist(struct kmem_cache *c, struct slab *s, unsigned b)
{
	s->bucket = (uint8_t)b;
	if (b == BUCKET_FULL)
		return;
	if (b == BUCKET_EMPTY) {
		list_add(&s->node, &c->empty);
		c->nr_empty++;
		return;
	}
	list_add(&s->node, &c->partial[b]);
	c->bucket_mask |= 1u << b;
}

static inline void relist(struct kmem_cache *c, struct slab *s)
{
	unsigned b = bucket_for(c, s);

	if (b == s->bucket)
		return;
	unlist(c, s);
	enlist(c, s, b);
}

/* Fullest partial slab, else an empty one, else NULL. */
static struct slab *best_slab(struct kmem_cache *c)
{
	if (c->bucket_mask)
		return list_first(&c->partial[bit_last(c->bucket_mask)], struct slab, node);
	if (!list_empty(&c->empty))
		return list_first(&c->empty, struct slab, node);
	return NULL;
}

static size_t slab_words(const struct kmem_cache *c)
{
	return (c->objects + 63) / 64;
}

/* Bits of the last bitmap word that stand for no object are kept set. */
static uint64_t tail_bits(const struct kmem_cache *c)
{
	return c->objects % 64 ? ~0ull << c->objects % 64 : 0;
}

static struct slab *slab_new(struct kmem_cache *c)
{
	size_t npages = 1ul << c->order;
	struct page *page;
	void *base = page_alloc(npages, npages, &page);
	struct slab *s = (struct slab *)page;

	if (!base)
		return NULL;
	s->state = PG_SLAB;
	s->order = c->order;
	s->class = c->class;
	s->bucket = BUCKET_FULL;	/* on no list yet */
	s->inuse = s->fresh = s->scan = 0;
	s->cache = c;
	s->base = base;
	/* The descriptors may have been first ones of other runs. */
	memset(slab_bitmap(s), 0, slab_words(c) * sizeof(uint64_t));
	slab_bitmap(s)[slab_words(c) - 1] = tail_bits(c);
	page_set_class(base, npages, c->class);
	return s;
}

static void slab_destroy(struct kmem_cache *c, struct slab *s)
{
	void *base = s->base;
	size_t npages = 1ul << c->order;
	size_t written = bytes_pages((size_t)s->fresh * c->size);

	page_set_class(base, npages, CLASS_NONE);
	/* Leave no state behind in descriptors that held the bitmap. */
	slab_bitmap(s)[slab_words(c) - 1] = 0;
	s->cache = NULL;
	page_free(base, npages, MIN(written, npages));
}

/* Into objs[n - 1], objs[n - 2], ... by rising address. */
static size_t slab_take(struct kmem_cache *c, struct slab *s, void **objs, size_t n)
{
	uint64_t *map = slab_bitmap(s);
	char *base = s->base;
	size_t words = slab_words(c), w = s->scan, got = 0;

	for (; w < words; w++) {
		uint64_t spare = ~map[w];

		while (spare && got < n) {
			size_t i = w * 64 + bit_first(spare);

			spare &= spare - 1;
			objs[n - ++got] = base + i * c->size;
			if (i >= s->fresh)
				s->fresh = (uint32_t)i + 1;
		}
		map[w] = ~spare;
		if (spare)
			break;
	}
	s->scan = (uint32_t)w;
	s->inuse += (uint32_t)got;
	return got;
}

size_t slab_alloc(struct kmem_cache *c, void **objs, size_t n)
{
	size_t got = 0;

	lock_acquire(&c->list_lock);
	while (got < n) {
		struct slab *s = best_slab(c);

		if (!s) {
			lock_release(&c->list_lock);
			s = slab_new(c);
			if (!s) {
				lock_acquire(&c->list_lock);
				break;
			}
			lock_acquire(&c->list_lock);
			WRITE_ONCE(c->nr_slabs, c->nr_slabs + 1);
			enlist(c, s, BUCKET_EMPTY);
		}
		size_t k = slab_take(c, s, objs, n - got);

		got += k;
		WRITE_ONCE(c->nr_inuse, c->nr_inuse + k);
		relist(c, s);
	}
	lock_release(&c->list_lock);
	return got;
}

struct slab *slab_of(const void *obj, unsigned class)
{
	return (struct slab *)page_of(addr_pfn(slab_base(&kmem_caches[class], obj)));
}

static __cold_path _Noreturn void bad_free(struct kmem_cache *c, const void *obj, long index)
{
	if (index >= 0)
		bug("double free of %p: object %ld of the slab at %p, cache %s", obj, index,
		    slab_base(c, obj), c->name);
	bug("invalid free of %p: inside of an object of the slab at %p, cache %s", obj,
	    slab_base(c, obj), c->name);
}

/* Clear the object's bit; false: it was clear, or there is no such object. */
static inline bool slab_put(struct slab *s, long i)
{
	uint64_t *word;

	if (unlikely(i < 0))
		return false;
	word = &slab_bitmap(s)[i / 64];
	if (unlikely(!(*word & BITS_MASK(i))))
		return false;
	*word &= ~BITS_MASK(i);
	if ((uint32_t)i / 64 < s->scan)
		s->scan = (uint32_t)i / 64;
	return true;
}

static uint32_t empty_limit(const struct kmem_cache *c)
{
	/* A large slab is as well kept by the buddy, for whoever needs pages. */
	return (uint32_t)CLAMP(c->nr_slabs / 8, c->order == ORDER_MIN, EMPTY_MAX);
}

/* Take the oldest empties off until @keep are left, linked through node.next. */
static struct slab *reap(struct kmem_cache *c, uint32_t keep)
{
	struct slab *dead = NULL;

	while (c->nr_empty > keep) {
		struct slab *s = list_last(&c->empty, struct slab, node);

		unlist(c, s);
		WRITE_ONCE(c->nr_slabs, c->nr_slabs - 1);
		s->node.next = (struct list *)dead;
		dead = s;
	}
	return dead;
}

static void bury(struct kmem_cache *c, struct slab *dead)
{
	while (dead) {
		struct slab *next = (struct slab *)dead->node.next;

		slab_destroy(c, dead);
		dead = next;
	}
}

void slab_free(struct kmem_cache *c, void *const *objs, size_t n)
{
	struct slab *dead;

	lock_acquire(&c->list_lock);
	for (size_t k = 0; k < n;) {
		struct slab *s = slab_of(objs[k], c->class);
		char *base = slab_base(c, objs[k]);
		size_t first = k;

		if (unlikely(!s || s->state != PG_SLAB || s->base != base)) {
			lock_release(&c->list_lock);
			bug("double free of %p: its slab is gone, cache %s", objs[k], c->name);
		}

		/* Neighbours in a batch are mostly of one slab. */
		do {
			long i = slab_index(c, objs[k]);

			if (unlikely(!slab_put(s, i))) {
				lock_release(&c->list_lock);
				bad_free(c, objs[k], i);
			}
		} while (++k < n && slab_base(c, objs[k]) == base);
		s->inuse -= (uint32_t)(k - first);
		WRITE_ONCE(c->nr_inuse, c->nr_inuse - (k - first));
		relist(c, s);
	}
	dead = reap(c, empty_limit(c));
	lock_release(&c->list_lock);
	bury(c, dead);
}

void slab_shrink(struct kmem_cache *c)
{
	struct slab *dead;

	lock_acquire(&c->list_lock);
	dead = reap(c, 0);
	lock_release(&c->list_lock);
	bury(c, dead);
}
