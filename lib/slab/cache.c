/* SPDX-License-Identifier: MIT */
/*
 * Caches of the program: creation and destruction.
 *
 * 1. A handle is what the program has of a cache. Handles lie in pages that are
 *    never given back and are used again as late as can be, so that a handle that
 *    is used after its cache was destroyed can mostly be told.
 *
 * 2. Behind a handle stands a cache of the slab layer (caches.c) with pages and
 *    sheaves of its own; it is the one that free() finds. When no class is left, the
 *    handle is merged with kmalloc.
 *
 * 3. Objects are made (the program's constructor) when the slab layer hands them
 *    out for the first time, and unmade before their slab goes back, by whoever
 *    causes that, under no lock.
 *
 *	HANDLE_NONE -> create -> ALIVE -> destroy -> DYING -> NONE
 *	                           ^--- objects are out ---'
 *
 * 4. Destruction first lets nobody in by the hit path (class 0), then drains, then
 *    closes the cache, whose id may then be used by the next.
 *
 * Locking: handle_lock for the list of unused handles.
 */
#include "slab/cache.h"

#include <errno.h>

#include "base/bits.h"
#include "base/fmt.h"
#include "os/bug.h"
#include "os/foreign.h"
#include "os/os.h"
#include "slab/barn.h"
#include "slab/budget.h"
#include "slab/deferred.h"
#include "slab/percpu.h"
#include "slab/tracked.h"

#define CACHE_LINE	64
#define MADE_SIZE_MIN	32	/* with room for the second bitmap of a slab */
#define LEAKS_SHOWN	10
#define NAPS_MAX	20000u

struct lock handle_lock = LOCK_INIT(RANK_HANDLE);
static struct stele_kmem_cache *unused, **unused_end = &unused;

static struct stele_kmem_cache *handle_get(void)
{
	struct stele_kmem_cache *h;

	lock_acquire(&handle_lock);
	if (!unused) {
		struct stele_kmem_cache *page = page_alloc_meta(1);

		for (size_t i = 0; page && i < PAGE_SIZE / sizeof(*page); i++) {
			*unused_end = &page[i];
			unused_end = &page[i].next;
		}
	}
	h = unused;
	if (h) {
		unused = h->next;
		if (!unused)
			unused_end = &unused;
	}
	lock_release(&handle_lock);
	return h;
}

static void handle_put(struct stele_kmem_cache *h)
{
	lock_acquire(&handle_lock);
	h->next = NULL;
	store_release(&h->state, HANDLE_NONE);
	*unused_end = h;
	unused_end = &h->next;
	lock_release(&handle_lock);
}

static __cold_path void not_alive(const struct stele_kmem_cache *h, const char *call,
				  const void *caller)
{
	if (!h)
		warn("%s: NULL for a cache, called from %pS", call, caller);
	else
		warn("%s: %p is no cache, or was destroyed (last known as %s), called from %pS",
		     call, (const void *)h, h->name[0] ? h->name : "nothing", caller);
	errno = EINVAL;
}

bool handle_check(const struct stele_kmem_cache *h, const char *call, const void *caller)
{
	if (likely(h && load_acquire(&h->state) == HANDLE_ALIVE))
		return true;
	not_alive(h, call, caller);
	return false;
}

/* ---- what the slab layer asks of a cache ---- */

int cache_make_error(int err)
{
	return err < 0 && err >= -4095 ? -err : ENOMEM;
}

static int make(struct kmem_cache *c, void *obj, unsigned how)
{
	struct stele_kmem_cache *h = c->owner;
	int err = 0;

	if (h->ctor)
		h->ctor(obj);
	else if (h->init)
		err = h->init(obj, h->data, how & ALLOC_WAIT ? STELE_GFP_KERNEL :
							       STELE_GFP_NOWAIT);
	if (err)
		return cache_make_error(err);
	if (h->ctor || h->init)
		__atomic_add_fetch(&h->nr_ctor, 1, __ATOMIC_RELAXED);
	if (h->flags & SLAB_DEBUG_FLAGS)
		debug_make(h, obj);
	return 0;
}

static void unmake(struct kmem_cache *c, void *obj)
{
	struct stele_kmem_cache *h = c->owner;

	if (!h->dtor)
		return;
	h->dtor(obj, h->data);
	__atomic_add_fetch(&h->nr_dtor, 1, __ATOMIC_RELAXED);
}

/* By free(): kmem_cache_free() has its own way. */
static bool give_back(struct kmem_cache *c, void *obj)
{
	struct stele_kmem_cache *h = c->owner;

	if (h->flags & SLAB_DEBUG_FLAGS)
		debug_return(h, obj, NULL);
	if (h->flags & STELE_SLAB_ACCOUNT)
		budget_uncharge(obj);
	return true;
}

