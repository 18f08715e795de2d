/* SPDX-License-Identifier: MIT */
/*
 * Slabs: runs of pages cut into objects of one size.
 *
 * The slab is described by the page descriptors it owns: the first holds
 * struct slab, the others the object bitmap (bit set: the object is out, with
 * the program or in a sheaf or barn). Nothing is kept in the objects.
 *
 *	| page 0 descriptor | page 1 ... page n descriptors     |
 *	| struct slab       | bitmap, one bit per object, ...   |
 *
 * Where objects are made (cache_ops), a second bitmap behind the first says which
 * are: only the thread that has an object out, or destroys its slab, changes its bit.
 *
 * State of a slab, by its counters:
 *	full     inuse == objects            on no list
 *	partial  0 < inuse < objects         on partial[inuse * 8 / objects]
 *	empty    inuse == 0                  on empty; a few stay, others go back
 */
#ifndef STELE_SLAB_SLAB_H
#define STELE_SLAB_SLAB_H

#include "base/list.h"
#include "os/lock.h"
#include "slab/size_class.h"

#define NR_BUCKETS	8	/* partial lists by fullness */
#define SLAB_ORDER_MIN	4	/* 64 KiB */

/* Classes up to here may have sheaves; those behind kmalloc's up to EXTRA_SLOTS objects. */
#define NR_SHEAF_CLASSES 104
#define SHEAF_MAX	8192u
#define EXTRA_SLOTS	256u

enum {
	BUCKET_EMPTY = NR_BUCKETS,
	BUCKET_FULL,
	BUCKET_ISOLATED,	/* taken off its list for a while; see slab_isolate() */
};

struct kmem_cache;
struct track;

/*
 * What some caches want done with their objects; any member may be NULL. No
 * lock of the library is held. @how: enum alloc_flags.
 */
struct cache_ops {
	/* Before an object is handed out for the first time; an errno value or 0. */
	int (*make)(struct kmem_cache *c, void *obj, unsigned how);
	/* Before the memory of an object that was made goes to other uses. */
	void (*unmake)(struct kmem_cache *c, void *obj);
	/* Before an object goes back, whoever frees it; false: it must not. */
	bool (*give_back)(struct kmem_cache *c, void *obj);
	/* Of an object that was taken but not handed out: give_back() will see it. */
	void (*hand_out)(struct kmem_cache *c, void *obj);
};

/* Overlays struct page. Fields below state: the cache's list_lock. */
struct slab {
	uint8_t state, order, class;
	uint8_t bucket;			/* list it is on, or one of those above */
	uint32_t npages;
	struct list node;
	uint32_t inuse;			/* bits set in the bitmap */
	uint32_t fresh;			/* objects from here on were never out */
	uint32_t scan;			/* bitmap words below are all ones */
	uint32_t looked;		/* the latest round that looked for free pages */
	struct kmem_cache *cache;	/* constant while it is a slab */
	void *base;			/* first object; constant */
	uint64_t purged;		/* pages given back, no object on them was out since */
};
static_assert(sizeof(struct slab) == sizeof(struct page), "overlay");
static_assert(offsetof(struct slab, npages) == offsetof(struct page, npages), "overlay");

/* A stack of object pointers shared by all CPUs; see barn.c. */
struct barn {
	struct lock lock;
	void **objs;			/* NULL: never used */
	uint32_t count, room, limit;	/* objects: there, that fit in objs, allowed */
	uint32_t pages;			/* of objs, where it has its own */
	uint32_t taker;			/* who missed last (percpu_self); a hint, racy */
	uint32_t most;			/* objects that the program has held; ditto */
};

