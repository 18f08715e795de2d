/* SPDX-License-Identifier: MIT */
/*
 * The tree of virtual areas: nodes in pages of the library's own, by address, and
 * what is counted of them. See vmap.c for what is done with the areas.
 *
 * Locking: vmap_lock.
 */
#include "page/vmap_tree.h"

#include <errno.h>

#include "base/bits.h"
#include "os/os.h"

struct lock vmap_lock = LOCK_INIT(RANK_VMAP);

static struct treap areas;
static struct vmap_area *unused;	/* linked through node.left */
static struct vmap_stats stats;

/* ---- nodes and the tree; vmap_lock is held ---- */

static struct vmap_area *node_get(void)
{
	struct vmap_area *a;

	if (!unused) {
		a = page_alloc_meta(1);
		for (size_t i = 0; a && i < PAGE_SIZE / sizeof(*a); i++) {
			a[i].node.left = unused ? &unused->node : NULL;
			unused = &a[i];
		}
	}
	a = unused;
	if (a)
		unused = vmap_of(a->node.left);
	return a;
}

void vmap_node_put(struct vmap_area *a)
{
	a->node.left = unused ? &unused->node : NULL;
	unused = a;
}

size_t vmap_bytes(const struct vmap_area *a)
{
	return ALIGN_UP(a->addr + a->size, os_page_size()) - a->base;
}

static void count(const struct vmap_area *a, bool enters)
{
	size_t one = enters ? 1 : (size_t)-1;

	if (a->freed) {
		stats.freed_count += one;
		stats.freed_bytes += one * a->len;
	} else {
		stats.count[a->kind] += one;
		stats.bytes[a->kind] += one * vmap_bytes(a);
	}
}

void vmap_enter(struct vmap_area *a)
{
	treap_insert(&areas, &a->node);
	count(a, true);
}

void vmap_leave(struct vmap_area *a)
{
	treap_erase(&areas, &a->node);
	count(a, false);
}

static struct vmap_area *area_at(const void *addr)
{
	struct vmap_area *a = vmap_of(treap_at_or_below(&areas, (uintptr_t)addr));

	return a && (uintptr_t)addr - a->node.key < a->len ? a : NULL;
}

struct vmap_area *vmap_at_or_above(uintptr_t addr)
{
	return vmap_of(treap_at_or_above(&areas, addr));
}

/* ---- from outside ---- */

int vmap_add(const struct vmap_area *proto)
{
	struct vmap_area *a;

	lock_acquire(&vmap_lock);
	a = node_get();
	if (a) {
		*a = *proto;
		vmap_enter(a);
	}
	lock_release(&vmap_lock);
	return a ? 0 : -ENOMEM;
}

enum vmap_error vmap_take(const void *addr, enum vmap_kind kind, struct vmap_area **out,
			  struct vmap_area *copy)
{
	struct vmap_area *a;
	enum vmap_error e;

	lock_acquire(&vmap_lock);
	a = area_at(addr);
	if (!a)
		e = VMAP_UNKNOWN;
	else if (a->freed)
		e = VMAP_FREED;
	else if (a->kind != kind)
		e = VMAP_OTHER_KIND;
	else if (a->addr != (uintptr_t)addr)
		e = VMAP_INSIDE;
	else
		e = VMAP_OK;
	if (a)
		*copy = *a;
	if (e == VMAP_OK) {
		vmap_leave(a);
		*out = a;
	}
	lock_release(&vmap_lock);
	return e;
}

void vmap_put_back(struct vmap_area *a)
{
	lock_acquire(&vmap_lock);
	vmap_enter(a);
	lock_release(&vmap_lock);
}

bool vmap_freed_above(size_t bytes, size_t n)
{
	return READ_ONCE(stats.freed_bytes) > bytes || READ_ONCE(stats.freed_count) > n;
}

bool vmap_find(const void *addr, struct vmap_area *copy)
{
	struct vmap_area *a;

	if (!READ_ONCE(areas.root))
		return false;
	lock_acquire(&vmap_lock);
	a = area_at(addr);
	if (a)
		*copy = *a;
	lock_release(&vmap_lock);
	return a != NULL;
}

bool vmap_next(uintptr_t from, struct vmap_area *copy)
{
	struct vmap_area *a;

	lock_acquire(&vmap_lock);
	a = vmap_at_or_above(from);
	if (a)
		*copy = *a;
	lock_release(&vmap_lock);
	return a != NULL;
}

struct vmap_stats vmap_stats(void)
{
	struct vmap_stats s;

	lock_acquire(&vmap_lock);
	s = stats;
	lock_release(&vmap_lock);
	return s;
}
