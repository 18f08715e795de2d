/* SPDX-License-Identifier: MIT */
/*
 * The real-time recipe: no trim, no mappings, all memory locked, the working set had once and given
 * back. After that malloc and free, in two threads, make no system call and take no page fault.
 *
 * A thread that is preempted in the middle of malloc may hold a lock, and the other may have to
 * wait for it: so much of futex is allowed, and as many switches were forced upon the process.
 */
#include <malloc.h>

#include "watch.h"

#define SLOTS 4000
#define OPERATIONS 5000000	/* by each of two threads */
#define STACK (256 * KIB)
#define MARGIN (2 * MIB)

struct worker {
	pthread_t thread;
	uint64_t rand;
	void *p[SLOTS];
	size_t size[SLOTS];
	int state;
};
enum { STARTED, HAS_ALL, GIVE, WARM, GO, DONE };

static struct worker worker[2];

static void choose_sizes(struct worker *w)
{
	for (size_t i = 0; i < SLOTS; i++)
		w->size[i] = hard_rand_size(&w->rand, i % 16 ? 12 : 16);
}

static void take_all(struct worker *w)
{
	for (size_t i = 0; i < SLOTS; i++) {
		w->p[i] = hard_malloc(w->size[i]);
		touch(w->p[i], w->size[i]);
	}
}

static void give_all(struct worker *w)
{
	for (size_t i = 0; i < SLOTS; i++) {
		free(w->p[i]);
		w->p[i] = NULL;
	}
}

/* Any part of the working set may be there at a time, never more than all of it. */
static void operate(struct worker *w)
{
	for (size_t k = 0; k < OPERATIONS; k++) {
		uint64_t r = hard_rand(&w->rand);
		size_t i = (r >> 8) % SLOTS, n = w->size[i];

		if (w->p[i]) {
			free(w->p[i]);
			w->p[i] = NULL;
			continue;
		}
		w->p[i] = r % 8 ? malloc(n) : calloc(n, 1);
		CHECK(w->p[i], "no %zu bytes", n);
		*(volatile char *)w->p[i] = 1;
		((volatile char *)w->p[i])[n - 1] = 1;
	}
}

static void set_state(struct worker *w, int state)
{
	__atomic_store_n(&w->state, state, __ATOMIC_RELEASE);
}

static void wait_state(struct worker *w, int state)
{
	while (__atomic_load_n(&w->state, __ATOMIC_ACQUIRE) != state)
		;
}

static void *other(void *arg)
{
	struct worker *w = arg;

	take_all(w);
	set_state(w, HAS_ALL);
	wait_state(w, GIVE);
	give_all(w);
	set_state(w, WARM);
	wait_state(w, GO);
	operate(w);
	set_state(w, DONE);
	/* not to end here: that would be a system call */
	for (;;)
		;
	return NULL;
}

static void start_other(struct worker *w)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	CHECK(pthread_create(&w->thread, &attr, other, w) == 0, "pthread_create");
	pthread_attr_destroy(&attr);
}

/* All but what the test itself needs: to ask for the faults, and to end. */
static void allow_nothing(void)
{
	static const int nr[] = { SYS_getrusage, SYS_write, SYS_exit_group, SYS_rt_sigreturn };

	watch_start(nr, ARRAY_LEN(nr), 1);
}

/* Switches that the process did not ask for. */
static long preemptions(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_nivcsw;
}

static void check_calls(long preempted)
{
	unsigned int futex = watch_count(SYS_futex);

	CHECK(watched.count == futex, "%u system calls: brk %u, madvise %u, futex %u, membarrier %u",
	      watched.count, watch_count(SYS_brk), watch_count(SYS_madvise), futex,
	      watch_count(SYS_membarrier));
	/* one waits, the other wakes it */
	CHECK(futex <= 2 * preempted, "%u calls of futex, preempted %ld times", futex, preempted);
}

/* Where little may be locked, a heap that grows fails. */
static void lock_all(void)
{
	void *p;

	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		SKIP("mlockall: errno %d", errno);
	p = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		SKIP("64 MiB cannot be locked: errno %d", errno);
	munmap(p, 64 * MIB);
}

int main(void)
{
	struct mallinfo2 m;
	size_t heap, resident;
	long before, preempted;
	const char *conf = getenv("STELE_CONF");
	/* more slots than CPUs may each hold some of every size */
	size_t room = conf && strstr(conf, "locked") ? 4 * MARGIN : 2 * MARGIN;
	void *margin;

	mallopt(M_TRIM_THRESHOLD, -1);
	mallopt(M_MMAP_MAX, 0);
	lock_all();
	worker[0].rand = hard_seed(1);
	worker[1].rand = hard_seed(2);
	choose_sizes(&worker[0]);
	choose_sizes(&worker[1]);
	take_all(&worker[0]);
	m = mallinfo2();
	heap = m.arena + m.hblkhd;
	resident = rss();
	CHECK(resident <= heap + 4 * MIB, "%zu KiB resident, heap %zu KiB", resident >> 10,
	      heap >> 10);

	start_other(&worker[1]);
	wait_state(&worker[1], HAS_ALL);
	/* Blocks that come in another order lie in other slabs: room for that. */
	margin = hard_malloc(room);
	touch(margin, room);
	free(margin);
	give_all(&worker[0]);
	set_state(&worker[1], GIVE);
	wait_state(&worker[1], WARM);
	allow_nothing();
	preempted = preemptions();
	before = faults();
	set_state(&worker[1], GO);
	operate(&worker[0]);
	wait_state(&worker[1], DONE);
	before = faults() - before;
	check_calls(preemptions() - preempted);
	CHECK(before == 0, "%ld page faults", before);
	_exit(0);
}
