/* SPDX-License-Identifier: MIT */
/*
 * stele_kmem_cache_*: public names and hit paths.
 *
 *	alloc	no flag that needs a look, sequence: pop of the cache's class
 *	free	the page's class is the cache's, sequence: push
 *
 * A cache without sheaves has class 0 here: its sheaf is empty and full at once,
 * and no page of objects has it.
 */
#include <errno.h>

#include "shell/hitpath.h"
#include "shell/kapi.h"
#include "slab/cache.h"

__public struct stele_kmem_cache *
stele_kmem_cache_create(const char *name, size_t size, size_t align, unsigned flags,
			void (*ctor)(void *obj))
{
	struct stele_kmem_cache_args a = { .size = size, .align = align, .flags = flags,
					   .ctor = ctor };

	kapi_begin();
	return handle_create(name, &a, "kmem_cache_create", CALLER);
}

__public struct stele_kmem_cache *
stele_kmem_cache_create_args(const char *name, const struct stele_kmem_cache_args *args)
{
	kapi_begin();
	return handle_create(name, args, "kmem_cache_create", CALLER);
}

__public void *stele_kmem_cache_alloc(struct stele_kmem_cache *c, stele_gfp_t gfp)
{
#ifdef HAVE_RSEQ
	if (likely(gfp < hit.gfp_limit)) {
		void *p;

		rseq_hit_pop(c->class, p, miss);
		return p;
	}
miss:
#endif
	return handle_alloc(c, gfp, "kmem_cache_alloc", CALLER);
}

__public void *stele_kmem_cache_zalloc(struct stele_kmem_cache *c, stele_gfp_t gfp)
{
	return handle_alloc(c, gfp | STELE_GFP_ZERO, "kmem_cache_zalloc", CALLER);
}

__public void stele_kmem_cache_free(struct stele_kmem_cache *c, void *obj)
{
#ifdef HAVE_RSEQ
	size_t i = ((uintptr_t)obj - hit.base) >> PAGE_SHIFT;

	if (likely(i < hit.pages)) {
		barrier();	/* as in hit_free() */

		size_t class = hit.map[i];

		if (likely(class == c->class)) {
			rseq_hit_push(class, obj, miss);
			return;
		}
	}
miss:
#endif
	handle_free(c, obj, false, "kmem_cache_free", CALLER);
}

__public void stele_kmem_cache_free_nolock(struct stele_kmem_cache *c, void *obj)
{
	handle_free(c, obj, true, "kmem_cache_free_nolock", CALLER);
}

__public size_t stele_kmem_cache_alloc_bulk(struct stele_kmem_cache *c, stele_gfp_t gfp, size_t n,
					    void **p)
{
	return handle_alloc_bulk(c, gfp, n, p, CALLER);
}

__public void stele_kmem_cache_free_bulk(struct stele_kmem_cache *c, size_t n, void **p)
{
	handle_free_bulk(c, n, p, CALLER);
}

__public int stele_kmem_cache_shrink(struct stele_kmem_cache *c)
{
	return handle_shrink(c, CALLER);
}

__public int stele_kmem_cache_destroy(struct stele_kmem_cache *c)
{
	return handle_destroy(c, CALLER);
}

__public size_t stele_kmem_cache_size(const struct stele_kmem_cache *c)
{
	return handle_check(c, "kmem_cache_size", CALLER) ? c->size : 0;
}

__public const char *stele_kmem_cache_name(const struct stele_kmem_cache *c)
{
	return handle_check(c, "kmem_cache_name", CALLER) ? c->name : NULL;
}

__public void stele_kmem_cache_get_info(struct stele_kmem_cache *c,
					struct stele_kmem_cache_info *info)
{
	*info = (struct stele_kmem_cache_info){ 0 };
	if (handle_check(c, "kmem_cache_get_info", CALLER))
		handle_info(c, info);
}

/* ---- sheaves ---- */

__public struct stele_slab_sheaf *
stele_kmem_cache_prefill_sheaf(struct stele_kmem_cache *c, stele_gfp_t gfp, unsigned n)
{
	return sheaf_prefill(c, gfp, n, CALLER);
}

__public int stele_kmem_cache_refill_sheaf(struct stele_kmem_cache *c, stele_gfp_t gfp,
					   struct stele_slab_sheaf **sheaf, unsigned n)
{
	return sheaf_refill(c, gfp, sheaf, n, CALLER);
}

__public void *stele_kmem_cache_alloc_from_sheaf(struct stele_kmem_cache *c, stele_gfp_t gfp,
						 struct stele_slab_sheaf *sheaf)
{
	return sheaf_take(c, gfp, sheaf, CALLER);
}

__public unsigned stele_kmem_cache_sheaf_size(const struct stele_slab_sheaf *sheaf)
{
	return sheaf_left(sheaf);
}

__public void stele_kmem_cache_return_sheaf(struct stele_kmem_cache *c, stele_gfp_t gfp,
					    struct stele_slab_sheaf *sheaf)
{
	(void)gfp;
	sheaf_return(c, sheaf, CALLER);
}
