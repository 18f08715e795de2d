/* SPDX-License-Identifier: MIT */
/* Barns: see barn.c. */
#ifndef STELE_SLAB_BARN_H
#define STELE_SLAB_BARN_H

#include "slab/slab.h"

/* Does a batch that @self (percpu_self) has left over go here? Else to the slabs. */
bool barn_is_for(struct kmem_cache *c, uint32_t self);
/* So many objects went down, to barn or slabs: what was held before counts less. */
void barn_note_spilt(struct kmem_cache *c, size_t n);
/* @self has missed. */
void barn_note_taker(struct kmem_cache *c, uint32_t self);
/* For @n objects; a hint. */
static inline bool barn_has_room(const struct kmem_cache *c, size_t n)
{
	return READ_ONCE(c->barn.count) + n <= c->barn.limit;
}

/*
 * Store all of @objs; false: no room, nothing stored. Who may not @wait finds no
 * room, and nothing to take, in a barn that is in use.
 */
bool barn_put(struct kmem_cache *c, void *const *objs, size_t n, bool wait);
/* Take up to @n; the last of objs is the one put last. */
size_t barn_get(struct kmem_cache *c, void **objs, size_t n, bool wait);
/* All of it into the slabs. */
void barn_drain(struct kmem_cache *c);

/* Give the array of an empty barn back; the next batch opens it anew. */
void barn_shrink(struct kmem_cache *c);

#endif
