/* SPDX-License-Identifier: MIT */
/*
 * Caches of the program: objects, one by one, in bulk, and set aside in sheaves.
 * Only misses come here; the hit paths are in shell/kapi_cache.c.
 *
 * Locking: none of its own.
 */
#include <errno.h>
#include <string.h>

#include "os/bug.h"
#include "page/fault.h"
#include "page/section.h"
#include "page/task.h"
#include "slab/badptr.h"
#include "slab/barn.h"
#include "slab/budget.h"
#include "slab/cache.h"
#include "slab/gfp.h"
#include "slab/kmalloc.h"
#include "slab/mirror.h"
#include "slab/percpu.h"
#include "slab/tracked.h"

static struct request request_for(const struct stele_kmem_cache *h, const char *call,
				  const void *caller)
{
	return (struct request){ .call = call, .caller = caller, .size = h->size,
				 .align = h->align, .cache = h->cache };
}

static bool has_checks(const struct stele_kmem_cache *h)
{
	return h->flags & SLAB_DEBUG_FLAGS;
}

/* An object of a cache that has none of its own: made here, and each time. */
static void *alloc_merged(struct stele_kmem_cache *h, const struct request *r, stele_gfp_t gfp)
{
	void *p = gfp_alloc_plain(r, gfp & ~STELE_GFP_ACCOUNT);
	int err = 0;

	if (!p)
		return NULL;
	if (h->ctor)
		h->ctor(p);
	else if (h->init)
		err = h->init(p, h->data, gfp);
	if (err) {
		if (gfp & STELE_GFP_DIRECT_RECLAIM)
			kfree(p);
		else
			kfree_quiet(p);
		errno = cache_make_error(err);
		return NULL;
	}
	__atomic_add_fetch(&h->nr_ctor, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&h->nr_merged, 1, __ATOMIC_RELAXED);
	return p;
}

void *handle_alloc(struct stele_kmem_cache *h, stele_gfp_t gfp, const char *call,
		   const void *caller)
{
	struct request r;
	void *p;

	if (unlikely(!handle_check(h, call, caller)))
		return NULL;
	/* Where the hit path is closed this is it. */
	if (likely(h->class && gfp <= GFP_HIT && !READ_ONCE(fault_armed) && !track_on)) {
		p = percpu_pop_how(h->class, !(gfp & STELE_GFP_DIRECT_RECLAIM));
		if (likely(p))
			return p;
	}
	r = request_for(h, call, caller);
	if (unlikely(gfp & STELE_GFP_ZERO && (h->ctor || h->init)))
		return gfp_invalid(&r, "__GFP_ZERO would undo the constructor");
	if (unlikely(!h->cache))
		return alloc_merged(h, &r, gfp);
	if (h->flags & STELE_SLAB_ACCOUNT && current_task.budget)
		p = budget_alloc(&r, gfp & ~STELE_GFP_ZERO);
	else
		p = gfp_alloc_plain(&r, gfp & ~(STELE_GFP_ZERO | STELE_GFP_ACCOUNT));
	if (!p)
		return NULL;
	if (unlikely(has_checks(h)))
		debug_leave(h, p, caller);
	if (unlikely(track_on))
		tracked_record(p, h->size, gfp & STELE_GFP_DIRECT_RECLAIM);
	return gfp & STELE_GFP_ZERO ? memset(p, 0, h->size) : p;
}

/* ---- the way back ---- */

static __cold_path void wrong_cache(struct stele_kmem_cache *h, const void *obj, const char *call,
				    const void *caller)
{
	unsigned class = class_of(obj);
	const char *is = "no object of a cache";

	if (class != CLASS_NONE && class != CLASS_LARGE)
		is = kmem_caches[class].name;
	warn("%s: %p is not of cache %s but of %s, called from %pS", call, obj, h->name, is,
	     caller);
	errno = EINVAL;
}

static void free_merged(struct stele_kmem_cache *h, void *obj, bool quiet)
{
	if (h->dtor) {
		h->dtor(obj, h->data);
		__atomic_add_fetch(&h->nr_dtor, 1, __ATOMIC_RELAXED);
	}
	__atomic_sub_fetch(&h->nr_merged, 1, __ATOMIC_RELAXED);
	if (quiet)
		kfree_quiet(obj);
	else
		kfree(obj);
}

