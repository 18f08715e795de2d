/* SPDX-License-Identifier: MIT */
/* stele_kmalloc() and its relatives: the hit path of malloc(), with flags. */
#include "shell/kapi.h"

#include <errno.h>
#include <string.h>

#include "shell/hitpath.h"
#include "slab/size_class.h"
#include "page/section.h"
#include "stele/pages.h"
#include "stele/slab.h"

static bool overflows(size_t n, size_t size, size_t *bytes)
{
	if (likely(!__builtin_mul_overflow(n, size, bytes)))
		return false;
	errno = ENOMEM;
	return true;
}

__noinline void *kapi_alloc(size_t size, stele_gfp_t gfp, const char *call, const void *caller)
{
	struct request r = { .call = call, .caller = caller, .size = size, .align = 1 };

	if (unlikely(!size))
		return STELE_ZERO_SIZE_PTR;
	if (unlikely(!READ_ONCE(life_ready)) && !life_init())
		return life_other_alloc(size, 1, gfp & STELE_GFP_ZERO);
	return gfp_alloc(&r, gfp);
}

static __force_inline void *alloc(size_t size, stele_gfp_t gfp, const char *call,
				  const void *caller)
{
#ifdef HAVE_RSEQ
	if (likely(size < hit.size_limit && size && gfp <= GFP_HIT)) {
		void *p;

		rseq_hit_pop(hit.class[size], p, miss);
		return p;
	}
miss:
#endif
	return kapi_alloc(size, gfp, call, caller);
}

__public void *stele_kmalloc(size_t size, stele_gfp_t gfp)
{
	return alloc(size, gfp, "kmalloc", CALLER);
}

static __force_inline void *zalloc(size_t size, stele_gfp_t gfp, const char *call,
				   const void *caller)
{
#ifdef HAVE_RSEQ
	if (likely(size < hit.size_limit && size && !(gfp & ~(GFP_HIT | STELE_GFP_ZERO)))) {
		void *p;

		rseq_hit_pop(hit.class[size], p, miss);
		return memset(p, 0, size);
	}
miss:
#endif
	return kapi_alloc(size, gfp | STELE_GFP_ZERO, call, caller);
}

__public void *stele_kzalloc(size_t size, stele_gfp_t gfp)
{
	return zalloc(size, gfp, "kzalloc", CALLER);
}

__public void *stele_kmalloc_array(size_t n, size_t size, stele_gfp_t gfp)
{
	size_t bytes;

	return overflows(n, size, &bytes) ? NULL : alloc(bytes, gfp, "kmalloc_array", CALLER);
}

__public void *stele_kcalloc(size_t n, size_t size, stele_gfp_t gfp)
{
	size_t bytes;

	return overflows(n, size, &bytes) ? NULL : zalloc(bytes, gfp, "kcalloc", CALLER);
}

/*
 * Who may wait and wants nothing special gets realloc()'s means: pages added in
 * place, mappings that move without a copy. What those add may hold anything, so
 * zeros are written by hand.
 */
static void *resize(void *p, size_t size, stele_gfp_t gfp, const char *call, const void *caller)
{
	size_t have = ksize(p);
	void *q;

	if (size <= have && size >= have / 2)
		return p;
	if (size > SIZE_MAX_SLAB && size > have && size <= PTRDIFF_MAX - PAGE_SIZE &&
	    gfp & STELE_GFP_DIRECT_RECLAIM && !(gfp & (STELE_GFP_ACCOUNT | STELE_GFP_ZERO |
						       STELE_GFP_NOFAIL))) {
		q = unlikely(track_any) ? tracked_realloc(p, size) : krealloc(p, size);
		if (q)
			return q;
	}
	q = kapi_alloc(size, gfp, call, caller);
	if (!q)
		return NULL;
	memcpy(q, p, MIN(size, have));
	if (gfp & STELE_GFP_DIRECT_RECLAIM)
		kfree(p);
	else
		kfree_quiet(p);
	return q;
}

static void *realloc_with(const void *old, size_t size, stele_gfp_t gfp, const char *call,
			  const void *caller)
{
	void *p = (void *)(uintptr_t)old;

	if (STELE_ZERO_OR_NULL_PTR(p))
		return kapi_alloc(size, gfp, call, caller);
	if (!size) {
		if (gfp & STELE_GFP_DIRECT_RECLAIM)
			kfree(p);
		else
			kfree_quiet(p);
		return STELE_ZERO_SIZE_PTR;
	}
	return resize(p, size, gfp, call, caller);
}

__public void *stele_krealloc(const void *p, size_t size, stele_gfp_t gfp)
{
	return realloc_with(p, size, gfp, "krealloc", CALLER);
}

__public void *stele_krealloc_array(void *p, size_t n, size_t size, stele_gfp_t gfp)
{
	size_t bytes;

	return overflows(n, size, &bytes) ? NULL :
					    realloc_with(p, bytes, gfp, "krealloc_array", CALLER);
}

__public void stele_kfree(const void *p)
{
	hit_free((void *)(uintptr_t)p);
}

__public void stele_kfree_sensitive(const void *p)
{
	void *q = (void *)(uintptr_t)p;

	memset(q, 0, ksize(p));
	__asm__ __volatile__("" :: "r"(q) : "memory");
	kfree(q);
}

__public void stele_kfree_bulk(size_t n, void **p)
{
	kfree_bulk(n, p);
}

__public void stele_kfree_nolock(const void *p)
{
	kfree_quiet((void *)(uintptr_t)p);
}

__public size_t stele_ksize(const void *p)
{
	return ksize(p);
}

__public size_t stele_kmalloc_size_roundup(size_t size)
{
	if (!size || size > PTRDIFF_MAX - PAGE_SIZE)
		return size;
	return size <= SIZE_MAX_SLAB ? class_size(size_class(size)) : ALIGN_UP(size, PAGE_SIZE);
}

/* ---- the second family ---- */

__public void *stele_kvmalloc(size_t size, stele_gfp_t gfp)
{
	return alloc(size, gfp, "kvmalloc", CALLER);
}

__public void *stele_kvzalloc(size_t size, stele_gfp_t gfp)
{
	return zalloc(size, gfp, "kvzalloc", CALLER);
}

__public void *stele_kvmalloc_array(size_t n, size_t size, stele_gfp_t gfp)
{
	size_t bytes;

	return overflows(n, size, &bytes) ? NULL : alloc(bytes, gfp, "kvmalloc_array", CALLER);
}

__public void *stele_kvcalloc(size_t n, size_t size, stele_gfp_t gfp)
{
	size_t bytes;

	return overflows(n, size, &bytes) ? NULL : zalloc(bytes, gfp, "kvcalloc", CALLER);
}

/* Code for the kernel gives these areas too. */
static bool is_area(const void *p)
{
	return class_of(p) == CLASS_NONE && stele_is_vmalloc_addr(p);
}

__public void *stele_kvrealloc(const void *p, size_t size, stele_gfp_t gfp)
{
	if (unlikely(is_area(p)))
		return stele_vrealloc(p, size, gfp);
	return realloc_with(p, size, gfp, "kvrealloc", CALLER);
}

__public void stele_kvfree(const void *p)
{
	if (unlikely(is_area(p))) {
		stele_vfree(p);
		return;
	}
	hit_free((void *)(uintptr_t)p);
}

__public void stele_kvfree_sensitive(const void *p, size_t len)
{
	if (!is_area(p)) {
		/* All of the block is wiped. */
		stele_kfree_sensitive(p);
		return;
	}
	memset((void *)(uintptr_t)p, 0, len);
	stele_vfree(p);
}
