/* SPDX-License-Identifier: MIT */
/*
 * Where a filter refuses a system call that the program itself does not make, it goes on: by
 * other means, or with more memory than it would need. From the first instruction on.
 */
#include <malloc.h>
#include <sys/syscall.h>

#include "../rseq/filter.h"
#include "hard.h"

#define SLOTS 200
#define THREADS 3

static const struct {
	const char *name;
	unsigned nr;
} calls[] = {
	{"madvise", SYS_madvise},
	{"membarrier", SYS_membarrier},
	{"mincore", SYS_mincore},
	{"mremap", SYS_mremap},
	{"sched_getaffinity", SYS_sched_getaffinity},
	{"sched_yield", SYS_sched_yield},
	{"sysinfo", SYS_sysinfo},
	{"clock_gettime", SYS_clock_gettime},
	{"getrandom", SYS_getrandom},
};

static void *churn(void *arg)
{
	uint64_t rnd = hard_seed((uintptr_t)arg);
	char *p[SLOTS] = {NULL};
	size_t n[SLOTS];

	for (int i = 0; i < 5000; i++) {
		size_t k = hard_rand(&rnd) % SLOTS, old = p[k] ? n[k] : 0;

		n[k] = hard_rand_size(&rnd, i % 50 ? 14 : 23);
		p[k] = realloc(p[k], n[k]);
		CHECK(p[k], "%zu bytes: errno %d", n[k], errno);
		hard_verify_part(p[k], old, k, n[k]);
		hard_fill(p[k], n[k], k);
	}
	for (size_t k = 0; k < SLOTS; k++)
		free(p[k]);
	return NULL;
}

static void work(void)
{
	pthread_t t[THREADS];
	pid_t pid;

	for (size_t i = 0; i < THREADS; i++)
		hard_start(&t[i], churn, (void *)(i + 1));
	for (size_t i = 0; i < THREADS; i++)
		hard_join(t[i]);
	errno = 0;
	malloc_trim(0);
	pid = fork();
	if (pid == 0) {
		churn(NULL);
		_exit(0);
	}
	hard_reap(pid, "fork");
	/* What is freed and cannot be given back is used again. */
	for (int i = 0; i < 50; i++)
		free(memset(hard_malloc(20 * MIB), 1, 20 * MIB));
	CHECK(hard_rss() < 200 * MIB, "%zu MiB in memory", hard_rss() / MIB);
}

static void run_without(const char *self, const char *name, unsigned nr, unsigned err)
{
	pid_t pid = fork();

	CHECK(pid >= 0, "fork: errno %d", errno);
	if (pid == 0) {
		CHECK(!filter_refuse(nr, err), "%s: errno %d", name, errno);
		execl("/proc/self/exe", self, name, (char *)NULL);
		_exit(126);
	}
	hard_reap(pid, name);
}

static void need_filters(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0, "fork: errno %d", errno);
	if (pid == 0)
		_exit(filter_refuse(SYS_sysinfo, EPERM) != 0);
	CHECK(waitpid(pid, &status, 0) == pid, "waitpid: errno %d", errno);
	if (status)
		SKIP("no seccomp filters");
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		work();
		return 0;
	}
	need_filters();
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		run_without(argv[0], calls[i].name, calls[i].nr, EPERM);
		run_without(argv[0], calls[i].name, calls[i].nr, ENOSYS);
	}
	return 0;
}
