/* SPDX-License-Identifier: MIT */
/*
 * The slab layer.
 *
 * 1. Allocation takes from the fullest partial slab, lowest address first, so
 *    that the emptiest drain and go back to the buddy.
 *
 * 2. Freeing verifies each pointer against the bitmap: off the grid is an
 *    invalid free, a clear bit a double free.
 *
 * 3. Locking. list_lock per cache. Page calls are made without it: a new slab
 *    is private until it is put on a list, a dying one once it is off. A bug
 *    is reported without it too, as abort handlers may allocate.
 *
 * Invariant: sum of inuse == nr_inuse == objects with the program, in sheaves
 * and in the barn of the cache.
 */
#include "slab/slab.h"

#include <string.h>

#include "base/bits.h"
#include "debug/track.h"
#include "os/bug.h"
#include "os/thread.h"
#include "page/aside.h"
#include "page/section.h"
#include "page/task.h"
#include "slab/badptr.h"
#include "slab/deferred.h"
#include "slab/units.h"

#define EMPTY_MAX	16u
#define FETCH_MOST	16u

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

	if (b == s->bucket || s->bucket == BUCKET_ISOLATED)
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

static bool makes_objects(const struct kmem_cache *c)
{
	return c->ops && c->ops->make;
}

static uint64_t *made_bitmap(const struct kmem_cache *c, struct slab *s)
{
	return slab_bitmap(s) + slab_words(c);
}

static struct slab *slab_new(struct kmem_cache *c, unsigned how)
{
	size_t npages = 1ul << c->order;
	struct page *page;
	struct track *tracks = NULL;
	struct slab *s;
	void *base;

	if (c->tracked) {
		tracks = slab_tracks_new(c, how);
		if (!tracks)
			return NULL;
	}
	base = page_alloc_class(npages, npages, c->class, how, &page);
	if (!base) {
		if (tracks)
			slab_tracks_drop(c, tracks, how);
		return NULL;
	}
	s = (struct slab *)page;
	if (tracks) {
		*slab_tracks(c, s) = tracks;
		unit_set(c, base, tracks, how & ALLOC_WAIT);
	}
	s->order = c->order;
	s->class = c->class;
	s->bucket = BUCKET_FULL;	/* on no list yet */
	s->inuse = s->fresh = s->scan = s->looked = 0;
	s->purged = 0;
	s->cache = c;
	s->base = base;
	/* The descriptors may have been first ones of other runs. */
	memset(slab_bitmap(s), 0, slab_words(c) * sizeof(uint64_t));
	slab_bitmap(s)[slab_words(c) - 1] = tail_bits(c);
	if (makes_objects(c))
		memset(made_bitmap(c, s), 0, slab_words(c) * sizeof(uint64_t));
	/* A walker of all slabs looks at no other. */
	store_release(&s->state, PG_SLAB);
	return s;
}

static void unmake_all(struct kmem_cache *c, struct slab *s)
{
	const uint64_t *made = made_bitmap(c, s);

	for (size_t i = 0; (i = bits_next(made, i, c->objects, true)) < c->objects; i++)
		c->ops->unmake(c, (char *)s->base + i * c->size);
}

static void slab_destroy(struct kmem_cache *c, struct slab *s)
{
	if (makes_objects(c) && c->ops->unmake)
		unmake_all(c, s);

	void *base = s->base;
	size_t npages = 1ul << c->order;
	size_t written = MIN(bytes_pages((size_t)s->fresh * c->size), npages);

	if (c->tracked)
		unit_set(c, base, NULL, false);
	page_set_class(base, npages, CLASS_NONE);
	/* Leave no state behind in descriptors that held the bitmap. */
	slab_bitmap(s)[slab_words(c) - 1] = 0;
	s->cache = NULL;
	if (!c->tracked && !s->purged && aside_put(base, (struct page *)s, written))
		return;
	if (c->tracked)
		slab_tracks_drop(c, *slab_tracks(c, s), ALLOC_NORMAL);
	if (unlikely(s->purged))
		page_free_mapped(base, npages, bits_span(0, written) & ~s->purged, s->purged);
	else
		page_free(base, npages, written);
}

/* Objects that go out, the @bits of bitmap word @w, make their pages resident. */
static __cold_path void use_pages(struct kmem_cache *c, struct slab *s, size_t w, uint64_t bits)
{
	for (; bits; bits &= bits - 1) {
		size_t i = w * 64 + bit_first(bits);
		uint64_t pages = s->purged & slab_page_mask(i * c->size, (i + 1) * c->size - 1);

		s->purged &= ~pages;
		WRITE_ONCE(c->nr_purged, c->nr_purged - (size_t)__builtin_popcountll(pages));
	}
}

