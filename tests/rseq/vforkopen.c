/* SPDX-License-Identifier: MIT */
/*
 * While a vfork child is alive all hit paths are closed. They must open again: after children
 * that ended, went into exec, had children themselves, or were refused; and in a child of
 * fork that was made meanwhile. An open one shows in the steps of malloc and free.
 */
#include <sys/syscall.h>

#include "filter.h"
#include "owner.h"
#include "step.h"

static int gate[2];

__attribute__((noinline)) static void nested(int depth)
{
	pid_t pid = vfork();

	if (pid == 0) {
		free(hard_malloc(32));
		if (depth)
			nested(depth - 1);
		_exit(0);
	}
	CHECK(pid > 0, "vfork: errno %d", errno);
	hard_reap(pid, "vfork child");
}

__attribute__((noinline)) static void into_exec(void)
{
	static char *const argv[] = { (char *)"true", NULL }, *const env[] = { NULL };
	pid_t pid = vfork();

	if (pid == 0) {
		execve("/bin/true", argv, env);
		_exit(1);
	}
	CHECK(pid > 0, "vfork: errno %d", errno);
	hard_reap(pid, "vfork and exec");
}

__attribute__((noinline)) static void refused(void)
{
#ifdef SYS_vfork
	pid_t pid;

	if (filter_refuse(SYS_vfork, EAGAIN))
		return;
	errno = 0;
	pid = vfork();
	if (pid == 0)
		_exit(1);
	CHECK(pid == -1 && errno == EAGAIN, "vfork: %d, errno %d", pid, errno);
#endif
}

static void pair(void)
{
	void *p;

	step_mark();
	p = malloc(32);
	free(p);
	step_mark();
	CHECK(p, "no block");
}

static void after_each(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50; i++)
		free(hard_malloc(32));
	pair();
	nested(0);
	pair();
	nested(2);
	pair();
	into_exec();
	pair();
	refused();
	pair();
}

/* The vfork child waits for a byte, and its parent for it. */
static void *hold_open(void *arg)
{
	pid_t pid = vfork();
	char c;

	if (pid == 0)
		_exit(read(gate[0], &c, 1) != 1);
	CHECK(pid > 0, "vfork: errno %d", errno);
	hard_reap(pid, "vfork child");
	return arg;
}

static void once(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50; i++)
		free(hard_malloc(32));
	pair();
}

/* Exactly so where the path is open; the slow one is not that regular. */
static bool as_open(unsigned long steps, unsigned long open)
{
	return steps <= open + open / 4;
}

static unsigned long walk_pair(pid_t pid)
{
	CHECK(step_to_mark(pid), "no mark");
	return step_walk(pid, NULL, NULL, -1);
}

static void *run_once(void *arg)
{
	pid_t pid = step_start(once, NULL);

	*(unsigned long *)arg = walk_pair(pid);
	CHECK(!step_to_mark(pid), "one mark too many");
	return NULL;
}

int main(void)
{
	unsigned long open, steps;
	pthread_t t;
	pid_t pid;

	if (!step_can_clear())
		SKIP("libc registers no area");
	pid = step_start(after_each, NULL);
	open = walk_pair(pid);
	for (int i = 0; i < 4; i++) {
		steps = walk_pair(pid);
		CHECK(as_open(steps, open), "%lu steps after vfork, %lu before (%d)", steps, open,
		      i);
	}
	CHECK(!step_to_mark(pid), "one mark too many");

	run_once(&open);
	CHECK(!pipe(gate), "errno %d", errno);
	hard_start(&t, hold_open, NULL);
	hard_usleep(20000);
	run_once(&steps);
	CHECK(write(gate[1], "", 1) == 1, "errno %d", errno);
	hard_join(t);
	CHECK(as_open(steps, open), "%lu steps in a child made during a vfork, else %lu", steps,
	      open);
	return 0;
}
