/* SPDX-License-Identifier: MIT */
/*
 * malloc and free are stopped at each instruction of theirs in turn, deep inside of the
 * sequence too, and there a signal arrives whose handler allocates and frees of the same
 * class. What the two hand out must stay apart. First with a sheaf that hits; then with one
 * that has just run empty, or is about to be full.
 */
#include <malloc.h>
#include <signal.h>

#include "owner.h"
#include "step.h"

#define SIZE 48
#define TURNS 24	/* interrupted calls in a row, so that one meets the end of the sheaf */

enum op { MALLOC, MALLOC_EMPTY, FREE, FREE_FULL, NR_OPS };

/* In the child; the handler's blocks and the program's. */
static struct owner in_handler, in_main;

static cpu_set_t all;

static void handler(int sig)
{
	struct owned *b = in_handler.b;

	(void)sig;
	for (int i = 1; i < 4; i++)
		owner_get(&in_handler, &b[i], SIZE);
	/* the program's next block must not be one that stays here */
	owner_put(&b[0]);
	owner_put(&b[1]);
	owner_put(&b[3]);
	b[0] = b[2];
	b[2].p = NULL;
}

static void prepare(enum op op)
{
	for (int i = 0; i < OWNER_BLOCKS; i++)
		owner_get(&in_main, &in_main.b[i], SIZE);
	if (op != FREE && op != FREE_FULL)
		for (int i = 0; i < OWNER_BLOCKS; i++)
			owner_put(&in_main.b[i]);
	else if (op == FREE)
		for (int i = TURNS + 1; i < OWNER_BLOCKS; i++)
			owner_put(&in_main.b[i]);
}

/* Two marks around each call; the first call is walked, the others are interrupted. */
static void traced(void *arg)
{
	enum op op = *(enum op *)arg;

	owner_init(&in_handler, 1, SIZE);
	owner_init(&in_main, 2, SIZE);
	for (int round = 0; ; round++) {
		prepare(op);
		for (int i = 0; i <= TURNS; i++) {
			if (op == MALLOC_EMPTY)
				malloc_trim(0);
			step_mark();
			if (op == FREE || op == FREE_FULL)
				owner_put(&in_main.b[i]);
			else
				owner_get(&in_main, &in_main.b[i], SIZE);
			step_mark();
		}
		owner_end(&in_main);
		if (round == STEP_MAX)
			break;
	}
}

static void move_away(pid_t pid, unsigned n)
{
	cpu_set_t one = owner_cpu(&all, n);

	sched_setaffinity(pid, sizeof(one), &one);
}

/* Interrupts call after call at the instructions of @path in turn; returns how many. */
static unsigned interrupt_all(pid_t pid, const struct step_path *path, unsigned times)
{
	unsigned done = 0;

	for (unsigned i = 0; i < path->n * times; i++) {
		CHECK(step_to_mark(pid), "the child ended");
		if (!step_run_to(pid, path->ip[i % path->n]))
			continue;
		/* and after it, the thread wakes up on another CPU */
		if (i % 3 == 2)
			move_away(pid, i / 3);
		step_on(pid, SIGUSR1);
		done++;
	}
	return done;
}

static void run(enum op op)
{
	struct step_code code = step_code(op == FREE || op == FREE_FULL ? "free" : "malloc");
	struct step_path path;
	unsigned done;
	pid_t pid = step_start(traced, &op);

	/* the first calls let the sheaf and the window settle */
	for (int i = 0; i < 2 * (TURNS + 1); i++)
		CHECK(step_to_mark(pid), "the child ended");
	CHECK(step_to_mark(pid), "the child ended");
	step_walk(pid, &code, &path, -1);
	CHECK(path.n >= 3, "%u instructions", path.n);
	done = interrupt_all(pid, &path, 2 * TURNS);
	CHECK(done >= path.n, "%u of %u", done, path.n);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	struct sigaction sa = { .sa_handler = handler };

	CHECK(!sched_getaffinity(0, sizeof(all), &all), "errno %d", errno);
	CHECK(!sigaction(SIGUSR1, &sa, NULL), "errno %d", errno);
	for (int op = 0; op < NR_OPS; op++)
		run((enum op)op);
	return 0;
}
