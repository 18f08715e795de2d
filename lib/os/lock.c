/* SPDX-License-Identifier: MIT */
#include "os/lock.h"

#include "os/bug.h"
#include "os/os.h"

#define SPINS	100
#define STEP_MS	5u

__cold_path void lock_wait(struct lock *l)
{
	for (int i = 0; i < SPINS; i++) {
		uint32_t free_word = 0;

		cpu_relax();
		if (READ_ONCE(l->word) == 0 &&
		    __atomic_compare_exchange_n(&l->word, &free_word, 1, false,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return;
	}
	for (;;) {
		uint32_t word = READ_ONCE(l->word);

		/* Who holds it quietly will not wake us. Not a yield: we may outrank him. */
		if (word == LOCK_QUIET) {
			os_nap(NAP_US);
			continue;
		}
		/* Taking it as 2 may wake one sleeper too many, never one too few. */
		if (!__atomic_compare_exchange_n(&l->word, &word, 2, false, __ATOMIC_ACQUIRE,
						 __ATOMIC_RELAXED))
			continue;
		if (word == 0)
			return;
		os_futex_wait(&l->word, 2);
	}
}

bool lock_acquire_for_fork_within(struct lock *l, unsigned ms)
{
	for (unsigned us = 0; us < ms * 1000; ) {
		uint32_t word = READ_ONCE(l->word);

		if (word == LOCK_QUIET) {
			os_nap(NAP_US);
			us += NAP_US;
			continue;
		}
		if (!__atomic_compare_exchange_n(&l->word, &word, 2, false, __ATOMIC_ACQUIRE,
						 __ATOMIC_RELAXED))
			continue;
		if (word == 0)
			return true;
		os_futex_wait_ms(&l->word, 2, STEP_MS);
		us += STEP_MS * 1000;
	}
	/* The last sleep may have ended by a release that woke nobody else. */
	lock_wake(l);
	return false;
}

__cold_path void lock_wake(struct lock *l)
{
	os_futex_wake(&l->word, 1);
}

#ifdef STELE_DEBUG

static __thread uint32_t held;	/* one bit per rank this thread holds */

/*
 * A quiet holder may be a signal handler that interrupted the holder of any lock:
 * it only tries, so there is no order to keep, and "held" is not its own.
 */
void lock_note_acquire(const struct lock *l)
{
	if (READ_ONCE(l->word) == LOCK_QUIET)
		return;
	if (held >> l->rank)
		bug("lock order: rank %u taken while holding %x", l->rank, held);
	held |= 1u << l->rank;
}

void lock_note_release(const struct lock *l)
{
	if (READ_ONCE(l->word) == LOCK_QUIET)
		return;
	if (!(held & (1u << l->rank)))
		bug("lock order: rank %u released but not held", l->rank);
	held &= ~(1u << l->rank);
}

#endif
