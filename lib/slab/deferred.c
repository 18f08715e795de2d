/* SPDX-License-Identifier: MIT */
/*
 * Blocks put aside by those who may not wait.
 *
 * A signal handler may have interrupted the holder of any lock, so what it frees
 * and no sheaf has room for goes on a stack that needs none. The stack is linked
 * through the blocks: at a cache's link offset, which lies behind the object where
 * free objects must keep their contents. The next request that may wait takes the
 * whole stack and frees it block by block.
 *
 * Locking: none. Pushing is one compare-and-swap, taking all one exchange, so a
 * block cannot come back to the top under a push that has seen it there.
 */
#include "slab/deferred.h"

#include "os/bug.h"
#include "page/section.h"
#include "slab/kmalloc.h"
#include "slab/slab.h"

void *deferred_head __nearbss;
static uint32_t drainers;	/* threads that have blocks in hand; atomic */

static void **link_of(void *p)
{
	unsigned class = class_of(p);
	size_t off = 0;

	if (class != CLASS_NONE && class != CLASS_LARGE)
		off = kmem_caches[class].link;
	return (void **)((char *)p + off);
}

void deferred_free(void *const *objs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		void *old = READ_ONCE(deferred_head);

		do {
			*link_of(objs[i]) = old;
			/* The release pairs with the acquire in deferred_drain(). */
		} while (!__atomic_compare_exchange_n(&deferred_head, &old, objs[i], true,
						      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	}
}

void deferred_drain(void)
{
	void *p;

	/* Counted first: who finds nothing put aside finds the drainer. */
	__atomic_add_fetch(&drainers, 1, __ATOMIC_SEQ_CST);
	p = __atomic_exchange_n(&deferred_head, NULL, __ATOMIC_SEQ_CST);
	while (p) {
		void *next = *link_of(p);

		if (next == p)
			bug("double free of %p", p);
		kfree(p);
		p = next;
	}
	/* Pairs with deferred_in_hand(). A fork inside of a destructor has reset it in the child. */
	if (READ_ONCE(drainers))
		__atomic_sub_fetch(&drainers, 1, __ATOMIC_RELEASE);
}

bool deferred_in_hand(void)
{
	return load_acquire(&drainers);
}

void deferred_fork_child(void)
{
	WRITE_ONCE(drainers, 0);
}
