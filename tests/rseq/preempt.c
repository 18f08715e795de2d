/* SPDX-License-Identifier: MIT */
/* 32 threads on one class, each with a timer of its own that interrupts it 2,000 times a second. */
#include <signal.h>
#include <sys/syscall.h>

#include "owner.h"

#define THREADS 32
#define ROUNDS 20000
#define SECONDS 1.0
#define TICKS 500	/* or as long as these take, where others have the CPUs */
#define PERIOD_NS 500000

static atomic_ulong ticks;

static void tick(int sig)
{
	(void)sig;
	atomic_fetch_add_explicit(&ticks, 1, memory_order_relaxed);
}

static timer_t start_timer(void)
{
	struct itimerspec every = { { 0, PERIOD_NS }, { 0, PERIOD_NS } };
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	timer_t timer;

	ev._sigev_un._tid = (int)syscall(SYS_gettid);
	CHECK(!timer_create(CLOCK_MONOTONIC, &ev, &timer), "timer_create: errno %d", errno);
	CHECK(!timer_settime(timer, 0, &every, NULL), "timer_settime: errno %d", errno);
	return timer;
}

static void *worker(void *arg)
{
	struct owner owner;
	timer_t timer = start_timer();
	double end;

	/* 100 .. 112 bytes: one class */
	owner_init(&owner, (unsigned)(uintptr_t)arg, 2048);
	end = hard_now() + SECONDS;
	for (int round = 0; round < ROUNDS &&
	     (hard_now() < end || atomic_load(&ticks) <= TICKS); round++) {
		for (unsigned i = 0; i < 256; i++) {
			struct owned *b = &owner.b[hard_rand(&owner.rnd) % OWNER_BLOCKS];

			owner_put(b);
			owner_get(&owner, b, 100 + i % 13);
		}
		owner_burst(&owner, 112);
	}
	timer_delete(timer);
	owner_end(&owner);
	return NULL;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = tick, .sa_flags = SA_RESTART };
	pthread_t t[THREADS];

	CHECK(!sigaction(SIGALRM, &sa, NULL), "errno %d", errno);
	for (uintptr_t i = 0; i < THREADS; i++)
		owner_start(&t[i], worker, (void *)i);
	for (int i = 0; i < THREADS; i++)
		hard_join(t[i]);
	CHECK(atomic_load(&ticks) > TICKS, "%lu signals", atomic_load(&ticks));
	return 0;
}