static bool belongs(const struct stele_kmem_cache *h, const void *obj)
{
	unsigned class = class_of(obj);

	if (h->cache)
		return class == h->cache->class;
	/* kmalloc's blocks: of its size they must be. */
	if (class == CLASS_NONE || class == CLASS_LARGE)
		return ksize(obj) >= h->size;
	return (class <= NR_SIZE_CLASSES || mirror_for(h->size, h->align) == &kmem_caches[class]) &&
	       kmem_caches[class].size >= h->size;
}

void handle_free(struct stele_kmem_cache *h, void *obj, bool quiet, const char *call,
		 const void *caller)
{
	if (!obj || unlikely(!handle_check(h, call, caller)))
		return;
	if (likely(h->class && class_of(obj) == h->class && !quiet && !track_on &&
		   slab_index(h->cache, obj) >= 0)) {
		class_free(h->class, obj);
		return;
	}
	if (unlikely(!belongs(h, obj))) {
		wrong_cache(h, obj, call, caller);
		return;
	}
	if (unlikely(!h->cache)) {
		free_merged(h, obj, quiet);
		return;
	}
	if (unlikely(slab_index(h->cache, obj) < 0))
		bad_pointer(call, obj);
	if (quiet) {
		kfree_quiet(obj);
		return;
	}
	if (unlikely(track_on))
		tracked_end(obj);
	if (unlikely(has_checks(h)))
		debug_return(h, obj, caller);
	if (h->flags & STELE_SLAB_ACCOUNT)
		budget_uncharge(obj);
	class_free(h->cache->class, obj);
}

/* ---- bulk ---- */

/* As many as are at hand and can be made without freeing other memory. */
static size_t take_batch(struct kmem_cache *c, size_t n, void **p, unsigned how)
{
	size_t got = percpu_pop_batch(c->class, p, n), more;

	if (got == n)
		return n;
	percpu_grow(c->class);
	got += barn_get(c, p + got, n - got, true);
	if (got == n)
		return n;
	/* These come to the end of the array. */
	more = slab_alloc(c, p + got, n - got, how);
	if (got + more < n)
		memmove(p + got, p + n - more, more * sizeof(void *));
	return got + more;
}

size_t handle_alloc_bulk(struct stele_kmem_cache *h, stele_gfp_t gfp, size_t n, void **p,
			 const void *caller)
{
	const char *call = "kmem_cache_alloc_bulk";
	size_t got = 0;

	if (!n || unlikely(!handle_check(h, call, caller)))
		return 0;
	/* What needs a look at each object, and failures, are for the way of single ones. */
	if (likely(h->class && !(gfp & ~GFP_HIT) && gfp & STELE_GFP_DIRECT_RECLAIM &&
		   !READ_ONCE(fault_armed) && !track_on))
		got = take_batch(h->cache, n, p, ALLOC_NORMAL);
	while (got < n) {
		p[got] = handle_alloc(h, gfp, call, caller);
		if (!p[got])
			break;
		got++;
	}
	if (likely(got == n))
		return n;
	while (got)
		handle_free(h, p[--got], !(gfp & STELE_GFP_DIRECT_RECLAIM), call, caller);
	return 0;
}

void handle_free_bulk(struct stele_kmem_cache *h, size_t n, void **p, const void *caller)
{
	const char *call = "kmem_cache_free_bulk";
	size_t same = 0;

	if (!n || unlikely(!handle_check(h, call, caller)))
		return;
	while (h->class && !track_on && same < n && class_of(p[same]) == h->class &&
	       slab_index(h->cache, p[same]) >= 0)
		same++;
	/* A bad one among them is told by its name, and the others go one by one. */
	if (unlikely(same < n)) {
		for (size_t i = 0; i < n; i++)
			handle_free(h, p[i], false, call, caller);
		return;
	}
	class_free_bulk(h->class, p, n);
}

/* ---- sheaves of the program ---- */

struct stele_slab_sheaf {
	struct stele_kmem_cache *of;
	unsigned size, capacity;
	void *objs[];
};

