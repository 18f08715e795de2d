/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own names for <stele.h>, so that code written for the kernel's
 * memory manager compiles unchanged in a process: in tests, simulators, file
 * systems in user space. Everything is an inline function, a macro or a type; the
 * library exports none of these names.
 *
 * What differs: the page size is no constant; there is one node; kmalloc() takes any size; and
 * where the kernel would crash or warn, see the headers that this one includes.
 */
#ifndef STELE_KERNEL_H
#define STELE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele.h>

/* Inlined always, so that messages name the caller. */
#define STELE_INLINE static inline __attribute__((always_inline, unused))

/* ---- flags ---- */

typedef stele_gfp_t gfp_t;

#define __GFP_DIRECT_RECLAIM	STELE_GFP_DIRECT_RECLAIM
#define __GFP_KSWAPD_RECLAIM	STELE_GFP_KSWAPD_RECLAIM
#define __GFP_RECLAIM		STELE_GFP_RECLAIM
#define __GFP_IO		STELE_GFP_IO
#define __GFP_FS		STELE_GFP_FS
#define __GFP_HIGH		STELE_GFP_HIGH
#define __GFP_MEMALLOC		STELE_GFP_MEMALLOC
#define __GFP_NOMEMALLOC	STELE_GFP_NOMEMALLOC
#define __GFP_NORETRY		STELE_GFP_NORETRY
#define __GFP_RETRY_MAYFAIL	STELE_GFP_RETRY_MAYFAIL
#define __GFP_NOFAIL		STELE_GFP_NOFAIL
#define __GFP_ZERO		STELE_GFP_ZERO
#define __GFP_NOWARN		STELE_GFP_NOWARN
#define __GFP_COLD		STELE_GFP_COLD
#define __GFP_ACCOUNT		STELE_GFP_ACCOUNT
#define __GFP_DMA		STELE_GFP_DMA
#define __GFP_DMA32		STELE_GFP_DMA32
#define __GFP_HIGHMEM		STELE_GFP_HIGHMEM
#define __GFP_MOVABLE		STELE_GFP_MOVABLE
#define __GFP_RECLAIMABLE	STELE_GFP_RECLAIMABLE
#define __GFP_HARDWALL		STELE_GFP_HARDWALL
#define __GFP_THISNODE		STELE_GFP_THISNODE
#define __GFP_COMP		STELE_GFP_COMP
#define __GFP_WRITE		STELE_GFP_WRITE

#define GFP_KERNEL		STELE_GFP_KERNEL
#define GFP_KERNEL_ACCOUNT	STELE_GFP_KERNEL_ACCOUNT
#define GFP_NOWAIT		STELE_GFP_NOWAIT
#define GFP_ATOMIC		STELE_GFP_ATOMIC
#define GFP_NOIO		STELE_GFP_NOIO
#define GFP_NOFS		STELE_GFP_NOFS
#define GFP_USER		STELE_GFP_USER
#define GFP_DMA			STELE_GFP_DMA
#define GFP_DMA32		STELE_GFP_DMA32
#define GFP_HIGHUSER		STELE_GFP_HIGHUSER
#define GFP_HIGHUSER_MOVABLE	STELE_GFP_HIGHUSER_MOVABLE

STELE_INLINE bool gfpflags_allow_blocking(const gfp_t gfp)
{
	return stele_gfp_blocking(gfp);
}

STELE_INLINE unsigned int memalloc_nofs_save(void)
{
	return stele_memalloc_nofs_save();
}

STELE_INLINE void memalloc_nofs_restore(unsigned int flags)
{
	stele_memalloc_nofs_restore(flags);
}

STELE_INLINE unsigned int memalloc_noio_save(void)
{
	return stele_memalloc_noio_save();
}

STELE_INLINE void memalloc_noio_restore(unsigned int flags)
{
	stele_memalloc_noio_restore(flags);
}

STELE_INLINE unsigned int memalloc_noreclaim_save(void)
{
	return stele_memalloc_noreclaim_save();
}

STELE_INLINE void memalloc_noreclaim_restore(unsigned int flags)
{
	stele_memalloc_noreclaim_restore(flags);
}

/* ---- sizes ---- */

#ifndef container_of
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))
#endif

/* a * b and a + b, SIZE_MAX where that is too large: no request for it succeeds. */
STELE_INLINE size_t size_mul(size_t a, size_t b)
{
	size_t bytes;

	return __builtin_mul_overflow(a, b, &bytes) ? SIZE_MAX : bytes;
}

STELE_INLINE size_t size_add(size_t a, size_t b)
{
	size_t bytes;

	return __builtin_add_overflow(a, b, &bytes) ? SIZE_MAX : bytes;
}

