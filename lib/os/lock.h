/* SPDX-License-Identifier: MIT */
/*
 * Locks: one futex word each, with a rank.
 *
 * The word is 0 free, 1 held, 2 held with sleepers. A waiter spins briefly
 * (the holders copy at most a batch) and then sleeps: a preempted holder costs
 * a time slice to whoever only spins.
 *
 * Who may not enter the kernel takes a lock quietly (LOCK_QUIET) or not at all.
 * Nobody sleeps on such a lock, so that its release has nobody to wake; waiters
 * look again after a nap. Sleepers from before, whom the last release left
 * asleep, are woken by the one that it woke.
 *
 * Ranks give the lock order: a thread takes locks of strictly rising rank
 * only. Debug builds check it on every acquire; fork takes all of them in this
 * order. A lock whose rank is not listed here does not exist.
 */
#ifndef STELE_OS_LOCK_H
#define STELE_OS_LOCK_H

#include "base/compiler.h"

enum lock_rank {
	RANK_AT_FORK,	/* life/fork.c: registering the handlers */
	RANK_OBSERVE,	/* observe/leak.c: one report at a time, the table of modules */
	RANK_INIT,	/* life/init.c: first call */
	RANK_SHRINKER,	/* slab/shrinker.c: who is to be asked for memory */
	RANK_MEMPOOL,	/* slab/mempool.c: what pools have set aside */
	RANK_HANDLE,	/* slab/cache.c: handles of caches */
	RANK_CACHES,	/* slab/caches.c: the table of caches */
	RANK_PERCPU,	/* slab/percpu*.c: region set-up, stop and drain */
	RANK_CACHE,	/* slab/slab.c: one cache's slab lists (one at a time) */
	RANK_BARN,	/* slab/barn.c: one cache's barn (one at a time) */
	RANK_BUDGET,	/* slab/budget.c: what is charged to whom */
	RANK_DEPOT,	/* debug/stack.c: entering a stack */
	RANK_VMALLOC,	/* page/vmalloc.c: the table of mappings */
	RANK_VMAP,	/* page/vmap.c: the tree of virtual areas */
	RANK_ZONE,	/* page/zone.c: the pages of all zones */
	RANK_RESERVE,	/* page/reserve.c: the pages set aside */
	RANK_HIT,	/* page/section.c: what the hit paths read (page/hit.h) */
	NR_RANKS,
};

struct lock {
	uint32_t word;		/* 0, 1, 2 or LOCK_QUIET, as above */
	uint32_t rank;		/* enum lock_rank, constant */
};

#define LOCK_QUIET	3u

#define LOCK_INIT(r)	{ .word = 0, .rank = (r) }

void lock_wait(struct lock *l);
void lock_wake(struct lock *l);

#ifdef STELE_DEBUG
void lock_note_acquire(const struct lock *l);
void lock_note_release(const struct lock *l);
#else
static inline void lock_note_acquire(const struct lock *l __unused_arg) {}
static inline void lock_note_release(const struct lock *l __unused_arg) {}
#endif

static inline bool lock_try(struct lock *l)
{
	uint32_t free_word = 0;

	if (!__atomic_compare_exchange_n(&l->word, &free_word, 1, false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	lock_note_acquire(l);
	return true;
}

static inline void lock_acquire(struct lock *l)
{
	uint32_t free_word = 0;

	if (unlikely(!__atomic_compare_exchange_n(&l->word, &free_word, 1, false,
						  __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
		lock_wait(l);
	lock_note_acquire(l);
}

/* For who may not enter the kernel; false: somebody has it. No order to keep. */
static inline bool lock_try_quiet(struct lock *l)
{
	uint32_t free_word = 0;

	return __atomic_compare_exchange_n(&l->word, &free_word, LOCK_QUIET, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Take it, or where the caller may not @wait try to. */
static inline bool lock_enter(struct lock *l, bool wait)
{
	if (unlikely(!wait))
		return lock_try_quiet(l);
	lock_acquire(l);
	return true;
}

/*
 * As lock_acquire_for_fork(), for who may have interrupted the holder: false after
 * about @ms in vain.
 */
bool lock_acquire_for_fork_within(struct lock *l, unsigned ms);

static inline void lock_unlock_word(struct lock *l)
{
	if (unlikely(__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) == 2))
		lock_wake(l);
}

static inline void lock_release(struct lock *l)
{
	lock_note_release(l);
	lock_unlock_word(l);
}

/*
 * For fork, which alone holds several locks of one rank: takes and gives back
 * without the order check, in the order of the ranks.
 */
static inline void lock_acquire_for_fork(struct lock *l)
{
	uint32_t free_word = 0;

	if (!__atomic_compare_exchange_n(&l->word, &free_word, 1, false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		lock_wait(l);
}

/* Released after fork: in the child the threads that slept on it do not exist. */
static inline void lock_after_fork(struct lock *l, bool child)
{
	if (child)
		WRITE_ONCE(l->word, 1);
	lock_unlock_word(l);
}

#endif
