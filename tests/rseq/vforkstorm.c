/* SPDX-License-Identifier: MIT */
/*
 * Two threads vfork without pause, children within children, some into exec, some that the
 * kernel refuses, then the same by clone(CLONE_VM | CLONE_VFORK); each child allocates and frees on its parent's memory, while siblings run
 * at full speed. When all is done nothing is lost.
 */
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "filter.h"
#include "owner.h"

#define SIBLINGS 3
#define PARENTS 2
#define VFORKS 300
#define SECONDS 0.6

static struct owner sibling[SIBLINGS], parent[PARENTS];
static atomic_bool stop;
static bool all_kinds, by_clone;

static void *sibling_run(void *arg)
{
	uintptr_t me = (uintptr_t)arg;

	owner_init(&sibling[me], 20 + (unsigned)me, 1024);
	while (!atomic_load(&stop))
		owner_round(&sibling[me]);
	owner_end(&sibling[me]);
	return NULL;
}

/* The parent waits in vfork, so its blocks and its word are the child's. */
__attribute__((noinline)) static void in_child(struct owner *o)
{
	owner_burst(o, 16 + hard_rand(&o->rnd) % 1000);
	for (int i = 0; i < 300; i++)
		owner_turn(o);
}

__attribute__((noinline)) static void one_vfork(struct owner *o, int depth)
{
	pid_t pid = vfork();

	if (pid == 0) {
		in_child(o);
		if (depth)
			one_vfork(o, depth - 1);
		in_child(o);
		_exit(0);
	}
	CHECK(pid > 0, "vfork: errno %d", errno);
	owner_turn(o);
	hard_reap(pid, "vfork child");
}

/* What vfork() does, by a program that wants a stack for its child, as sandboxes do. */
static int cloned(void *o)
{
	in_child(o);
	_exit(0);
}

static void one_clone(struct owner *o)
{
	const size_t size = 256 * KIB;
	char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	CHECK(stack != MAP_FAILED, "mmap: errno %d", errno);
	pid = clone(cloned, stack + size, CLONE_VM | CLONE_VFORK | SIGCHLD, o);
	CHECK(pid > 0, "clone: errno %d", errno);
	owner_turn(o);
	hard_reap(pid, "clone child");
	munmap(stack, size);
}

__attribute__((noinline)) static void vfork_exec(struct owner *o)
{
	static char *const argv[] = { (char *)"true", NULL }, *const env[] = { NULL };
	pid_t pid = vfork();

	if (pid == 0) {
		in_child(o);
		execve("/bin/true", argv, env);
		_exit(1);
	}
	CHECK(pid > 0, "vfork: errno %d", errno);
	hard_reap(pid, "vfork and exec");
}

static void *parent_run(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	struct owner *o = &parent[me];
	double end = hard_now() + SECONDS;

	owner_init(o, 40 + (unsigned)me, 1024);
	for (int i = 0; i < VFORKS && hard_now() < end; i++) {
		if (by_clone)
			one_clone(o);
		else
			one_vfork(o, i % 3);
		if (all_kinds && i % 16 == 0)
			vfork_exec(o);
		for (int k = 0; k < 100; k++)
			owner_turn(o);
	}
	owner_end(o);
	return NULL;
}

static void run(bool kinds, bool clones)
{
	pthread_t s[SIBLINGS], p[PARENTS];

	all_kinds = kinds;
	by_clone = clones;
	atomic_store(&stop, false);
	for (uintptr_t i = 0; i < SIBLINGS; i++)
		owner_start(&s[i], sibling_run, (void *)i);
	for (uintptr_t i = 0; i < PARENTS; i++)
		owner_start(&p[i], parent_run, (void *)i);
	for (int i = 0; i < PARENTS; i++)
		hard_join(p[i]);
	atomic_store(&stop, true);
	for (int i = 0; i < SIBLINGS; i++)
		hard_join(s[i]);
}

#ifdef SYS_vfork
__attribute__((noinline)) static void refused_vfork(void)
{
	pid_t pid;

	errno = 0;
	pid = vfork();
	if (pid == 0)
		_exit(1);
	CHECK(pid == -1 && errno == EAGAIN, "vfork: %d, errno %d", pid, errno);
}

static void *refused(void *arg)
{
	struct owner o;

	(void)arg;
	if (filter_refuse(SYS_vfork, EAGAIN))
		return NULL;
	owner_init(&o, 60, 1024);
	for (int i = 0; i < 100; i++) {
		refused_vfork();
		owner_round(&o);
	}
	owner_end(&o);
	return NULL;
}
#else
static void *refused(void *arg)
{
	return arg;
}
#endif

int main(void)
{
	pthread_t t;
	size_t before, after;

	owner_start(&t, refused, NULL);
	run(false, false);
	hard_join(t);
	before = mallinfo2().uordblks;
	run(true, false);
	run(false, true);
	after = mallinfo2().uordblks;
	if (hard_on_stele())
		CHECK(after == before, "%zu bytes in use before, %zu after", before, after);
	return 0;
}