#define array_size(a, b)	size_mul(a, b)
#define array3_size(a, b, c)	size_mul(size_mul(a, b), c)
/* Bytes of a structure whose last member is an array of @count elements. */
#define struct_size(p, member, count) \
	size_add(sizeof(*(p)), size_mul(sizeof(*(p)->member), count))
#define flex_array_size(p, member, count) size_mul(sizeof(*(p)->member), count)

/* ---- pages and areas ---- */

#include <stele/kernel_pages.h>

/* ---- blocks ---- */

#define ZERO_SIZE_PTR		STELE_ZERO_SIZE_PTR
#define ZERO_OR_NULL_PTR(p)	STELE_ZERO_OR_NULL_PTR(p)

STELE_INLINE void *kmalloc(size_t size, gfp_t gfp)
{
	return stele_kmalloc(size, gfp);
}

STELE_INLINE void *kzalloc(size_t size, gfp_t gfp)
{
	return stele_kzalloc(size, gfp);
}

STELE_INLINE void *kmalloc_array(size_t n, size_t size, gfp_t gfp)
{
	return stele_kmalloc_array(n, size, gfp);
}

STELE_INLINE void *kcalloc(size_t n, size_t size, gfp_t gfp)
{
	return stele_kcalloc(n, size, gfp);
}

STELE_INLINE void *kmalloc_node(size_t size, gfp_t gfp, int node)
{
	(void)node;
	return stele_kmalloc(size, gfp);
}

STELE_INLINE void *kzalloc_node(size_t size, gfp_t gfp, int node)
{
	(void)node;
	return stele_kzalloc(size, gfp);
}

STELE_INLINE void *kmalloc_nolock(size_t size, gfp_t gfp, int node)
{
	(void)node;
	return stele_kmalloc(size, (gfp & (__GFP_ZERO | __GFP_ACCOUNT)) | GFP_NOWAIT);
}

STELE_INLINE void *krealloc(const void *p, size_t size, gfp_t gfp)
{
	return stele_krealloc(p, size, gfp);
}

STELE_INLINE void *krealloc_array(void *p, size_t n, size_t size, gfp_t gfp)
{
	return stele_krealloc_array(p, n, size, gfp);
}

STELE_INLINE void kfree(const void *p)
{
	stele_kfree(p);
}

STELE_INLINE void kfree_const(const void *p)
{
	stele_kfree(p);
}

STELE_INLINE void kfree_sensitive(const void *p)
{
	stele_kfree_sensitive(p);
}

STELE_INLINE void kfree_bulk(size_t n, void **p)
{
	stele_kfree_bulk(n, p);
}

STELE_INLINE void kfree_nolock(const void *p)
{
	stele_kfree_nolock(p);
}

STELE_INLINE size_t ksize(const void *p)
{
	return stele_ksize(p);
}

STELE_INLINE size_t kmalloc_size_roundup(size_t size)
{
	return stele_kmalloc_size_roundup(size);
}

STELE_INLINE void *kmemdup(const void *src, size_t len, gfp_t gfp)
{
	return stele_kmemdup(src, len, gfp);
}

STELE_INLINE void *kmemdup_array(const void *src, size_t n, size_t size, gfp_t gfp)
{
	return stele_kmemdup(src, size_mul(n, size), gfp);
}

STELE_INLINE char *kmemdup_nul(const char *s, size_t len, gfp_t gfp)
{
	return stele_kmemdup_nul(s, len, gfp);
}

STELE_INLINE char *kstrdup(const char *s, gfp_t gfp)
{
	return stele_kstrdup(s, gfp);
}

STELE_INLINE char *kstrndup(const char *s, size_t max, gfp_t gfp)
{
	return stele_kstrndup(s, max, gfp);
}

#define kasprintf(gfp, ...)	stele_kasprintf(gfp, __VA_ARGS__)

STELE_INLINE char *kvasprintf(gfp_t gfp, const char *fmt, va_list ap)
{
	return stele_kvasprintf(gfp, fmt, ap);
}

STELE_INLINE void *kvmalloc(size_t size, gfp_t gfp)
{
	return stele_kvmalloc(size, gfp);
}

STELE_INLINE void *kvzalloc(size_t size, gfp_t gfp)
{
	return stele_kvzalloc(size, gfp);
}

STELE_INLINE void *kvmalloc_array(size_t n, size_t size, gfp_t gfp)
{
	return stele_kvmalloc_array(n, size, gfp);
}

STELE_INLINE void *kvcalloc(size_t n, size_t size, gfp_t gfp)
{
	return stele_kvcalloc(n, size, gfp);
}