static struct stele_slab_sheaf *sheaf_new(struct stele_kmem_cache *h, stele_gfp_t gfp, unsigned n,
					  const void *caller)
{
	struct request r = {
		.call = "kmem_cache_prefill_sheaf", .caller = caller, .align = 1,
		.size = sizeof(struct stele_slab_sheaf) + n * sizeof(void *),
	};
	struct stele_slab_sheaf *s = gfp_alloc_plain(&r, gfp & ~(STELE_GFP_ZERO |
								 STELE_GFP_ACCOUNT));

	if (!s)
		return NULL;
	s->of = h;
	s->size = 0;
	s->capacity = n;
	return s;
}

static bool sheaf_fill(struct stele_kmem_cache *h, stele_gfp_t gfp, struct stele_slab_sheaf *s,
		       unsigned n, const void *caller)
{
	if (s->size < n && !handle_alloc_bulk(h, gfp & ~STELE_GFP_ZERO, n - s->size,
					      s->objs + s->size, caller))
		return false;
	s->size = n > s->size ? n : s->size;
	return true;
}

static void sheaf_drop(struct stele_slab_sheaf *s, bool quiet)
{
	if (quiet)
		kfree_quiet(s);
	else
		kfree(s);
}

struct stele_slab_sheaf *sheaf_prefill(struct stele_kmem_cache *h, stele_gfp_t gfp, unsigned n,
				       const void *caller)
{
	struct stele_slab_sheaf *s;

	if (!handle_check(h, "kmem_cache_prefill_sheaf", caller))
		return NULL;
	s = sheaf_new(h, gfp, n, caller);
	if (s && !sheaf_fill(h, gfp, s, n, caller)) {
		sheaf_drop(s, !(gfp & STELE_GFP_DIRECT_RECLAIM));
		s = NULL;
	}
	return s;
}

/* Is it a sheaf of this cache? */
static bool sheaf_check(const struct stele_kmem_cache *h, const struct stele_slab_sheaf *s,
			const char *call, const void *caller)
{
	if (likely(s && s->of == h))
		return handle_check(h, call, caller);
	warn("%s: not a sheaf of cache %s, called from %pS", call, h ? h->name : "NULL", caller);
	errno = EINVAL;
	return false;
}

int sheaf_refill(struct stele_kmem_cache *h, stele_gfp_t gfp, struct stele_slab_sheaf **sheaf,
		 unsigned n, const void *caller)
{
	struct stele_slab_sheaf *s = *sheaf, *larger;

	if (!sheaf_check(h, s, "kmem_cache_refill_sheaf", caller))
		return -EINVAL;
	if (n <= s->capacity)
		return sheaf_fill(h, gfp, s, n, caller) ? 0 : -ENOMEM;
	larger = sheaf_new(h, gfp, n, caller);
	if (!larger)
		return -ENOMEM;
	memcpy(larger->objs, s->objs, s->size * sizeof(void *));
	larger->size = s->size;
	if (!sheaf_fill(h, gfp, larger, n, caller)) {
		sheaf_drop(larger, !(gfp & STELE_GFP_DIRECT_RECLAIM));
		return -ENOMEM;
	}
	*sheaf = larger;
	sheaf_drop(s, !(gfp & STELE_GFP_DIRECT_RECLAIM));
	return 0;
}

void *sheaf_take(struct stele_kmem_cache *h, stele_gfp_t gfp, struct stele_slab_sheaf *s,
		 const void *caller)
{
	void *p;

	if (!sheaf_check(h, s, "kmem_cache_alloc_from_sheaf", caller) || !s->size)
		return NULL;
	p = s->objs[--s->size];
	/* As for any object of the cache: not over what was constructed. */
	return gfp & STELE_GFP_ZERO && !h->ctor && !h->init ? memset(p, 0, h->size) : p;
}

unsigned sheaf_left(const struct stele_slab_sheaf *s)
{
	return s->size;
}

void sheaf_return(struct stele_kmem_cache *h, struct stele_slab_sheaf *s, const void *caller)
{
	if (!s || !sheaf_check(h, s, "kmem_cache_return_sheaf", caller))
		return;
	if (s->size)
		handle_free_bulk(h, s->size, s->objs, caller);
	s->of = NULL;
	kfree(s);
}