static void hand_out(struct kmem_cache *c, void *obj)
{
	struct stele_kmem_cache *h = c->owner;

	if (h->flags & SLAB_DEBUG_FLAGS)
		debug_leave(h, obj, NULL);
}

static const struct cache_ops made_ops = { make, unmake, NULL, NULL };
static const struct cache_ops charged_ops = { NULL, NULL, give_back, NULL };
static const struct cache_ops all_ops = { make, unmake, give_back, hand_out };

static bool is_made(const struct stele_kmem_cache_args *a)
{
	return a->ctor || a->init || a->dtor;
}

static const struct cache_ops *ops_for(const struct stele_kmem_cache_args *a)
{
	if (a->flags & SLAB_DEBUG_FLAGS)
		return &all_ops;
	if (is_made(a))
		return a->flags & STELE_SLAB_ACCOUNT ? &all_ops : &made_ops;
	return a->flags & STELE_SLAB_ACCOUNT ? &charged_ops : NULL;
}

/* ---- creation ---- */

static const char *wrong(const struct stele_kmem_cache_args *a)
{
	if (!a->size || a->size > STELE_SLAB_SIZE_MAX)
		return "object size";
	if (a->align && (!is_pow2(a->align) || a->align > STELE_SLAB_ALIGN_MAX))
		return "alignment";
	if (a->flags & ~STELE_SLAB_ALL)
		return "flags";
	if (a->ctor && a->init)
		return "two constructors";
	return NULL;
}

static size_t alignment(const struct stele_kmem_cache_args *a)
{
	size_t align = MAX(a->align, (size_t)SIZE_STEP);

	if (a->flags & STELE_SLAB_HWCACHE_ALIGN) {
		size_t line = CACHE_LINE;

		/* Several small ones may share a line. */
		while (line > SIZE_STEP && a->size <= line / 2)
			line /= 2;
		align = MAX(align, line);
	}
	return align;
}

static struct kmem_cache *open_behind(struct stele_kmem_cache *h,
				      const struct stele_kmem_cache_args *a)
{
	struct debug_layout d = debug_layout(h->size, h->flags | (is_made(a) ? SLAB_LINK : 0));
	const struct cache_ops *ops = ops_for(a);
	size_t slots = a->sheaf_capacity ? CLAMP(a->sheaf_capacity, 2u, EXTRA_SLOTS) : EXTRA_SLOTS;
	size_t stride = ALIGN_UP((size_t)d.end, h->align);
	struct kmem_cache *c;

	if (ops && ops->make)
		stride = MAX(stride, ALIGN_UP((size_t)MADE_SIZE_MIN, h->align));
	if (a->flags & (SLAB_DEBUG_FLAGS | STELE_SLAB_ACCOUNT))
		slots = 0;
	c = cache_open(h->name, stride, slots, ops, h);
	if (!c)
		return NULL;
	c->link = d.link;
	c->tracked = track_on;
	/* What lies behind the object is not the program's. */
	if (d.end > a->size)
		c->usable = (uint32_t)a->size;
	return c;
}

struct stele_kmem_cache *handle_create(const char *name, const struct stele_kmem_cache_args *a,
				       const char *call, const void *caller)
{
	const char *what = wrong(a);
	struct stele_kmem_cache *h = NULL;
	int err = EINVAL;

	if (!name)
		name = "unnamed";
	if (what)
		warn("%s: cache %s: bad %s (size %lu, align %lu, flags %x), called from %pS", call,
		     name, what, (unsigned long)a->size, (unsigned long)a->align, a->flags,
		     caller);
	if (!what) {
		h = handle_get();
		err = ENOMEM;
	}
	if (!h) {
		if (a->flags & STELE_SLAB_PANIC)
			bug("%s: cannot create cache %s, called from %pS", call, name, caller);
		errno = err;
		return NULL;
	}
	*h = (struct stele_kmem_cache){
		.size = (uint32_t)a->size, .align = (uint32_t)alignment(a), .flags = a->flags,
		.ctor = a->ctor, .init = a->init, .dtor = a->dtor, .data = a->data,
	};
	/* What is made would not stay so. */
	if (is_made(a))
		h->flags &= ~STELE_SLAB_POISON;
	fmt_print(h->name, sizeof(h->name), "%s", name);
	/* Where libc serves this process there are no slabs. */
	h->cache = foreign_all ? NULL : open_behind(h, a);
	if (h->cache && h->cache->sheaf_max)
		WRITE_ONCE(h->class, h->cache->class);
	store_release(&h->state, HANDLE_ALIVE);
	return h;
}

/* ---- destruction ---- */

