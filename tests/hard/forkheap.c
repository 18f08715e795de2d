/* SPDX-License-Identifier: MIT */
/*
 * What a child of fork has of the heap while eight threads allocate and free: all blocks are
 * as they were, what malloc_info() and mallinfo2() say adds up, and when all known blocks are
 * freed no more is in use than what the threads had in hand at that moment.
 */
#include <malloc.h>

#include "../mallopt/again.h"

#define THREADS 8
#define SLOTS 200
#define FORKS 1000
#define FORKS_MIN 20
#ifndef SECONDS
#define SECONDS 5.0
#endif
#define SIZE_BITS 16
#define CHILD_SECONDS 60
/* A thread's: a block under way, and two batches of at most 32 KiB or two blocks. */
#define IN_HAND (2 * ((size_t)2 << SIZE_BITS) + 64 * KIB)

static struct slot {
	char *p;		/* atomic; NULL while it is under way */
	size_t n;
} slots[THREADS][SLOTS];

static int stop;

static void *churn(void *arg)
{
	struct slot *mine = slots[(uintptr_t)arg];
	uint64_t rand = hard_seed(40 + (unsigned)(uintptr_t)arg);

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct slot *s = &mine[hard_rand(&rand) % SLOTS];
		char *p = __atomic_exchange_n(&s->p, NULL, __ATOMIC_ACQ_REL);
		size_t n = hard_rand_size(&rand, SIZE_BITS);

		if (p) {
			hard_verify(p, s->n, s->n);
			free(p);
		}
		p = malloc(n);
		CHECK(p, "%zu bytes: errno %d", n, errno);
		hard_fill(p, n, n);
		s->n = n;
		__atomic_store_n(&s->p, p, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* The numbers of malloc_info() and mallinfo2() against each other. */
static void adds_up(void)
{
	struct mallinfo2 m = mallinfo2();

	CHECK(m.uordblks + m.fordblks == m.arena, "%zu in use and %zu free of %zu", m.uordblks,
	      m.fordblks, m.arena);
	CHECK(m.arena < 4 * GIB && m.hblkhd < 4 * GIB, "%zu, %zu", m.arena, m.hblkhd);
}

static void in_child(size_t base)
{
	uint64_t rand = hard_seed(9);
	static char *p[500];
	size_t used;

	alarm(CHILD_SECONDS);
	adds_up();
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		size_t n = hard_rand_size(&rand, SIZE_BITS);

		p[i] = malloc(n);
		CHECK(p[i], "%zu bytes in the child: errno %d", n, errno);
		hard_fill(p[i], n, n);
	}
	rand = hard_seed(9);
	for (size_t t = 0; t < THREADS; t++) {
		for (size_t i = 0; i < SLOTS; i++) {
			struct slot *s = &slots[t][i];

			if (s->p)
				hard_verify(s->p, s->n, s->n);
			free(s->p);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		size_t n = hard_rand_size(&rand, SIZE_BITS);

		hard_verify(p[i], n, n);
		free(p[i]);
	}
	malloc_trim(0);
	adds_up();
	used = mallinfo2().uordblks;
	if (hard_on_stele())
		CHECK(used <= base + THREADS * IN_HAND, "%zu bytes are lost",
		      used - base);
	_exit(0);
}

static void storm(void)
{
	size_t base = mallinfo2().uordblks + 64 * KIB;	/* stacks of libc's, and our tables */
	double end = hard_now() + SECONDS;
	pthread_t t[THREADS];
	int forks;

	for (size_t i = 0; i < THREADS; i++)
		hard_start(&t[i], churn, (void *)i);
	for (forks = 0; forks < FORKS && (forks < FORKS_MIN || hard_now() < end); forks++) {
		pid_t pid = fork();

		CHECK(pid >= 0, "fork %d: errno %d", forks, errno);
		if (pid == 0)
			in_child(base);
		hard_reap(pid, "child");
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (size_t i = 0; i < THREADS; i++)
		hard_join(t[i]);
	adds_up();
	printf("# %d forks\n", forks);
}

int main(int argc, char **argv)
{
	static const char *const leak[] = { "STELE_CONF=leak=exit,leak_output=/dev/null", NULL };

	storm();
	if (argc == 1 && hard_on_stele())
		again_expect("again", leak);
	(void)argv;
	return 0;
}
