/* SPDX-License-Identifier: MIT */
/*
 * Children that libc has made nothing ready for: a copy of the process by the bare system call;
 * by clone() one with a stack of its own, and ones on the process's memory while it waits
 * (CLONE_VFORK, as sandboxes start programs, or a wait for the end). Each allocates, frees its
 * own blocks and its parent's, and the parent goes on with what is left. Where libc's malloc
 * would not bear it, one works beside its parent, on the thread-local storage of both.
 */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "hard.h"

#define ROUNDS 200
#define BLOCKS 200
#define STACK (256 * KIB)

struct set {
	void *block[BLOCKS];
	size_t size[BLOCKS];
	uint64_t rnd;
};

static struct set ours, beside_us;
static char *stack;

static int work(void *arg)
{
	struct set *s = arg;

	for (size_t i = 0; i < BLOCKS; i++) {
		if (s->block[i])
			hard_verify(s->block[i], s->size[i], i);
		free(s->block[i]);
		s->size[i] = hard_rand_size(&s->rnd, i % 20 ? 12 : 19);
		s->block[i] = hard_malloc(s->size[i]);
		hard_fill(s->block[i], s->size[i], i);
	}
	return 0;
}

static int work_long(void *arg)
{
	for (int i = 0; i < ROUNDS; i++)
		work(arg);
	return 0;
}

/* fork() as the kernel has it: no handlers run, no lock is taken for the child. */
static void bare_fork(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	CHECK(pid >= 0, "clone: errno %d", errno);
	if (pid == 0) {
		work(&ours);
		_exit(0);
	}
	hard_reap((pid_t)pid, "copy");
}

static void waited_for(int flags, const char *what)
{
	int pid = clone(work, stack + STACK, flags | SIGCHLD, &ours);

	CHECK(pid >= 0, "%s: errno %d", what, errno);
	hard_reap(pid, what);
}

static void *in_thread(void *arg)
{
	work(&ours);
	return arg;
}

static void all(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		work(&ours);
		bare_fork();
		work(&ours);
		waited_for(0, "copy with a stack");
		work(&ours);
		waited_for(CLONE_VM | CLONE_VFORK, "CLONE_VM with CLONE_VFORK");
		work(&ours);
		waited_for(CLONE_VM, "CLONE_VM");
		work(&ours);
		waited_for(CLONE_VM | CLONE_FS | CLONE_FILES, "CLONE_VM with files");
	}
}

static void both_at_once(void)
{
	for (int i = 0; i < 20; i++) {
		int pid = clone(work_long, stack + STACK, CLONE_VM | SIGCHLD, &beside_us);

		CHECK(pid >= 0, "clone: errno %d", errno);
		work_long(&ours);
		hard_reap(pid, "beside its parent");
	}
}

int main(void)
{
	pthread_t t;

	ours.rnd = hard_seed(31);
	beside_us.rnd = hard_seed(32);
	stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK,
		     -1, 0);
	CHECK(stack != MAP_FAILED, "mmap: errno %d", errno);
	all();
	if (hard_on_stele())
		both_at_once();
	/* Once there was a second thread libc's locks are real ones, and so are ours. */
	hard_start(&t, in_thread, NULL);
	hard_join(t);
	all();
	return 0;
}
