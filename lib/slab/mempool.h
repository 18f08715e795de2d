/* SPDX-License-Identifier: MIT */
/* Memory pools: see mempool.c and <stele/mempool.h>. */
#ifndef STELE_SLAB_MEMPOOL_H
#define STELE_SLAB_MEMPOOL_H

#include "os/lock.h"
#include "stele/mempool.h"

struct stele_mempool {
	uint32_t returned;		/* counts elements put back: waiters sleep on it */
	uint32_t waiters;
	int min_nr, curr_nr;		/* to be set aside; set aside */
	void **elements;		/* room for min_nr */
	stele_mempool_alloc_t *alloc;
	stele_mempool_free_t *free;
	void *data;
};

extern struct lock mempool_lock;

/* These are the public functions of the same names, without checks. */
struct stele_mempool *mempool_create(int min_nr, stele_mempool_alloc_t *alloc,
				     stele_mempool_free_t *free, void *data);
int mempool_resize(struct stele_mempool *pool, int min_nr);
void mempool_destroy(struct stele_mempool *pool);
void *mempool_alloc(struct stele_mempool *pool, stele_gfp_t gfp);
void *mempool_take(struct stele_mempool *pool, bool wait);
void mempool_free(struct stele_mempool *pool, void *element);

#endif
