/* SPDX-License-Identifier: MIT */
/*
 * fork.
 *
 * The child gets a copy of memory and one thread. Every lock is taken before
 * the copy, in rank order, so that the child finds each structure at rest and
 * may use all of it; nothing belongs to a thread that is gone. What another
 * thread had in hand at that moment (a batch between two layers, a block under
 * purge) is lost to the child.
 *
 * A process with one thread takes nothing: there is nobody to be kept out, and
 * fork may have been called by a signal handler that interrupted the holder of
 * a lock, which goes on in both processes.
 *
 * The handlers of others may allocate, so ours run last before the copy and first
 * after it: they must be registered before all others. To do so at the start of
 * every process would cost those that never fork two page faults in libc's code,
 * so fork_register() does it once, and is called by
 *
 *	fork, forkpty, daemon	whose child goes on in the program
 *	__register_atfork	what every pthread_atfork() calls: ours are first
 *	dlopen			a handle of libc's leads to all of these past us
 *	our constructor		leak=, profile=, kswapd=, psi=: who has asked for
 *				threads and reports of ours gets no less than before;
 *				we lie behind libc, or in a name space of our own:
 *				nobody comes by the names above
 *
 * What libc forks inside of itself besides these calls exec at once (wordexp, the
 * keys of RPC); _Fork() and the bare system call run no handlers of anybody.
 *
 * Libc registers under a lock of its own, which older ones hold while a fork runs
 * its handlers. Nobody can come here with it held: in a handler, ours are there.
 * And no slow path of an allocation comes here, which might. A signal handler may
 * fork, so signals are blocked from register_lock on to the end: there is no
 * thread that waits for itself. Who finds the handlers registered takes no lock.
 */
#include "life/fork.h"

#include "debug/capture.h"
#include "debug/depot.h"
#include "life/kswapd.h"
#include "observe/trigger.h"
#include "os/lock.h"
#include "os/os.h"
#include "os/proc.h"
#include "page/aside.h"
#include "page/reserve.h"
#include "page/vmalloc.h"
#include "page/vmap.h"
#include "page/zone.h"
#include "slab/budget.h"
#include "slab/cache.h"
#include "slab/deferred.h"
#include "slab/mempool.h"
#include "slab/percpu.h"
#include "slab/shrinker.h"
#include "slab/slab.h"

static struct lock register_lock = LOCK_INIT(RANK_AT_FORK);
static bool registered;	/* stored with release, under register_lock */

static bool alone;	/* of the fork under way */

static void fork_prepare(void)
{
	leak_fork_prepare();
	alone = os_single_threaded();
	if (alone)
		return;
	lock_acquire_for_fork(&shrinker_lock);
	lock_acquire_for_fork(&mempool_lock);
	lock_acquire_for_fork(&handle_lock);
	lock_acquire_for_fork(&caches_lock);
	percpu_fork_prepare();
	for_each_cache(c)
		lock_acquire_for_fork(&c->list_lock);
	for_each_cache(c)
		lock_acquire_for_fork(&c->barn.lock);
	lock_acquire_for_fork(&budget_lock);
	lock_acquire_for_fork(&depot_lock);
	lock_acquire_for_fork(&vmalloc_lock);
	lock_acquire_for_fork(&vmap_lock);
	lock_acquire_for_fork(&zone_lock);
	lock_acquire_for_fork(&reserve_lock);
	lock_acquire_for_fork(&hit_lock);
}

static void release(bool child)
{
	if (alone)
		return;
	lock_after_fork(&hit_lock, child);
	lock_after_fork(&reserve_lock, child);
	lock_after_fork(&zone_lock, child);
	lock_after_fork(&vmap_lock, child);
	lock_after_fork(&vmalloc_lock, child);
	lock_after_fork(&depot_lock, child);
	lock_after_fork(&budget_lock, child);
	for_each_cache(c)
		lock_after_fork(&c->barn.lock, child);
	for_each_cache(c)
		lock_after_fork(&c->list_lock, child);
	percpu_fork_done(child);
	if (child) {
		aside_fork_child();
		capture_fork_child();
		caches_fork_child();
		deferred_fork_child();
	}
	lock_after_fork(&caches_lock, child);
	lock_after_fork(&handle_lock, child);
	lock_after_fork(&mempool_lock, child);
	if (child)
		shrinker_fork_child();
	lock_after_fork(&shrinker_lock, child);
}

static void fork_parent(void)
{
	release(false);
	leak_fork_done(false);
}

static void fork_child(void)
{
	release(true);
	kswapd_fork_child();
	percpu_fork_child();
	vmap_fork_child();
	leak_fork_done(true);
}

void fork_register(void)
{
	uint64_t blocked;

	if (likely(load_acquire(&registered)))
		return;
	blocked = os_block_signals();
	lock_acquire(&register_lock);
	if (!registered) {
		os_at_fork(fork_prepare, fork_parent, fork_child);
		store_release(&registered, true);
	}
	lock_release(&register_lock);
	os_set_blocked(blocked);
}
