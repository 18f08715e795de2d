/* SPDX-License-Identifier: MIT */
/*
 * After its first request the library opens no file: a program that has locked itself out of
 * the file system goes on, threads, trims, forks and memory that runs out included.
 */
#include <malloc.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "../rseq/filter.h"
#include "hard.h"

#define THREADS 4
#define SLOTS 300

static void *churn(void *arg)
{
	uint64_t rand = hard_seed((unsigned)(uintptr_t)arg);
	char *p[SLOTS] = { NULL };
	size_t n[SLOTS];

	for (int i = 0; i < 20000; i++) {
		size_t k = hard_rand(&rand) % SLOTS;

		if (p[k])
			hard_verify(p[k], n[k], n[k]);
		free(p[k]);
		n[k] = hard_rand_size(&rand, i % 100 ? 14 : 23);
		p[k] = i % 3 ? malloc(n[k]) : memalign(64, n[k]);
		CHECK(p[k], "%zu bytes: errno %d", n[k], errno);
		hard_fill(p[k], n[k], n[k]);
	}
	for (size_t k = 0; k < SLOTS; k++)
		free(p[k]);
	return NULL;
}

static void work(void)
{
	pthread_t t[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		hard_start(&t[i], churn, (void *)(i + 1));
	for (size_t i = 0; i < THREADS; i++)
		hard_join(t[i]);
	malloc_trim(0);
	CHECK(mallinfo2().arena + mallinfo2().hblkhd < GIB, "%zu", mallinfo2().arena);
}

int main(void)
{
	struct rlimit room = { 600 * MIB, 600 * MIB };
	pid_t pid;

	free(hard_malloc(10));
#ifdef SYS_open
	if (filter_kill_at(SYS_open))
		SKIP("no seccomp filter here: errno %d", errno);
#endif
	if (filter_kill_at(SYS_openat))
		SKIP("no seccomp filter here: errno %d", errno);
	work();
	pid = fork();
	if (pid == 0) {
		work();
		CHECK(!setrlimit(RLIMIT_AS, &room), "errno %d", errno);
		CHECK(!malloc(hard_size(GIB)) && errno == ENOMEM, "errno %d", errno);
		work();
		_exit(0);
	}
	hard_reap(pid, "child");
	return 0;
}
