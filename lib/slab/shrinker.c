/* SPDX-License-Identifier: MIT */
/*
 * Shrinkers and OOM notifiers.
 *
 * 1. How much a shrinker is asked for is the kernel's rule. Of the freeable
 *    objects it counts, 4 / seeks times those above 2^priority; objects that
 *    cost nothing to make again: half. What could not be asked for (less than a
 *    batch) is remembered for the next call.
 *
 * 2. A round goes through the ring under the lock, and drops it for each call.
 *    The entry it stands at is pinned: an entry that is being removed waits until
 *    nobody stands there.
 *
 * 3. A thread inside of a callback has SCOPE_NORECLAIM, so that what it allocates
 *    brings nobody back here.
 *
 * Locking: shrinker_lock for both rings and all pins; never held in a callback.
 */
#include "slab/shrinker.h"

#include <errno.h>

#include "base/list.h"
#include "os/os.h"
#include "os/thread.h"
#include "page/task.h"

#define BATCH		128

struct lock shrinker_lock = LOCK_INIT(RANK_SHRINKER);

/* Lies in stele_shrinker.internal. */
struct entry {
	struct list node;	/* in the ring; next NULL: not registered */
	uint64_t pins;		/* threads that stand here */
	uint64_t deferred;	/* objects not asked for yet; atomic */
	uint64_t leaving;
};
static_assert(sizeof(struct entry) <= sizeof(((struct stele_shrinker *)0)->internal), "fits");

static struct list ring = { &ring, &ring };
static struct stele_notifier_block *chain;	/* by falling priority */
static uint64_t notifying;			/* threads inside of the chain */

static struct entry *entry_of(struct stele_shrinker *s)
{
	return (struct entry *)s->internal;
}

static struct stele_shrinker *shrinker_of(struct list *node)
{
	return (struct stele_shrinker *)((char *)node -
					 offsetof(struct stele_shrinker, internal));
}

bool shrinkers_exist(void)
{
	return READ_ONCE(ring.next) != &ring;
}

bool oom_notifiers_exist(void)
{
	return READ_ONCE(chain);
}

/* Not by a thread of the library's own either: libc knows nothing of it. */
static bool may_call_back(uint16_t scope)
{
	return !(scope & (SCOPE_NOFS | SCOPE_NOIO | SCOPE_NORECLAIM)) && !os_thread_is_own();
}

static uint64_t share(const struct stele_shrinker *s, uint64_t freeable, int priority)
{
	return s->seeks ? (freeable >> priority) * 4 / (uint64_t)s->seeks : freeable / 2;
}

static unsigned long shrink_one(struct stele_shrinker *s, stele_gfp_t gfp, int priority)
{
	struct stele_shrink_control sc = { .gfp_mask = gfp };
	uint64_t freeable = s->count_objects(s, &sc), batch = BATCH, want, done = 0;
	struct entry *e = entry_of(s);
	unsigned long freed = 0;

	if (!freeable || freeable >= STELE_SHRINK_EMPTY)
		return 0;
	if (s->batch > 0)
		batch = (uint64_t)s->batch;
	want = share(s, freeable, priority) +
	       (__atomic_exchange_n(&e->deferred, 0, __ATOMIC_RELAXED) >> priority);
	want = MIN(want, 2 * freeable);
	while (want - done >= batch || (want > done && want - done >= freeable)) {
		uint64_t n = MIN(batch, want - done);
		unsigned long ret;

		sc.nr_to_scan = n;
		sc.nr_scanned = n;
		ret = s->scan_objects(s, &sc);
		if (ret == STELE_SHRINK_STOP)
			break;
		freed += ret;
		done += MAX(MIN(sc.nr_scanned, n), 1ul);
	}
	if (want > done)
		__atomic_add_fetch(&e->deferred, want - done, __ATOMIC_RELAXED);
	return freed;
}

