/* SPDX-License-Identifier: MIT */
/*
 * fork.
 *
 * The child gets a copy of memory and one thread. Every lock is taken before
 * the copy, in rank order, so that the child finds each structure at rest and
 * may use all of it: nothing is lost, nothing belongs to a thread that is gone.
 *
 * Our handlers are registered first of all, so that they run last before the
 * copy and first after it: other handlers may allocate.
 */
#include "life/fork.h"

#include "os/lock.h"
#include "page/vmalloc.h"
#include "page/zone.h"
#include "slab/percpu.h"
#include "slab/slab.h"

void fork_prepare(void)
{
	percpu_fork_prepare();
	for (unsigned class = 1; class <= NR_SIZE_CLASSES; class++)
		lock_acquire_for_fork(&kmem_caches[class].list_lock);
	for (unsigned class = 1; class <= NR_SIZE_CLASSES; class++)
		lock_acquire_for_fork(&kmem_caches[class].barn.lock);
	lock_acquire_for_fork(&vmalloc_lock);
	lock_acquire_for_fork(&zone_lock);
}

static void release(bool child)
{
	lock_after_fork(&zone_lock, child);
	lock_after_fork(&vmalloc_lock, child);
	for (unsigned class = NR_SIZE_CLASSES; class >= 1; class--)
		lock_after_fork(&kmem_caches[class].barn.lock, child);
	for (unsigned class = NR_SIZE_CLASSES; class >= 1; class--)
		lock_after_fork(&kmem_caches[class].list_lock, child);
	percpu_fork_done(child);
}

void fork_parent(void)
{
	release(false);
}

void fork_child(void)
{
	release(true);
}
