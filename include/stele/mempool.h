/* SPDX-License-Identifier: MIT */
/*
 * Memory pools: elements set aside, so that a request that may wait never fails.
 * The allocator is asked first, the pool is for when it has nothing.
 */
#ifndef STELE_MEMPOOL_H
#define STELE_MEMPOOL_H

#include <stddef.h>

#include <stele/slab.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stele_mempool stele_mempool_t;

/* Where elements come from and go to. Called without a lock of the library. */
typedef void *(stele_mempool_alloc_t)(stele_gfp_t gfp, void *pool_data);
typedef void(stele_mempool_free_t)(void *element, void *pool_data);

/*
 * A pool that keeps @min_nr elements. NULL: ENOMEM (as many as there were are
 * freed again), or EINVAL without functions or with min_nr < 0. Process context.
 */
stele_mempool_t *stele_mempool_create(int min_nr, stele_mempool_alloc_t *alloc,
				      stele_mempool_free_t *free, void *pool_data)
	__attribute__((warn_unused_result));
/* Elements are objects of a cache, or blocks of @size bytes. */
stele_mempool_t *stele_mempool_create_slab_pool(int min_nr, struct stele_kmem_cache *c)
	__attribute__((warn_unused_result));
stele_mempool_t *stele_mempool_create_kmalloc_pool(int min_nr, size_t size)
	__attribute__((warn_unused_result));
/* Keep @min_nr from now on. 0, or -ENOMEM with as many as could be had. Process. */
int stele_mempool_resize(stele_mempool_t *pool, int min_nr);
/* NULL: nothing. Elements that are out need not come back, and must not. Process. */
void stele_mempool_destroy(stele_mempool_t *pool);

/*
 * An element. Where the flags allow to wait, never NULL: it waits for one to be
 * freed. STELE_GFP_ZERO makes no sense for elements that are used again: a line,
 * EINVAL and NULL. Any context, as the flags and the pool's functions allow.
 */
void *stele_mempool_alloc(stele_mempool_t *pool, stele_gfp_t gfp)
	__attribute__((warn_unused_result));
/* One of those set aside, without asking the allocator; NULL: none. Any context. */
void *stele_mempool_alloc_preallocated(stele_mempool_t *pool) __attribute__((warn_unused_result));
/* Back to the pool while it has fewer than min_nr, else freed. NULL: nothing. Process. */
void stele_mempool_free(void *element, stele_mempool_t *pool);
/* How many are set aside now, and should be. Any context. */
int stele_mempool_curr_nr(const stele_mempool_t *pool);
int stele_mempool_min_nr(const stele_mempool_t *pool);

/* The functions of the two ready-made kinds; pool_data is the cache, or the size. */
void *stele_mempool_alloc_slab(stele_gfp_t gfp, void *pool_data);
void stele_mempool_free_slab(void *element, void *pool_data);
void *stele_mempool_kmalloc(stele_gfp_t gfp, void *pool_data);
void stele_mempool_kfree(void *element, void *pool_data);

#ifdef __cplusplus
}
#endif

#endif
