/* SPDX-License-Identifier: MIT */
/*
 * malloc and free are stopped at each instruction of theirs in turn, and there the thread
 * changes CPUs with another one that allocates and frees of the same class at full speed.
 * What it has read of the CPU that it left must not count any more.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "owner.h"
#include "step.h"

#define SIZE 48
#define SWAPS 1500
#define SWAPS_MIN 20
#define SECONDS 0.7

static atomic_int *other;	/* shared: the other thread's number */
static cpu_set_t all;

static void *busy(void *arg)
{
	struct owner o;

	owner_init(&o, 2, SIZE);
	atomic_store(other, (int)syscall(SYS_gettid));
	/* one block: nearly all the time is in malloc and free */
	for (;;) {
		owner_get(&o, &o.b[0], SIZE);
		owner_put(&o.b[0]);
	}
	return arg;
}

static void traced(void *arg)
{
	bool frees = *(bool *)arg;
	struct owner o;
	pthread_t t;

	owner_init(&o, 1, SIZE);
	owner_burst(&o, SIZE);
	owner_start(&t, busy, NULL);
	while (!atomic_load(other))
		sched_yield();
	for (;;) {
		if (frees)
			owner_get(&o, &o.b[0], SIZE);
		step_mark();
		if (frees)
			owner_put(&o.b[0]);
		else
			owner_get(&o, &o.b[0], SIZE);
		step_mark();
		if (!frees)
			owner_put(&o.b[0]);
	}
}

static void swap(pid_t pid, unsigned n)
{
	cpu_set_t here = owner_cpu(&all, n), there = owner_cpu(&all, n + 1);

	sched_setaffinity(pid, sizeof(here), &here);
	sched_setaffinity(atomic_load(other), sizeof(there), &there);
}

static void run(bool frees)
{
	struct step_code code = step_code(frees ? "free" : "malloc");
	double end = hard_now() + SECONDS;
	struct step_path path;
	unsigned i, done = 0;
	pid_t pid;

	atomic_store(other, 0);
	pid = step_start(traced, &frees);
	CHECK(step_to_mark(pid), "the child ended");
	swap(pid, 0);
	step_walk(pid, &code, &path, -1);
	CHECK(path.n >= 3, "%u instructions", path.n);
	/* A busy machine may have used up the time on the walk. */
	for (i = 0; i < SWAPS && (i < SWAPS_MIN || hard_now() < end); i++) {
		CHECK(step_to_mark(pid), "the child ended");
		if (!step_thread_to(pid, path.ip[i % path.n]))
			continue;
		swap(pid, i % 2 + 1);
		step_on(pid, 0);
		done++;
	}
	/* where the path is closed, a walk may come by what a run does not */
	CHECK(done > i / 2, "%u of %u", done, i);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	CHECK(!sched_getaffinity(0, sizeof(all), &all), "errno %d", errno);
	if (CPU_COUNT(&all) < 2)
		SKIP("one CPU");
	other = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(other != MAP_FAILED, "errno %d", errno);
	run(false);
	run(true);
	return 0;
}