/* Into objs[n - 1], objs[n - 2], ... by rising address. */
static size_t slab_take(struct kmem_cache *c, struct slab *s, void **objs, size_t n)
{
	const size_t words = slab_words(c), size = c->size;
	uint64_t *map = slab_bitmap(s);
	size_t w = s->scan, left = n, last = 0;

	for (; w < words; w++) {
		const uint64_t free = ~map[w];
		char *first = (char *)s->base + w * 64 * size;
		uint64_t spare = free;

		/* Nothing of it is out: so it is with what was fresh or freed as a whole. */
		if (spare == ~0ull && left >= 64) {
			for (unsigned i = 0; i < 64; i++, first += size)
				objs[--left] = first;
			last = w * 64 + 63;
			spare = 0;
		}
		while (spare && left) {
			last = w * 64 + bit_first(spare);
			objs[--left] = first + bit_first(spare) * size;
			spare &= spare - 1;
		}
		map[w] = ~spare;
		if (unlikely(s->purged))
			use_pages(c, s, w, free & ~spare);
		if (spare)
			break;
	}
	if (left < n)
		s->fresh = MAX(s->fresh, (uint32_t)last + 1);
	s->scan = (uint32_t)w;
	s->inuse += (uint32_t)(n - left);
	return n - left;
}

