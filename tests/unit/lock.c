/* SPDX-License-Identifier: MIT */
/* lib/os/lock.c: exclusion, sleepers, ranks. */
#include "common.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "os/lock.h"
#include "os/os.h"

#define THREADS 4
#define ROUNDS 20000

static struct lock a = LOCK_INIT(RANK_CACHE), b = LOCK_INIT(RANK_ZONE);
static long plain, tried;	/* not atomic: the lock must do it */

static void *count_up(void *arg __unused_arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		lock_acquire(&a);
		plain++;
		if (i % 64 == 0)
			sched_yield();	/* a preempted holder */
		lock_release(&a);
		if (lock_try(&a)) {
			plain++;
			tried++;
			lock_release(&a);
		}
	}
	return NULL;
}

START_TEST(exclusion)
{
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, count_up, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	ck_assert_int_eq(plain, THREADS * ROUNDS + tried);
	ck_assert_uint_eq(a.word, 0);
}
END_TEST

static void *sleeper(void *arg)
{
	lock_acquire(&a);
	++*(int *)arg;
	lock_release(&a);
	return NULL;
}

/* All who sleep are woken, one after the other. */
START_TEST(sleepers_wake)
{
	pthread_t t[THREADS];
	int woken = 0;

	lock_acquire(&a);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, sleeper, &woken), 0);
	while (READ_ONCE(a.word) != 2)
		sched_yield();
	ck_assert_int_eq(woken, 0);
	lock_release(&a);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	ck_assert_int_eq(woken, THREADS);
	ck_assert_uint_eq(READ_ONCE(a.word), 0);
}
END_TEST

static void *impatient(void *arg __unused_arg)
{
	if (lock_acquire_for_fork_within(&a, 1))
		lock_after_fork(&a, false);
	return NULL;
}

/* Who gives up may be the one that the release has woken: others sleep too. */
START_TEST(giving_up_wakes)
{
	for (int i = 0; i < 50; i++) {
		pthread_t first, t;
		int woken = 0;

		lock_acquire(&a);
		ck_assert_int_eq(pthread_create(&first, NULL, impatient, NULL), 0);
		while (READ_ONCE(a.word) != 2)
			sched_yield();
		usleep(500);
		ck_assert_int_eq(pthread_create(&t, NULL, sleeper, &woken), 0);
		usleep(1000);
		lock_release(&a);
		pthread_join(first, NULL);
		pthread_join(t, NULL);
		ck_assert_int_eq(woken, 1);
	}
}
END_TEST

START_TEST(try_fails_when_held)
{
	ck_assert(lock_try(&a));
	ck_assert_uint_eq(a.word, 1);
	ck_assert(!lock_try(&a));
	lock_acquire(&b);
	lock_release(&b);
	lock_release(&a);
	ck_assert(lock_try(&a));
	lock_release(&a);
}
END_TEST

/* In the child the sleepers of the parent do not exist. */
START_TEST(after_fork)
{
	lock_acquire_for_fork(&a);
	lock_acquire_for_fork(&b);
	lock_after_fork(&b, false);
	lock_after_fork(&a, false);
	ck_assert_uint_eq(a.word, 0);
	lock_acquire_for_fork(&a);
	a.word = 2;
	lock_after_fork(&a, true);
	ck_assert_uint_eq(a.word, 0);
	lock_acquire(&a);
	lock_release(&a);
}
END_TEST

/* Nobody sleeps on a lock that is held quietly, so its release wakes nobody; and all get it. */
START_TEST(quiet)
{
	pthread_t t[THREADS];
	int woken = 0;

	ck_assert(lock_try_quiet(&a));
	ck_assert(!lock_try_quiet(&a));
	ck_assert(!lock_try(&a));
	ck_assert(!lock_enter(&a, false));
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, sleeper, &woken), 0);
	usleep(20000);
	ck_assert_int_eq(woken, 0);
	ck_assert_uint_eq(READ_ONCE(a.word), LOCK_QUIET);
	lock_release(&a);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	ck_assert_int_eq(woken, THREADS);
	/* the order of ranks does not bind who only tries */
	lock_acquire(&b);
	ck_assert(lock_try_quiet(&a));
	lock_release(&a);
	lock_release(&b);
	ck_assert(lock_enter(&a, true));
	lock_release(&a);
}
END_TEST

/* Between the release that wakes one of several sleepers and that one's turn. */
static void *quietly(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (lock_try_quiet(&a)) {
			plain++;
			++*(long *)arg;
			lock_release(&a);
		}
	}
	return NULL;
}

START_TEST(quiet_among_others)
{
	pthread_t t[THREADS], q;
	long quiet_turns = 0;

	plain = tried = 0;
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, count_up, NULL), 0);
	ck_assert_int_eq(pthread_create(&q, NULL, quietly, &quiet_turns), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	pthread_join(q, NULL);
	ck_assert_int_eq(plain, THREADS * ROUNDS + tried + quiet_turns);
	ck_assert_uint_eq(a.word, 0);
}
END_TEST

#ifdef STELE_DEBUG
static void wrong_order(void *arg __unused_arg)
{
	lock_acquire(&b);
	lock_acquire(&a);
}

static void same_rank(void *arg)
{
	lock_acquire(&a);
	lock_acquire(arg);
}

static void not_held(void *arg __unused_arg)
{
	lock_release(&a);
}

START_TEST(ranks)
{
	struct lock other = LOCK_INIT(RANK_CACHE);

	lock_acquire(&a);
	lock_acquire(&b);
	lock_release(&a);	/* in any order */
	lock_release(&b);
	ck_assert(fake_aborts(not_held, NULL));
	must_say("released but not held");
	fake_text_clear();
	ck_assert(fake_aborts(same_rank, &other));
	must_say("stele: lock order");
}
END_TEST

START_TEST(rank_order)
{
	ck_assert(fake_aborts(wrong_order, NULL));
	must_say("stele: lock order");
}
END_TEST
#endif

int main(void)
{
	const TTest *const tests[] = {
		exclusion, sleepers_wake, giving_up_wakes, try_fails_when_held, after_fork, quiet,
		quiet_among_others,
#ifdef STELE_DEBUG
		ranks, rank_order,
#endif
	};

	return unit_run("lock", tests, ARRAY_SIZE(tests));
}