unsigned long shrink_all(stele_gfp_t gfp, int priority)
{
	uint16_t scope = current_task.scope;
	unsigned long freed = 0;
	struct list *at;

	if (!shrinkers_exist() || !may_call_back(scope))
		return 0;
	current_task.scope = scope | SCOPE_NORECLAIM;
	lock_acquire(&shrinker_lock);
	for (at = ring.next; at != &ring; at = at->next) {
		struct stele_shrinker *s = shrinker_of(at);
		struct entry *e = entry_of(s);

		if (e->leaving)
			continue;
		e->pins++;
		lock_release(&shrinker_lock);
		freed += shrink_one(s, gfp, priority);
		lock_acquire(&shrinker_lock);
		/* A fork inside of the callback has reset it in the child. */
		e->pins -= e->pins > 0;
	}
	lock_release(&shrinker_lock);
	current_task.scope = scope;
	return freed;
}

void shrinker_add(struct stele_shrinker *s)
{
	struct entry *e = entry_of(s);

	lock_acquire(&shrinker_lock);
	if (!e->node.next)
		list_add_tail(&e->node, &ring);
	lock_release(&shrinker_lock);
}

/* With the lock held, dropped while waiting. */
static void wait_until_zero(const uint64_t *count)
{
	while (*count) {
		lock_release(&shrinker_lock);
		os_nap(100);
		lock_acquire(&shrinker_lock);
	}
}

void shrinker_remove(struct stele_shrinker *s)
{
	struct entry *e = entry_of(s);

	lock_acquire(&shrinker_lock);
	if (e->node.next) {
		e->leaving = 1;
		wait_until_zero(&e->pins);
		list_del(&e->node);
	}
	lock_release(&shrinker_lock);
}

unsigned long oom_notify(void)
{
	uint16_t scope = current_task.scope;
	struct stele_notifier_block *nb;
	unsigned long freed = 0;

	if (!oom_notifiers_exist() || !may_call_back(scope))
		return 0;
	current_task.scope = scope | SCOPE_NORECLAIM;
	lock_acquire(&shrinker_lock);
	notifying++;
	nb = chain;
	lock_release(&shrinker_lock);
	/* Nobody leaves while we are in; who comes is seen or not. */
	for (; nb; nb = load_acquire(&nb->next)) {
		if (nb->notifier_call(nb, 0, &freed) & STELE_NOTIFY_STOP)
			break;
	}
	lock_acquire(&shrinker_lock);
	notifying -= notifying > 0;
	lock_release(&shrinker_lock);
	current_task.scope = scope;
	return freed;
}

/* The link that points at @nb, or where one of its priority belongs. */
static struct stele_notifier_block **link_for(const struct stele_notifier_block *nb, bool find)
{
	struct stele_notifier_block **link = &chain;

	while (*link && *link != nb && (find || (*link)->priority >= nb->priority))
		link = &(*link)->next;
	return link;
}

int oom_notifier_add(struct stele_notifier_block *nb)
{
	struct stele_notifier_block **link;
	int err = 0;

	lock_acquire(&shrinker_lock);
	if (*link_for(nb, true) == nb) {
		err = -EEXIST;
	} else {
		link = link_for(nb, false);
		nb->next = *link;
		store_release(link, nb);	/* pairs with the walk in oom_notify() */
	}
	lock_release(&shrinker_lock);
	return err;
}

int oom_notifier_remove(struct stele_notifier_block *nb)
{
	struct stele_notifier_block **link;
	int err = -ENOENT;

	lock_acquire(&shrinker_lock);
	wait_until_zero(&notifying);
	link = link_for(nb, true);
	if (*link == nb) {
		*link = nb->next;
		err = 0;
	}
	lock_release(&shrinker_lock);
	return err;
}

void shrinker_fork_child(void)
{
	for (struct list *at = ring.next; at != &ring; at = at->next)
		entry_of(shrinker_of(at))->pins = 0;
	notifying = 0;
}
