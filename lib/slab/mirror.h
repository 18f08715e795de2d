/* SPDX-License-Identifier: MIT */
/*
 * Mirrors: the caches that sampled blocks lie in (profile=), one per power of two,
 * without sheaves; so freeing any other block never asks whether it was sampled.
 *
 * Most samples live shortly, so each mirror keeps the one freed last for the next: the
 * way through the slabs is long, and cold each time.
 */
#ifndef STELE_SLAB_MIRROR_H
#define STELE_SLAB_MIRROR_H

#include "base/compiler.h"

struct kmem_cache;

/* Once, after slab_init(), while samples are taken. */
void mirror_init(void);

/* Where a block that is a sample is to lie; NULL: the size is none of theirs. */
struct kmem_cache *mirror_for(size_t size, size_t align);

/* An object of a mirror, or back. As kmalloc() and kfree_plain(). */
void *mirror_alloc(struct kmem_cache *c);
void mirror_free(struct kmem_cache *c, void *p);

#endif
