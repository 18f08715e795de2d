/* SPDX-License-Identifier: MIT */
/* The tree of virtual areas and their nodes. Private to lib/page/vmap*.c. */
#ifndef STELE_PAGE_VMAP_TREE_H
#define STELE_PAGE_VMAP_TREE_H

#include "page/vmap.h"

static inline struct vmap_area *vmap_of(struct treap_node *n)
{
	return n ? container_of(n, struct vmap_area, node) : NULL;
}

/* With vmap_lock held: into the tree and out of it, counts included; first at or above. */
void vmap_enter(struct vmap_area *a);
void vmap_leave(struct vmap_area *a);
struct vmap_area *vmap_at_or_above(uintptr_t addr);
/* With vmap_lock held: a node that nobody needs any more. */
void vmap_node_put(struct vmap_area *a);

/* A new node like @proto, entered; 0 or -ENOMEM. */
int vmap_add(const struct vmap_area *proto);
/* Take the area out that the program was given as @addr; *copy as for vmap_free(). */
enum vmap_error vmap_take(const void *addr, enum vmap_kind kind, struct vmap_area **out,
			  struct vmap_area *copy);
/* Back in, after a change. */
void vmap_put_back(struct vmap_area *a);

/* Bytes of the whole pages that the program may use. */
size_t vmap_bytes(const struct vmap_area *a);

/* Do freed areas that wait for their unmapping hold more? May be asked without the lock. */
bool vmap_freed_above(size_t bytes, size_t n);

#endif