static size_t take_objects(struct kmem_cache *c, void **objs, size_t n, unsigned how)
{
	bool wait = how & ALLOC_WAIT;
	size_t got = 0;

	if (!cache_is_open(c, wait) || !lock_enter(&c->list_lock, wait))
		return 0;
	while (got < n) {
		struct slab *s = best_slab(c);

		if (!s) {
			/* Who only tries might not get the lock back, and keeps it. */
			if (wait)
				lock_release(&c->list_lock);
			s = slab_new(c, how);
			if (wait)
				lock_acquire(&c->list_lock);
			if (!s)
				break;
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

/* How many of the @n objects, the last ones, are made or could be. */
static __cold_path size_t make_objects(struct kmem_cache *c, void **objs, size_t n, unsigned how)
{
	for (size_t k = n; k-- > 0;) {
		struct slab *s = slab_of(objs[k], c->class);
		long i = slab_index(c, objs[k]);
		uint64_t *word = &made_bitmap(c, s)[i / 64];
		int err;

		if (__atomic_load_n(word, __ATOMIC_RELAXED) & BITS_MASK(i))
			continue;
		err = c->ops->make(c, objs[k], how);
		if (err) {
			/* One that cannot be made: no more of them now. */
			if (how & ALLOC_WAIT)
				slab_free_keep(c, objs, k + 1);
			else if (!slab_try_free(c, objs, k + 1))
				deferred_free(objs, k + 1);
			current_task.make_error = (uint16_t)err;
			return n - k - 1;
		}
		__atomic_fetch_or(word, BITS_MASK(i), __ATOMIC_RELAXED);
	}
	return n;
}

size_t slab_alloc(struct kmem_cache *c, void **objs, size_t n, unsigned how)
{
	size_t got = take_objects(c, objs, n, how);

	if (unlikely(got && makes_objects(c)))
		got = make_objects(c, objs + n - got, got, how);
	return got;
}

struct slab *slab_of(const void *obj, unsigned class)
{
	return (struct slab *)page_in_use(slab_base(&kmem_caches[class], obj));
}

static uint32_t empty_limit(const struct kmem_cache *c)
{
	/* A large slab is as well kept by the buddy, for whoever needs pages. */
	return (uint32_t)CLAMP(c->nr_slabs / 8, c->order == SLAB_ORDER_MIN, EMPTY_MAX);
}

/* The program's destructors are not for threads of ours, which libc knows nothing of. */
static bool may_unmake(const struct kmem_cache *c)
{
	return likely(!c->ops || !c->ops->unmake) || !os_thread_is_own();
}

/* Take the oldest empties off until @keep are left, linked through node.next. */
static struct slab *reap(struct kmem_cache *c, uint32_t keep)
{
	struct slab *dead = NULL;

	if (!may_unmake(c))
		return NULL;
	while (c->nr_empty > keep) {
		struct slab *s = list_last(&c->empty, struct slab, node);

		unlist(c, s);
		WRITE_ONCE(c->nr_purged, c->nr_purged - (size_t)__builtin_popcountll(s->purged));
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

/* The slabs that a batch meets are few, but may come in any order. */
#define SEEN	16
struct seen {
	char *base;		/* NULL: none yet */
	struct slab *slab;
};

static inline struct slab *see_slab(struct kmem_cache *c, struct seen *seen, const void *obj)
{
	char *base = slab_base(c, obj);
	struct seen *at = &seen[((uintptr_t)base >> (PAGE_SHIFT + SLAB_ORDER_MIN)) % SEEN];

	if (at->base != base) {
		struct slab *s = slab_of(obj, c->class);

		if (unlikely(!s || s->state != PG_SLAB || s->base != base)) {
			lock_release(&c->list_lock);
			bug("double free of %p: its slab is gone, cache %s", obj, c->name);
		}
		*at = (struct seen){ base, s };
	}
	return at->slab;
}

/* With list_lock held; it goes first, as abort handlers may allocate. */
static __cold_path _Noreturn void bad_put(struct kmem_cache *c, const void *obj)
{
	lock_release(&c->list_lock);
	bad_object(c, obj, slab_index(c, obj));
}

/*
 * The first of @objs, and those behind it that lie in the same slab: how many. Neighbours
 * share a word of the bitmap, which stays in a register meanwhile: each of them would else
 * wait until the one before has stored it.
 */
static size_t put_run(struct kmem_cache *c, struct slab *s, void *const *objs, size_t n)
{
	/* slab_index() by hand, for the same reason. */
	const size_t size = c->size, magic = c->magic, bytes = c->objects * size;
	uint64_t *map = slab_bitmap(s), word, rest;
	uintptr_t base = (uintptr_t)s->base;
	size_t k = 0, off = (uintptr_t)objs[0] - base, w = off * magic >> 32 >> 6, low = w;

	if (unlikely(off >= bytes))
		bad_put(c, objs[0]);
	word = map[w];
	do {
		size_t i = off * magic >> 32;

		if (i / 64 != w) {
			map[w] = word;
			w = i / 64;
			low = MIN(low, w);
			word = map[w];
		}
		rest = word & ~BITS_MASK(i);
		if (unlikely(i * size != off || rest == word)) {
			map[w] = word;
			bad_put(c, objs[k]);
		}
		word = rest;
	} while (++k < n && (off = (uintptr_t)objs[k] - base) < bytes);
	map[w] = word;
	s->scan = MIN(s->scan, (uint32_t)low);
	s->inuse -= (uint32_t)k;
	return k;
}

/* With list_lock held; on a bad pointer without it. */
static void put_objects(struct kmem_cache *c, void *const *objs, size_t n)
{
	struct seen seen[SEEN] = { { NULL, NULL } };

	for (size_t k = 0; k < n;) {
		struct slab *s = see_slab(c, seen, objs[k]);

		k += put_run(c, s, objs + k, n - k);
		relist(c, s);
	}
	WRITE_ONCE(c->nr_inuse, c->nr_inuse - n);
}

/* Descriptors and bitmaps may be in no near cache: of a small batch, fetch all at once. */
static void fetch_slabs(const struct kmem_cache *c, void *const *objs, size_t n)
{
	for (size_t k = 0; k < n && n <= FETCH_MOST; k++) {
		struct slab *s = (struct slab *)page_near(slab_base(c, objs[k]));

		if (unlikely(!s))
			break;
		__builtin_prefetch(s, 1);
		__builtin_prefetch(slab_bitmap(s) + slab_index(c, objs[k]) / 64, 1);
	}
}

void slab_free(struct kmem_cache *c, void *const *objs, size_t n)
{
	struct slab *dead;

	fetch_slabs(c, objs, n);
	lock_acquire(&c->list_lock);
	put_objects(c, objs, n);
	dead = reap(c, empty_limit(c));
	lock_release(&c->list_lock);
	bury(c, dead);
}

void slab_free_keep(struct kmem_cache *c, void *const *objs, size_t n)
{
	lock_acquire(&c->list_lock);
	put_objects(c, objs, n);
	lock_release(&c->list_lock);
}

bool slab_try_free(struct kmem_cache *c, void *const *objs, size_t n)
{
	if (!lock_try_quiet(&c->list_lock))
		return false;
	put_objects(c, objs, n);
	lock_release(&c->list_lock);
	return true;
}

/* Slabs that were looked at go to the head of their list, so the others are at its tail. */
__far struct slab *slab_isolate(struct kmem_cache *c, uint32_t round)
{
	struct slab *s = NULL;

	if (!load_acquire(&c->size))
		return NULL;
	lock_acquire(&c->list_lock);
	for (unsigned b = 0; b < NR_BUCKETS && !s; b++) {
		if (list_empty(&c->partial[b]))
			continue;
		s = list_last(&c->partial[b], struct slab, node);
		if (s->looked == round)
			s = NULL;
	}
	if (s) {
		unlist(c, s);
		s->bucket = BUCKET_ISOLATED;
		s->looked = round;
	}
	lock_release(&c->list_lock);
	return s;
}

__far void slab_put_back(struct kmem_cache *c, struct slab *s, uint64_t purged)
{
	lock_acquire(&c->list_lock);
	s->purged |= purged;
	WRITE_ONCE(c->nr_purged, c->nr_purged + (size_t)__builtin_popcountll(purged));
	enlist(c, s, bucket_for(c, s));
	lock_release(&c->list_lock);
}

void slab_shrink(struct kmem_cache *c)
{
	struct slab *dead;

	lock_acquire(&c->list_lock);
	dead = reap(c, 0);
	lock_release(&c->list_lock);
	bury(c, dead);
}
