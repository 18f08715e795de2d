/* SPDX-License-Identifier: MIT */
/*
 * Every stack that a capture names is the one that libunwind finds: over random
 * chains of calls, again and again, so that most are answered by the memo.
 */
#include "debug.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define ROUNDS		300000
#define THREADS		4

static unsigned long captures, differences, unknown;
static unsigned long in_handler;
static __thread bool in_handler_now;

/*
 * The pc that a signal interrupted is kept as if it were a return address, one up: at
 * most one of a stack, and not the first.
 */
static bool is_same(const uintptr_t *have, const uintptr_t *want, size_t n)
{
	unsigned interrupted = 0;

	for (size_t i = 0; i < n; i++) {
		if (have[i] == want[i] + 1 && i && in_handler_now)
			interrupted++;
		else if (have[i] != want[i])
			return false;
	}
	return interrupted <= 1;
}

/* Both stacks from the same place. */
__attribute__((noinline)) static void compare_here(void *arg)
{
		uintptr_t want[STACK_DEPTH_MAX];
	uintptr_t have[STACK_DEPTH_MAX];
	uint32_t id = stack_capture(FRAME());
	size_t n = debug_truth(want, stack_depth());
	size_t got = stack_get(id, have, NULL);

	(void)arg;
	__atomic_add_fetch(&captures, 1, __ATOMIC_RELAXED);
	/* The one thing that may happen: a handler interrupted the depot. */
	if (id == STACK_UNKNOWN && in_handler_now) {
		__atomic_add_fetch(&unknown, 1, __ATOMIC_RELAXED);
		return;
	}
	if (got == n && is_same(have, want, n))
		return;
	if (__atomic_add_fetch(&differences, 1, __ATOMIC_RELAXED) <= 3)
		debug_print_both(have, got, want, n);
}

static void random_chains(chain_fn *descend, uint64_t seed, unsigned rounds, bool realign)
{
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t r = debug_random(&seed);
		/* Few enough to come again, many enough to branch everywhere. */
		uint64_t path = (r >> 40) % 5000 * 0x9e3779b97f4a7c15ull;

		for (unsigned bit = 0; bit < 63 && !realign; bit += 3) {
			if ((path >> bit & 7) == CHAIN_ALIGNED)
				path ^= 7ull << bit;
		}
		/* 21 kinds are in a path; further down they come again, from another bit on. */
		descend(path, 4 + (r >> 8) % (realign ? 20 : 17), compare_here, NULL);
	}
}

static void *thread(void *arg)
{
	random_chains(debug_nofp, (uintptr_t)arg, ROUNDS / THREADS, true);
	random_chains(debug_fp, (uintptr_t)arg, ROUNDS / THREADS, true);
	return NULL;
}

/* While a walk is at it, a handler captures as well. */
static void on_signal(int sig)
{
	(void)sig;
	in_handler++;
	in_handler_now = true;
	debug_nofp(in_handler % 512 * 0x123456789, 5, compare_here, NULL);
	in_handler_now = false;
}

static bool stop;

static void *sender(void *to)
{
	while (!READ_ONCE(stop)) {
		pthread_kill(*(pthread_t *)to, SIGUSR2);
		usleep(50);
	}
	return NULL;
}

static void with_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	pthread_t self = pthread_self(), thread_id;

	sigaction(SIGUSR2, &sa, NULL);
	pthread_create(&thread_id, NULL, sender, &self);
	/*
	 * New stacks all the time: the depot is entered while signals come. gcc describes
	 * the last instructions of a function that realigns the stack wrongly.
	 */
	for (unsigned seed = 99; seed < 99 + 50; seed++)
		random_chains(debug_nofp, seed, ROUNDS / 50, false);
	WRITE_ONCE(stop, true);
	pthread_join(thread_id, NULL);
}

static void on_own_stack(int sig)
{
	(void)sig;
	in_handler_now = true;
	for (int i = 0; i < 3; i++)
		debug_nofp(0x1357, 6, compare_here, NULL);
	in_handler_now = false;
}

static void on_alternate_stack(void)
{
	stack_t ss = { .ss_size = 256 << 10 };
	struct sigaction sa = { .sa_handler = on_own_stack, .sa_flags = SA_ONSTACK };

	ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	sigaltstack(&ss, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	for (int i = 0; i < 100; i++)
		raise(SIGUSR1);
}

/* Coroutines: many stacks, with nothing readable behind their ends. */
#define STACK_BYTES	(64ul << 10)
static ucontext_t scheduler, coroutine;

static void body(void)
{
	for (int i = 0;; i++) {
		debug_nofp((uint64_t)i * 0x9e3779b9, 4 + (unsigned)i % 10, compare_here, NULL);
		swapcontext(&coroutine, &scheduler);
	}
}

static void in_coroutines(void)
{
	for (int round = 0; round < 200; round++) {
		size_t bytes = STACK_BYTES + 2 * 4096;
		char *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		mprotect(p + 4096, STACK_BYTES, PROT_READ | PROT_WRITE);
		getcontext(&coroutine);
		coroutine.uc_stack.ss_sp = p + 4096;
		coroutine.uc_stack.ss_size = STACK_BYTES;
		coroutine.uc_link = NULL;
		makecontext(&coroutine, body, 0);
		for (int i = 0; i < 20; i++)
			swapcontext(&scheduler, &coroutine);
		munmap(p, bytes);
	}
}

int main(void)
{
	pthread_t threads[THREADS];

	debug_begin(6);
	random_chains(debug_nofp, 1, ROUNDS, true);
	debug_ok(!differences, "%lu captures without frame pointers", captures);
	random_chains(debug_fp, 2, ROUNDS, true);
	debug_ok(!differences, "%lu captures, with frame pointers", captures);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, thread, (void *)(i + 1));
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	debug_ok(!differences, "%lu captures, in %d threads", captures, THREADS);
	with_signals();
	debug_ok(!differences && in_handler > 100, 
		 "%lu captures, with %lu signals (%lu stacks unknown)", captures, in_handler, unknown);
	on_alternate_stack();
	debug_ok(!differences, "%lu captures, on an alternate stack", captures);
	in_coroutines();
	debug_ok(!differences, "%lu captures, in coroutines", captures);
	return debug_end();
}
