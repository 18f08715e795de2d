/* SPDX-License-Identifier: MIT */
/*
 * A handler that allocates and frees. It does so only when it interrupts code that is known
 * not to be inside malloc, which a program may do and many servers do.
 */
#include <signal.h>
#include <stdatomic.h>

#include "hard.h"

#define WORKERS 3
#define ROUNDS 300000

static _Thread_local volatile sig_atomic_t safe;
static _Thread_local volatile sig_atomic_t in_handler;
static _Thread_local void *kept;	/* made by one signal, freed by the next */
static atomic_int running = WORKERS;
static atomic_ulong allocated;
static pthread_t workers[WORKERS];

static void handler(int sig)
{
	void *p;

	(void)sig;
	if (!safe || in_handler)
		return;
	in_handler = 1;
	p = hard_malloc(200);
	hard_fill(p, 200, 9);
	if (kept) {
		hard_verify(kept, 200, 9);
		free(kept);
	}
	kept = p;
	atomic_fetch_add(&allocated, 1);
	in_handler = 0;
}

static void *worker(void *arg)
{
	uint64_t rnd = hard_seed((uintptr_t)arg);
	volatile unsigned int spin;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		size_t n = hard_rand_size(&rnd, 12);
		void *p = hard_malloc(n);

		hard_fill(p, n, i);
		atomic_signal_fence(memory_order_seq_cst);
		safe = 1;
		for (spin = 0; spin < 2000; spin++)
			;
		safe = 0;
		atomic_signal_fence(memory_order_seq_cst);
		hard_verify(p, n, i);
		free(p);
	}
	free(kept);
	atomic_fetch_sub(&running, 1);
	return NULL;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	uintptr_t i;

	sigaction(SIGUSR1, &sa, NULL);
	for (i = 0; i < WORKERS; i++)
		hard_start(&workers[i], worker, (void *)i);
	for (i = 0; atomic_load(&running) > 0; i++) {
		pthread_kill(workers[i % WORKERS], SIGUSR1);
		hard_usleep(20);
	}
	for (i = 0; i < WORKERS; i++)
		hard_join(workers[i]);
	CHECK(atomic_load(&allocated) > 50, "only %lu handlers allocated",
	      atomic_load(&allocated));
	return 0;
}
