/* SPDX-License-Identifier: MIT */
/* Caches of the program: see cache.c and <stele/slab.h>. */
#ifndef STELE_SLAB_CACHE_H
#define STELE_SLAB_CACHE_H

#include "slab/slab.h"
#include "stele/slab.h"

struct stele_kmem_cache {
	/* What the hit paths read: class of its pages and sheaves; 0: none can be used. */
	uint32_t class;
	uint32_t state;			/* enum handle_state; atomic */

	/* Constant while it is alive. */
	struct kmem_cache *cache;	/* NULL: merged with kmalloc */
	uint32_t size;			/* of an object, as given */
	uint32_t align;			/* of a merged one */
	uint32_t flags;
	void (*ctor)(void *obj);
	int (*init)(void *obj, void *data, stele_gfp_t gfp);
	void (*dtor)(void *obj, void *data);
	void *data;
	char name[32];

	uint64_t nr_ctor, nr_dtor;	/* calls; atomic */
	uint64_t nr_merged;		/* objects out of a merged one; atomic */
	struct stele_kmem_cache *next;	/* of those that may be used again: handle_lock */
};

enum handle_state { HANDLE_NONE, HANDLE_ALIVE, HANDLE_DYING };

extern struct lock handle_lock;

/* Flags that make a cache check what it is given: it has no sheaves. */
#define SLAB_DEBUG_FLAGS	(STELE_SLAB_POISON | STELE_SLAB_RED_ZONE | \
				 STELE_SLAB_STORE_USER | STELE_SLAB_CONSISTENCY_CHECKS)

/* @call and @caller are for messages, here and below. */
struct stele_kmem_cache *handle_create(const char *name, const struct stele_kmem_cache_args *a,
				       const char *call, const void *caller);
int handle_destroy(struct stele_kmem_cache *h, const void *caller);

void *handle_alloc(struct stele_kmem_cache *h, stele_gfp_t gfp, const char *call,
		   const void *caller);
size_t handle_alloc_bulk(struct stele_kmem_cache *h, stele_gfp_t gfp, size_t n, void **p,
			 const void *caller);
void handle_free(struct stele_kmem_cache *h, void *obj, bool quiet, const char *call,
		 const void *caller);
void handle_free_bulk(struct stele_kmem_cache *h, size_t n, void **p, const void *caller);
int handle_shrink(struct stele_kmem_cache *h, const void *caller);
void handle_info(struct stele_kmem_cache *h, struct stele_kmem_cache_info *info);

struct stele_slab_sheaf *sheaf_prefill(struct stele_kmem_cache *h, stele_gfp_t gfp, unsigned n,
				       const void *caller);
int sheaf_refill(struct stele_kmem_cache *h, stele_gfp_t gfp, struct stele_slab_sheaf **s,
		 unsigned n, const void *caller);
void *sheaf_take(struct stele_kmem_cache *h, stele_gfp_t gfp, struct stele_slab_sheaf *s,
		 const void *caller);
unsigned sheaf_left(const struct stele_slab_sheaf *s);
void sheaf_return(struct stele_kmem_cache *h, struct stele_slab_sheaf *s, const void *caller);

/* ---- between cache.c, cache_alloc.c and cache_debug.c ---- */

/* The errno value for what the program's init() returned, which is not 0. */
int cache_make_error(int err);

/* Is it alive? Else one line, errno EINVAL. */
bool handle_check(const struct stele_kmem_cache *h, const char *call, const void *caller);

/*
 * Layout of an object that is checked:
 *
 *	| object | red zone, 8 to 15 bytes | struct track | link |
 *	 0        size                      track          link
 *
 * Any of the last three may be missing. The link (see deferred.c) has a place of
 * its own where an object that is free must stay constructed.
 */
struct debug_layout {
	uint32_t track, link, end;
};
#define SLAB_LINK	0x80000000u	/* among flags: with a link */
struct debug_layout debug_layout(size_t size, unsigned flags);
/* An object begins, as one that is free. */
void debug_make(struct stele_kmem_cache *h, void *obj);
/*
 * An object is on its way to the program, or back; the caller NULL: not known, as it
 * came by free(). What does not look as it should ends the program.
 */
void debug_leave(struct stele_kmem_cache *h, void *obj, const void *caller);
void debug_return(struct stele_kmem_cache *h, void *obj, const void *caller);
/* Who allocated it last, in words; "" if not known. */
void debug_who(const struct stele_kmem_cache *h, const void *obj, char *buf, size_t size);
#endif