struct kmem_cache {
	/* Constant while it is open. */
	uint32_t size;			/* 0: closed */
	uint32_t objects;		/* per slab */
	uint32_t magic;			/* index = offset * magic >> 32 */
	uint32_t bucket_magic;		/* bucket = inuse * bucket_magic >> 16 */
	uint8_t order, class;
	uint16_t batch;			/* objects moved at a time */
	uint16_t sheaf_max;		/* largest capacity of a sheaf */
	bool tracked;			/* its slabs have records */
	char name[17];			/* cut short where it does not fit */
	uint32_t usable;		/* of an object's size: what the program may use */
	uint32_t link;			/* offset of a word that free objects may be linked by */
	const struct cache_ops *ops;	/* NULL: nothing to be done */
	void *owner;			/* whoever opened it knows */

	/* Slab lists: list_lock. */
	struct lock list_lock __cacheline;
	uint32_t bucket_mask;		/* bit b: partial[b] is not empty */
	uint32_t nr_empty;
	size_t nr_slabs;
	size_t nr_inuse;		/* sum of inuse over all slabs */
	size_t nr_purged;		/* pages of slabs that are not in memory */
	struct track *spare_tracks;	/* for the next slab; atomic; see slab_new() */

	/* Of slab_reclaim(); hints that race. */
	size_t freed;			/* bytes since it was called last */
	size_t found, purge_floor;	/* pages in this round; idle ones worth another */
	struct list partial[NR_BUCKETS];
	struct list empty;

	/* caches_lock. */
	uint32_t pins;			/* threads that may have some of it in hand */
	bool closing;			/* nobody new pins it */

	struct barn barn __cacheline;
};
/* Every process writes some of kmalloc's 40. */
static_assert(sizeof(struct kmem_cache) <= 6 * 64, "no page more than need be");

/*
 * The records of a tracked cache's objects: in the last word of the last
 * descriptor, which bitmaps do not reach.
 */
static inline struct track **slab_tracks(const struct kmem_cache *c, struct slab *s)
{
	return (struct track **)(s + (1ul << c->order)) - 1;
}
static_assert((PAGE_SIZE << SLAB_ORDER_MIN) / SIZE_STEP / 8 + sizeof(struct track *) <=
		      ((1u << SLAB_ORDER_MIN) - 1) * sizeof(struct page),
	      "both fit behind the first descriptor");

extern struct kmem_cache kmem_caches[NR_CLASSES];
extern struct lock caches_lock;		/* to open and close further caches */

void slab_init(void);

/*
 * kmalloc's caches are opened when an object is first wanted of them: each page of the table
 * that nobody writes is a page less. False: who may not wait finds the table locked.
 */
bool kmalloc_cache_open(struct kmem_cache *c, bool wait);
static inline bool cache_is_open(struct kmem_cache *c, bool wait)
{
	return likely(load_acquire(&c->size)) || kmalloc_cache_open(c, wait);
}
/* Objects that a sheaf of such a cache may hold, whether it is open or not. */
size_t kmalloc_sheaf_most(unsigned class);

/* The open cache behind @c, NULL: none. */
struct kmem_cache *cache_next(struct kmem_cache *c);
#define for_each_cache(c) \
	for (struct kmem_cache *c = cache_next(kmem_caches); c; c = cache_next(c))

/*
 * The same for who takes objects or slabs of any cache in hand: the one he stands at is
 * pinned, and does not close before he goes on. With no lock held; to the end.
 */
struct kmem_cache *cache_pin_next(struct kmem_cache *c);
#define for_each_cache_pinned(c) \
	for (struct kmem_cache *c = cache_pin_next(kmem_caches); c; c = cache_pin_next(c))

/*
 * A further cache, for objects of @size bytes, up to 1 MiB and a multiple of their
 * alignment. free() finds it by its class like any other. @sheaf_slots: objects that
 * a sheaf of it may hold, 2 to EXTRA_SLOTS (large ones: fewer), or 0 for no sheaves;
 * where all classes that may have them are in use it has none. With @ops that make
 * objects, @size is at least 32. NULL: every class is in use.
 */
struct kmem_cache *cache_open(const char *name, size_t size, size_t sheaf_slots,
			      const struct cache_ops *ops, void *owner);
/* Wait for those who have pinned it, and let nobody else; until cache_close(). */
void cache_settle(struct kmem_cache *c);
/*
 * Give back all that it caches; false: objects are out, it stays open. With no lock
 * held: objects are unmade on the way.
 */
