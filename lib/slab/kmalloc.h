/* SPDX-License-Identifier: MIT */
/*
 * kmalloc: one family of blocks, from 1 byte to all of memory.
 *
 * Order of service: 1 sheaf  2 barn  3 slabs  4 buddy  5 zone growth; requests
 * of at least mmap_threshold bytes: vmalloc. All functions keep the contract
 * of their libc namesakes, errno included.
 */
#ifndef STELE_SLAB_KMALLOC_H
#define STELE_SLAB_KMALLOC_H

#include "base/compiler.h"

struct kmem_cache;

void *kmalloc(size_t size);
/* The same of a @size below hit.plain_limit. */
void *kmalloc_plain(size_t size);
/* @size zeroed bytes. */
void *kzalloc(size_t size);
/* @align: a power of two. */
void *kmalloc_aligned(size_t size, size_t align);
void kfree(void *p);
/* @n of them; each may be NULL. */
void kfree_bulk(size_t n, void **p);
/* As kfree, for who can neither wait nor enter the kernel; later if it must be. */
void kfree_quiet(void *p);
/* As kfree, and it is a bug if a block of @size would not be this one. */
void kfree_sized(void *p, size_t size, size_t align);
/* NULL: no memory, the block is as it was. @size != 0, @p != NULL. */
void *krealloc(void *p, size_t size);
/* Its slow path; the same of an object that is too small or large (move.c). */
void *krealloc_other(void *p, size_t size);
void *krealloc_move(void *p, size_t size, unsigned class);
/* From this size on it leaves room behind blocks that grow in small steps. */
#define ROOM_SIZE_MIN	(4ul << 10)
/*
 * As kfree, and leaves the block's record alone. Those above that allocate write
 * none either: slab/tracked.h has the ones that do.
 */
void kfree_plain(void *p);
/* Is a request of @size bytes served by a slab? */
bool kmalloc_is_small(size_t size);
/* One object of a cache without sheaves. */
void *kmalloc_in(struct kmem_cache *c);
/* Bytes that may be used. 0 for NULL. */
size_t ksize(const void *p);

/*
 * One attempt, as far as @how (enum alloc_flags) goes, without reclaim, message
 * or errno: a block, or an object of a cache.
 */
void *kmalloc_try(size_t size, size_t align, bool zero, unsigned how);
void *class_try(unsigned class, unsigned how);
/* The second half of both, for who has found the sheaf empty, or full, himself. */
void *class_refill(unsigned class, unsigned how);
void class_flush(unsigned class, void *obj);
/* An object goes back, or several, without a look at them. */
void class_free(unsigned class, void *p);
void class_free_bulk(unsigned class, void **p, size_t n);
/* Past the sheaf, whose objects are the warm ones. */
void *kmalloc_try_cold(size_t size, size_t align, bool zero, unsigned how);

/* Sum over all blocks that the program holds; exact when it alone runs. */
struct kmalloc_usage {
	size_t slab_bytes, slab_blocks;		/* with the program */
	size_t cached_bytes;			/* in sheaves and barns */
	size_t slab_pages;			/* of all slabs */
	size_t large_bytes, large_blocks;	/* runs of pages in a zone */
};
struct kmalloc_usage kmalloc_usage(void);

/* Sheaves, barns and empty slabs back to the buddy. */
void kmalloc_drain(void);
/* The same by a thread that must not call the program: caches with destructors stay. */
void kmalloc_drain_idle(void);
/* Memory of free pages inside of slabs back to the system; returns the pages. */
size_t kmalloc_purge(void);

#endif