STELE_INLINE void *kvrealloc(const void *p, size_t size, gfp_t gfp)
{
	return stele_kvrealloc(p, size, gfp);
}

STELE_INLINE void *kvmemdup(const void *src, size_t len, gfp_t gfp)
{
	return stele_kvmemdup(src, len, gfp);
}

STELE_INLINE void kvfree(const void *p)
{
	stele_kvfree(p);
}

STELE_INLINE void kvfree_sensitive(const void *p, size_t len)
{
	stele_kvfree_sensitive(p, len);
}

/* ---- caches ---- */

#define kmem_cache		stele_kmem_cache
#define slab_sheaf		stele_slab_sheaf

typedef unsigned int slab_flags_t;

#define SLAB_HWCACHE_ALIGN	STELE_SLAB_HWCACHE_ALIGN
#define SLAB_PANIC		STELE_SLAB_PANIC
#define SLAB_ACCOUNT		STELE_SLAB_ACCOUNT
#define SLAB_POISON		STELE_SLAB_POISON
#define SLAB_RED_ZONE		STELE_SLAB_RED_ZONE
#define SLAB_STORE_USER		STELE_SLAB_STORE_USER
#define SLAB_CONSISTENCY_CHECKS	STELE_SLAB_CONSISTENCY_CHECKS
#define SLAB_RECLAIM_ACCOUNT	STELE_SLAB_RECLAIM_ACCOUNT
#define SLAB_NO_MERGE		STELE_SLAB_NO_MERGE

struct kmem_cache_args {
	unsigned int align;
	unsigned int useroffset, usersize;	/* nothing is copied to user space here */
	unsigned int sheaf_capacity;
	void (*ctor)(void *obj);
};

STELE_INLINE struct kmem_cache *stele_cache_by_ctor(const char *name, unsigned int size,
						    unsigned int align, slab_flags_t flags,
						    void (*ctor)(void *obj))
{
	return stele_kmem_cache_create(name, size, align, flags, ctor);
}

#ifdef __cplusplus
#define kmem_cache_create	stele_cache_by_ctor
#else
STELE_INLINE struct kmem_cache *stele_cache_by_args(const char *name, unsigned int size,
						    struct kmem_cache_args *args,
						    slab_flags_t flags)
{
	struct stele_kmem_cache_args a = {
		.size = size, .align = args->align, .flags = flags,
		.sheaf_capacity = args->sheaf_capacity, .ctor = args->ctor,
	};

	return stele_kmem_cache_create_args(name, &a);
}

/* The kernel has two: (name, size, align, flags, ctor) and (name, size, &args, flags). */
#define kmem_cache_create(name, size, align_or_args, ...) \
	_Generic((align_or_args), \
		struct kmem_cache_args *: stele_cache_by_args, \
		default: stele_cache_by_ctor)(name, size, align_or_args, __VA_ARGS__)
#endif

