/* SPDX-License-Identifier: MIT */
/*
 * With vm.overcommit_memory=2 the kernel counts every private writable page as if it were in
 * memory, whatever was asked for with it: who reserves takes from others, and is refused. That
 * sum is kept small: at the start, among threads, and in proportion to what is in use.
 */
#include "hard.h"

#define THREADS 8
#define PER_THREAD (4 * MIB)
#define LIVE (64 * MIB)
#define AVERAGE 1024

static pthread_barrier_t full, measured;

/* The kernel's own sum of private writable mappings, stacks left out. */
static size_t charged(void)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long kib = 0;

	CHECK(f, "no /proc/self/status");
	while (fgets(line, sizeof(line), f) && sscanf(line, "VmData: %lu", &kib) != 1)
		;
	fclose(f);
	CHECK(kib, "no VmData");
	return kib * KIB;
}

/* Blocks of 1 to 2048 bytes in a chain, and a large one for each MiB of those. */
static void **take(size_t bytes, uint64_t seed)
{
	uint64_t rnd = hard_seed(seed);
	void **chain = NULL;

	for (size_t sum = 0; sum < bytes; sum += AVERAGE) {
		size_t n = 8 + hard_rand(&rnd) % (2 * AVERAGE - 16);
		void **p = hard_malloc(n);

		*p = chain;
		chain = p;
	}
	return chain;
}

static void give_back(void **chain)
{
	while (chain) {
		void **p = chain;

		chain = *p;
		free(p);
	}
}

static void *in_thread(void *arg)
{
	void **chain = take(PER_THREAD, (uintptr_t)arg);

	pthread_barrier_wait(&full);
	pthread_barrier_wait(&measured);
	give_back(chain);
	return NULL;
}

/* Addresses may be set aside for each thread, as libc's arenas do, but not to be written. */
static void among_threads(size_t start)
{
	pthread_attr_t attr;
	pthread_t t[THREADS];
	size_t sum, most = start + THREADS * (PER_THREAD * 5 / 4 + MIB);

	pthread_barrier_init(&full, NULL, THREADS + 1);
	pthread_barrier_init(&measured, NULL, THREADS + 1);
	pthread_attr_init(&attr);
	CHECK(pthread_attr_setstacksize(&attr, 256 * KIB) == 0, "stack size");
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], &attr, in_thread, (void *)i) == 0, "pthread_create");
	pthread_barrier_wait(&full);
	sum = charged();
	pthread_barrier_wait(&measured);
	for (int i = 0; i < THREADS; i++)
		hard_join(t[i]);
	CHECK(sum <= most, "%zu KiB for %zu MiB in %d threads", sum / KIB,
	      THREADS * PER_THREAD / MIB, THREADS);
}

static void in_one(size_t start)
{
	void **chain = take(LIVE, 100);
	size_t sum = charged();

	CHECK(sum <= start + LIVE * 5 / 4 + MIB, "%zu KiB for %zu MiB", sum / KIB, LIVE / MIB);
	give_back(chain);
}

static void apart(void (*part)(size_t), size_t start, const char *what)
{
	pid_t pid = fork();

	CHECK(pid >= 0, "fork: errno %d", errno);
	if (pid == 0) {
		part(start);
		_exit(0);
	}
	hard_reap(pid, what);
}

int main(void)
{
	size_t start;

	free(hard_malloc(100));
	start = charged();
	CHECK(start <= 4 * MIB, "%zu KiB at the start", start / KIB);
	apart(in_one, start, "one thread");
	apart(among_threads, start, "threads");
	return 0;
}
