/* SPDX-License-Identifier: MIT */
/*
 * A storm of signals lands in the middle of malloc and free of four threads. The handlers
 * touch stack, static and heap memory, but do not allocate.
 */
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

#include "hard.h"

#define WORKERS 4
#define OPS 3000000
#define SLOTS 64
#define TOUCHED 4096

static pthread_t workers[WORKERS];
static atomic_int running = WORKERS;
static atomic_ulong handled;
static _Atomic unsigned char common[TOUCHED];
static volatile unsigned char *heap_part;

static void handler(int sig)
{
	volatile unsigned char local[1024];
	unsigned int i;
	int saved = errno;

	for (i = 0; i < sizeof(local); i += 64) {
		local[i] = (unsigned char)sig;
		common[i] = local[i];
		heap_part[i] = local[i];
	}
	atomic_fetch_add(&handled, 1);
	errno = saved;
}

static void *worker(void *arg)
{
	uint64_t rnd = hard_seed((uintptr_t)arg);
	void *p[SLOTS] = { NULL };
	size_t n[SLOTS];
	unsigned int i, s;

	for (i = 0; i < OPS; i++) {
		s = (unsigned int)(hard_rand(&rnd) % SLOTS);
		if (p[s]) {
			hard_verify(p[s], n[s], s);
			free(p[s]);
			p[s] = NULL;
			continue;
		}
		n[s] = hard_rand_size(&rnd, i % 512 ? 9 : 18);
		p[s] = hard_malloc(n[s]);
		hard_fill(p[s], n[s], s);
	}
	for (s = 0; s < SLOTS; s++) {
		if (p[s])
			hard_verify(p[s], n[s], s);
		free(p[s]);
	}
	atomic_fetch_sub(&running, 1);
	return NULL;
}

int main(void)
{
	struct itimerval it = { { 0, 300 }, { 0, 300 } };
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	uintptr_t i;

	heap_part = hard_malloc(TOUCHED);
	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	for (i = 0; i < WORKERS; i++)
		hard_start(&workers[i], worker, (void *)i);
	setitimer(ITIMER_REAL, &it, NULL);
	for (i = 0; atomic_load(&running) > 0; i++) {
		/* not joined yet, so the ids stay valid */
		pthread_kill(workers[i % WORKERS], SIGUSR1);
		if (i % WORKERS == 0)
			hard_usleep(20);
	}
	it.it_interval.tv_usec = it.it_value.tv_usec = 0;
	setitimer(ITIMER_REAL, &it, NULL);
	for (i = 0; i < WORKERS; i++)
		hard_join(workers[i]);
	CHECK(atomic_load(&handled) > 100, "only %lu signals came", atomic_load(&handled));
	free((void *)heap_part);
	return 0;
}
