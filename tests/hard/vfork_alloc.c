/* SPDX-License-Identifier: MIT */
/*
 * A vfork child shares the memory and the thread pointer of its parent, but not its kernel
 * thread. It allocates and frees before _exit while the parent's other threads do the same.
 */
#include <stdatomic.h>
#include <stdbool.h>

#include "hard.h"

#define ROUNDS 2000
#define THREADS 3
#define BLOCKS 100

static atomic_bool stop;
static void *block[BLOCKS];
static size_t size[BLOCKS];
static void *kept;

static void turn(uint64_t *rnd, void **p, size_t *n, size_t i)
{
	if (p[i])
		hard_verify(p[i], n[i], i);
	free(p[i]);
	n[i] = hard_rand_size(rnd, 12);
	p[i] = hard_malloc(n[i]);
	hard_fill(p[i], n[i], i);
}

static void *worker(void *arg)
{
	uint64_t rnd = hard_seed((uintptr_t)arg);
	void *p[64] = { NULL };
	size_t n[64] = { 0 };
	size_t i;

	while (!atomic_load(&stop))
		turn(&rnd, p, n, hard_rand(&rnd) % ARRAY_LEN(p));
	for (i = 0; i < ARRAY_LEN(p); i++)
		free(p[i]);
	return NULL;
}

__attribute__((noinline)) static void in_child(uint64_t *rnd)
{
	size_t i;

	for (i = 0; i < BLOCKS; i++)
		turn(rnd, block, size, i);
	for (i = 0; i < BLOCKS; i++) {
		hard_verify(block[i], size[i], i);
		free(block[i]);
		block[i] = NULL;
	}
	/* memory is shared: the parent will see and free this one */
	kept = hard_malloc(500);
	hard_fill(kept, 500, 5);
}

__attribute__((noinline)) static void one_vfork(uint64_t *rnd)
{
	pid_t pid = vfork();

	if (pid == 0) {
		in_child(rnd);
		_exit(0);
	}
	CHECK(pid > 0, "vfork: errno %d", errno);
	hard_reap(pid, "vfork child");
}

int main(void)
{
	static uint64_t rnd;
	pthread_t t[THREADS];
	uintptr_t i;

	rnd = hard_seed(16);
	for (i = 0; i < THREADS; i++)
		hard_start(&t[i], worker, (void *)i);
	for (i = 0; i < ROUNDS; i++) {
		void *before = hard_malloc(500);

		hard_fill(before, 500, 6);
		one_vfork(&rnd);
		hard_verify(before, 500, 6);
		hard_verify(kept, 500, 5);
		CHECK(kept != before, "the child was given a live block");
		free(before);
		free(kept);
		turn(&rnd, block, size, i % BLOCKS);
	}
	atomic_store(&stop, true);
	for (i = 0; i < THREADS; i++)
		hard_join(t[i]);
	return 0;
}