bool cache_close(struct kmem_cache *c);
/* In a child of fork: those who had pinned caches are gone. */
void caches_fork_child(void);

/*
 * Take up to @n objects into the end of objs[0..n): returns how many, fewer only
 * when there is no memory. The last has the lowest address of its slab: it is
 * the one to hand out first.
 */
size_t slab_alloc(struct kmem_cache *c, void **objs, size_t n, unsigned how);

/* Give objects back. A bad or doubly freed one is reported, then abort. */
void slab_free(struct kmem_cache *c, void *const *objs, size_t n);
/* The same, but empty slabs wait for a slab_free() or a slab_shrink(). */
void slab_free_keep(struct kmem_cache *c, void *const *objs, size_t n);
/* The same for who can neither wait nor enter the kernel; false: nothing was done. */
bool slab_try_free(struct kmem_cache *c, void *const *objs, size_t n);

/* Up to @max objects that are out, into @objs; returns how many there are. Slow. */
size_t slab_find_out(struct kmem_cache *c, void **objs, size_t max);

/* Return empty slabs to the buddy. */
void slab_shrink(struct kmem_cache *c);
/*
 * Records of a new slab, all zero; NULL: no memory. Given back again: of a slab that is
 * gone, or could not be had. What was left then goes before the cache is another's.
 */
struct track *slab_tracks_new(struct kmem_cache *c, unsigned how);
void slab_tracks_drop(struct kmem_cache *c, struct track *t, unsigned how);
void slab_free_spare(struct kmem_cache *c);

/*
 * The next partial slab that this round has not looked at yet, taken off its list:
 * nothing will be allocated from it, while objects may still be freed. NULL: that
 * was all of them. slab_put_back() ends it.
 */
struct slab *slab_isolate(struct kmem_cache *c, uint32_t round);
void slab_put_back(struct kmem_cache *c, struct slab *s, uint64_t purged);

/*
 * Give back the pages of partial slabs that no object in use lies on; slab_purge.c.
 * Returns how many.
 */
size_t slab_purge(struct kmem_cache *c);

/*
 * Objects worth SLAB_RECLAIM_STEP were freed in a cache of kmalloc's: if more than the
 * watermark lies free in slabs and zones, give some back, of the emptiest slabs.
 */
#define SLAB_RECLAIM_STEP	(1ul << 20)
void slab_reclaim(struct kmem_cache *c);

/* The slab that holds @obj, which must lie in a page of class @class. */
struct slab *slab_of(const void *obj, unsigned class);
static inline void *slab_base(const struct kmem_cache *c, const void *obj)
{
	return (void *)ALIGN_DOWN((uintptr_t)obj, PAGE_SIZE << c->order);
}

/* Index of the object, or -1 when @obj is not the start of one. */
static inline long slab_index(const struct kmem_cache *c, const void *obj)
{
	size_t off = (uintptr_t)obj & ((PAGE_SIZE << c->order) - 1);
	size_t i = off * c->magic >> 32;

	return i * c->size == off && i < c->objects ? (long)i : -1;
}

/* A slab object's start? Sheaves take what they are given; free() must not. */
static inline bool is_object(unsigned class, const void *p)
{
	return slab_index(&kmem_caches[class], p) >= 0;
}

/* The pages from the one of byte @from to that of byte @to, as bits of slab->purged. */
static inline uint64_t slab_page_mask(size_t from, size_t to)
{
	return bits_span(from / PAGE_SIZE, to / PAGE_SIZE + 1);
}

static inline uint64_t *slab_bitmap(struct slab *s)
{
	return (uint64_t *)(s + 1);
}

/* Is this object of @c with the program, in a sheaf or barn? */
static inline bool slab_is_out(const struct kmem_cache *c, const void *obj)
{
	return bits_test(slab_bitmap(slab_of(obj, c->class)), (size_t)slab_index(c, obj));
}

#endif
