/* SPDX-License-Identifier: MIT */
/*
 * Threads without a registration among others that have one: there the area says CPU -1, and
 * its other fields a number 0 that is not theirs. Where libc registers (and would not start a
 * thread that it cannot register) they give it up themselves; where the library does, a
 * filter refuses it to all threads born from then on. After that the kernel refuses the
 * fence: nobody can be stopped any more, so nothing may be drained.
 */
#include <malloc.h>
#include <sys/syscall.h>

#include "filter.h"
#include "owner.h"

#ifndef SYS_rseq
#define SYS_rseq 334
#endif

#define RSEQ_UNREGISTER 1
#define RSEQ_SIGNATURE 0x53053053

#define THREADS 3
#define ROUNDS 2000
#define SECONDS 0.5

/* glibc 2.35 and later */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned __rseq_size __attribute__((weak));

static atomic_bool stop;

static bool libc_registers(void)
{
	return &__rseq_size && &__rseq_offset && __rseq_size;
}

/* What was registered is 32 bytes, whatever size is told of. */
static void unregister(void)
{
	char *area = (char *)__builtin_thread_pointer() + __rseq_offset;
	volatile int *cpu_id = (volatile int *)(area + 4);

	if (*cpu_id < 0)
		return;
	CHECK(!syscall(SYS_rseq, area, 32, RSEQ_UNREGISTER, RSEQ_SIGNATURE), "errno %d", errno);
	CHECK(*cpu_id == -1, "cpu_id is %d", *cpu_id);
}

static void *old_worker(void *arg)
{
	struct owner owner;

	owner_init(&owner, (unsigned)(uintptr_t)arg, 2048);
	while (!atomic_load(&stop))
		owner_round(&owner);
	owner_end(&owner);
	return NULL;
}

static void *new_worker(void *arg)
{
	struct owner owner;

	if (libc_registers())
		unregister();
	owner_init(&owner, (unsigned)(uintptr_t)arg, 2048);
	owner_run(&owner, ROUNDS, SECONDS);
	owner_end(&owner);
	return NULL;
}

static void run_new(unsigned base)
{
	pthread_t t[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		owner_start(&t[i], new_worker, (void *)(uintptr_t)(base + i));
	for (int i = 0; i < 20; i++) {
		malloc_trim(0);
		hard_usleep(1000);
	}
	for (int i = 0; i < THREADS; i++)
		hard_join(t[i]);
}

static void fork_and_allocate(void)
{
	struct owner owner;
	pid_t pid = fork();

	CHECK(pid >= 0, "fork: errno %d", errno);
	if (pid == 0) {
		owner_init(&owner, 99, 2048);
		owner_run(&owner, 20, SECONDS);
		malloc_trim(0);
		owner_end(&owner);
		_exit(0);
	}
	hard_reap(pid, "child behind the filter");
}

int main(void)
{
	pthread_t old;
	struct owner owner;

	owner_init(&owner, 50, 2048);
	owner_run(&owner, 100, SECONDS);
	owner_start(&old, old_worker, (void *)(uintptr_t)10);
	if (!libc_registers() && filter_refuse(SYS_rseq, EPERM))
		SKIP("no seccomp filters: errno %d", errno);
	run_new(20);
	if (filter_refuse(SYS_membarrier, EPERM))
		SKIP("no seccomp filters: errno %d", errno);
	run_new(30);
	for (int i = 0; i < 10; i++)
		fork_and_allocate();
	owner_run(&owner, 100, SECONDS);
	atomic_store(&stop, true);
	hard_join(old);
	owner_end(&owner);
	return 0;
}
