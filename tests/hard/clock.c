/* SPDX-License-Identifier: MIT */
/*
 * The program has a clock_gettime() that allocates, as libraries that fake the time have, and
 * those that watch every call. No request may come by it, least of all while a lock is held.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "hard.h"

#define BLOCKS 2000

static int asked;

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	(void)clock;
	__atomic_fetch_add(&asked, 1, __ATOMIC_RELAXED);
	free(malloc(100));
	*ts = (struct timespec){ .tv_sec = 1 };
	return 0;
}

static void *work(void *arg)
{
	static const size_t sizes[] = { 16, 100, 208, 1000, 5000, 70000 };
	void *b[BLOCKS];

	for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
		for (size_t i = 0; i < BLOCKS; i++)
			b[i] = hard_malloc(sizes[k]);
		for (size_t i = 0; i < BLOCKS; i++)
			free(b[i]);
	}
	return arg;
}

int main(void)
{
	pthread_t other;

	CHECK(!pthread_create(&other, NULL, work, NULL), "cannot start a thread");
	work(NULL);
	CHECK(!pthread_join(other, NULL), "pthread_join");
	CHECK(!asked, "clock_gettime() was called %d times", asked);
	return 0;
}
