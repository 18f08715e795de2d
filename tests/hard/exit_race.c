/* SPDX-License-Identifier: MIT */
/* main calls exit while 8 threads are in the midst of malloc and free, 200 times. */
#include "hard.h"

#define PROCESSES 200
#define THREADS 8
#define CHILD_SECONDS 100

static void *early;

static void *worker(void *arg)
{
	uint64_t rnd = hard_seed((uintptr_t)arg);
	void *p[32] = { NULL };
	size_t i;

	for (;;) {
		i = hard_rand(&rnd) % ARRAY_LEN(p);
		free(p[i]);
		p[i] = malloc(hard_rand_size(&rnd, 18));
	}
	return NULL;
}

static void at_exit(void)
{
	void *p = hard_malloc(3000);

	hard_verify(early, 3000, 1);
	free(early);
	free(p);
}

static void child(uint64_t *rnd)
{
	pthread_t t;
	uintptr_t i;

	alarm(CHILD_SECONDS);
	early = hard_malloc(3000);
	hard_fill(early, 3000, 1);
	CHECK(atexit(at_exit) == 0, "atexit");
	for (i = 0; i < THREADS; i++)
		hard_start(&t, worker, (void *)i);
	hard_usleep((long)(hard_rand(rnd) % 3000));
	exit(0);
}

int main(void)
{
	uint64_t rnd = hard_seed(13);
	int i;

	for (i = 0; i < PROCESSES; i++) {
		pid_t pid = fork();

		CHECK(pid >= 0, "fork: errno %d", errno);
		hard_rand(&rnd);
		if (pid == 0)
			child(&rnd);
		hard_reap(pid, "exiting child");
	}
	return 0;
}