/* A cache for a structure, of its name, size and alignment. */
#define KMEM_CACHE(type, flags) \
	stele_kmem_cache_create(#type, sizeof(struct type), __alignof__(struct type), flags, NULL)

STELE_INLINE void kmem_cache_destroy(struct kmem_cache *c)
{
	stele_kmem_cache_destroy(c);
}

STELE_INLINE int kmem_cache_shrink(struct kmem_cache *c)
{
	return stele_kmem_cache_shrink(c);
}

STELE_INLINE void *kmem_cache_alloc(struct kmem_cache *c, gfp_t gfp)
{
	return stele_kmem_cache_alloc(c, gfp);
}

STELE_INLINE void *kmem_cache_zalloc(struct kmem_cache *c, gfp_t gfp)
{
	return stele_kmem_cache_zalloc(c, gfp);
}

STELE_INLINE void *kmem_cache_alloc_node(struct kmem_cache *c, gfp_t gfp, int node)
{
	(void)node;
	return stele_kmem_cache_alloc(c, gfp);
}

STELE_INLINE void kmem_cache_free(struct kmem_cache *c, void *obj)
{
	stele_kmem_cache_free(c, obj);
}

STELE_INLINE int kmem_cache_alloc_bulk(struct kmem_cache *c, gfp_t gfp, size_t n, void **p)
{
	return (int)stele_kmem_cache_alloc_bulk(c, gfp, n, p);
}

STELE_INLINE void kmem_cache_free_bulk(struct kmem_cache *c, size_t n, void **p)
{
	stele_kmem_cache_free_bulk(c, n, p);
}

STELE_INLINE unsigned int kmem_cache_size(struct kmem_cache *c)
{
	return (unsigned int)stele_kmem_cache_size(c);
}

STELE_INLINE struct slab_sheaf *kmem_cache_prefill_sheaf(struct kmem_cache *c, gfp_t gfp,
							 unsigned int n)
{
	return stele_kmem_cache_prefill_sheaf(c, gfp, n);
}

STELE_INLINE int kmem_cache_refill_sheaf(struct kmem_cache *c, gfp_t gfp,
					 struct slab_sheaf **sheaf, unsigned int n)
{
	return stele_kmem_cache_refill_sheaf(c, gfp, sheaf, n);
}

STELE_INLINE void *kmem_cache_alloc_from_sheaf(struct kmem_cache *c, gfp_t gfp,
					       struct slab_sheaf *sheaf)
{
	return stele_kmem_cache_alloc_from_sheaf(c, gfp, sheaf);
}

STELE_INLINE unsigned int kmem_cache_sheaf_size(struct slab_sheaf *sheaf)
{
	return stele_kmem_cache_sheaf_size(sheaf);
}

STELE_INLINE void kmem_cache_return_sheaf(struct kmem_cache *c, gfp_t gfp,
					  struct slab_sheaf *sheaf)
{
	stele_kmem_cache_return_sheaf(c, gfp, sheaf);
}

/* ---- memory pools ---- */

typedef stele_mempool_t mempool_t;

#define mempool_alloc_t		stele_mempool_alloc_t
#define mempool_free_t		stele_mempool_free_t
#define mempool_alloc_slab	stele_mempool_alloc_slab
#define mempool_free_slab	stele_mempool_free_slab
#define mempool_kmalloc		stele_mempool_kmalloc
#define mempool_kfree		stele_mempool_kfree

STELE_INLINE mempool_t *mempool_create(int min_nr, mempool_alloc_t *alloc_fn,
				       mempool_free_t *free_fn, void *pool_data)
{
	return stele_mempool_create(min_nr, alloc_fn, free_fn, pool_data);
}

STELE_INLINE mempool_t *mempool_create_slab_pool(int min_nr, struct kmem_cache *c)
{
	return stele_mempool_create_slab_pool(min_nr, c);
}

STELE_INLINE mempool_t *mempool_create_kmalloc_pool(int min_nr, size_t size)
{
	return stele_mempool_create_kmalloc_pool(min_nr, size);
}

STELE_INLINE int mempool_resize(mempool_t *pool, int min_nr)
{
	return stele_mempool_resize(pool, min_nr);
}

STELE_INLINE void mempool_destroy(mempool_t *pool)
{
	stele_mempool_destroy(pool);
}

STELE_INLINE void *mempool_alloc(mempool_t *pool, gfp_t gfp)
{
	return stele_mempool_alloc(pool, gfp);
}

STELE_INLINE void *mempool_alloc_preallocated(mempool_t *pool)
{
	return stele_mempool_alloc_preallocated(pool);
}

STELE_INLINE void mempool_free(void *element, mempool_t *pool)
{
	stele_mempool_free(element, pool);
}

/* ---- shrinkers and OOM notifiers ---- */

/* Variables of these names are renamed with the structures, which does no harm. */
#define shrinker		stele_shrinker
#define shrink_control		stele_shrink_control
#define notifier_block		stele_notifier_block

#define SHRINK_STOP		STELE_SHRINK_STOP
#define SHRINK_EMPTY		STELE_SHRINK_EMPTY
#define DEFAULT_SEEKS		STELE_DEFAULT_SEEKS
#define NOTIFY_DONE		STELE_NOTIFY_DONE
#define NOTIFY_OK		STELE_NOTIFY_OK
#define NOTIFY_STOP		STELE_NOTIFY_STOP

#define shrinker_alloc(flags, ...)	stele_shrinker_alloc(flags, __VA_ARGS__)

STELE_INLINE void shrinker_register(struct shrinker *s)
{
	stele_shrinker_register(s);
}

STELE_INLINE void shrinker_free(struct shrinker *s)
{
	stele_shrinker_free(s);
}

STELE_INLINE int register_oom_notifier(struct notifier_block *nb)
{
	return stele_register_oom_notifier(nb);
}

STELE_INLINE int unregister_oom_notifier(struct notifier_block *nb)
{
	return stele_unregister_oom_notifier(nb);
}

/* ---- what is said to kmemleak; without leak= nobody listens ---- */

STELE_INLINE void kmemleak_not_leak(const void *ptr)
{
	(void)stele_leak_not_leak(ptr);
}

STELE_INLINE void kmemleak_ignore(const void *ptr)
{
	(void)stele_leak_ignore(ptr);
}

#endif