/* With no lock held: objects are unmade on the way. */
static void drain(struct kmem_cache *c)
{
	if (deferred_any())
		deferred_drain();
	percpu_close_class(c->class);
	barn_drain(c);
	slab_shrink(c);
}

#define FRAMES_SHOWN	8

/* By whom it was allocated, where blocks are tracked (leak=): return addresses. */
static void report_stack(void *obj)
{
	struct track record = tracked_take(obj);
	uintptr_t pcs[STACK_DEPTH_MAX];
	size_t n = stack_get(record.stack, pcs, NULL);

	tracked_put(obj, record);
	for (size_t i = 0; i < MIN(n, (size_t)FRAMES_SHOWN); i++)
		warn("  allocated at %p", (void *)pcs[i]);
}

static __cold_path void report_leaks(struct stele_kmem_cache *h, const void *caller)
{
	void *objs[LEAKS_SHOWN];
	size_t n = slab_find_out(h->cache, objs, LEAKS_SHOWN);
	char who[96];

	warn("kmem_cache_destroy: cache %s: %lu objects are still out, called from %pS", h->name,
	     (unsigned long)n, caller);
	for (size_t i = 0; i < MIN(n, (size_t)LEAKS_SHOWN); i++) {
		debug_who(h, objs[i], who, sizeof(who));
		warn("cache %s: object %p, %u bytes%s", h->name, objs[i], h->size, who);
		if (track_on)
			report_stack(objs[i]);
	}
}

/*
 * Objects that are out may be in the hands of a thread that frees what was put
 * aside. It may be stuck in a destructor, or be this one: not for ever.
 */
static void await_drainers(struct kmem_cache *c)
{
	for (unsigned n = 0; READ_ONCE(c->nr_inuse) && deferred_in_hand() && n < NAPS_MAX; n++) {
		os_nap(NAP_US);
		drain(c);
	}
}

static bool close_behind(struct stele_kmem_cache *h, const void *caller)
{
	uint32_t class = h->class;

	/* Whoever is in a sequence now has read the class before: that is a bug of his. */
	WRITE_ONCE(h->class, 0);
	cache_settle(h->cache);
	drain(h->cache);
	await_drainers(h->cache);
	if (READ_ONCE(h->cache->nr_inuse))
		report_leaks(h, caller);
	if (cache_close(h->cache))
		return true;
	WRITE_ONCE(h->class, class);
	return false;
}

static bool close_merged(struct stele_kmem_cache *h, const void *caller)
{
	uint64_t n = READ_ONCE(h->nr_merged);

	if (n)
		warn("kmem_cache_destroy: cache %s: %lu objects are still out, called from %pS",
		     h->name, (unsigned long)n, caller);
	return !n;
}

int handle_destroy(struct stele_kmem_cache *h, const void *caller)
{
	uint32_t alive = HANDLE_ALIVE;

	if (!h)
		return 0;
	if (!__atomic_compare_exchange_n(&h->state, &alive, HANDLE_DYING, false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		not_alive(h, "kmem_cache_destroy", caller);
		return -EINVAL;
	}
	if (!(h->cache ? close_behind(h, caller) : close_merged(h, caller))) {
		store_release(&h->state, HANDLE_ALIVE);
		return -EBUSY;
	}
	handle_put(h);
	return 0;
}

int handle_shrink(struct stele_kmem_cache *h, const void *caller)
{
	struct kmem_cache *c;

	if (!handle_check(h, "kmem_cache_shrink", caller))
		return 1;
	c = h->cache;
	if (!c)
		return READ_ONCE(h->nr_merged) != 0;
	drain(c);
	if (c->sheaf_max)
		percpu_open_class(c->class);
	return READ_ONCE(c->nr_slabs) != 0;
}

void handle_info(struct stele_kmem_cache *h, struct stele_kmem_cache_info *info)
{
	struct kmem_cache *c = h->cache;

	*info = (struct stele_kmem_cache_info){
		.name = h->name, .object_size = h->size,
		.ctor_calls = READ_ONCE(h->nr_ctor), .dtor_calls = READ_ONCE(h->nr_dtor),
		.merged = !c,
	};
	if (!c) {
		info->size = h->size;
		info->active_objs = info->total_objs = READ_ONCE(h->nr_merged);
		return;
	}
	info->size = c->size;
	info->objs_per_slab = c->objects;
	info->pages_per_slab = 1ul << c->order;
	info->cached_objs = percpu_count(c->class) + READ_ONCE(c->barn.count);
	info->cached_objs = MIN(info->cached_objs, READ_ONCE(c->nr_inuse));
	info->active_objs = READ_ONCE(c->nr_inuse) - info->cached_objs;
	info->nr_slabs = READ_ONCE(c->nr_slabs);
	info->total_objs = info->nr_slabs * c->objects;
}
