/* SPDX-License-Identifier: MIT */
/*
 * A model of sheaves behind restartable sequences, small enough to visit every state.
 *
 * Two CPUs with a region each, up to three threads, a few objects. A CPU executes one step of
 * the thread on it, or switches to another thread. What the kernel promises: a thread that is
 * switched out inside of a sequence resumes at the abort, and is told the number of its new
 * CPU (unless it has no registration); a fence aborts whoever runs, CPU by CPU.
 *
 * Wanted in every state: each object is in one place; no sequence commits to a region that
 * the stopper has for itself, nor enters one that is not laid out.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CPUS = 2,
	THREADS = 3,
	CAPACITY = 2,		/* of a sheaf */
	OBJECTS = 2,
	NOWHERE = CPUS,		/* the empty region; also: not on a CPU */
	NOBODY = THREADS,
};

enum pc {
	/* a request: the hit path, then the slow one */
	CHOOSE, ANNOUNCE, NUMBER, REGION, TOP, SLOT, COMMIT, SLOW,
	/* a region is made for a number that has none */
	MAKE_LOCK, MAKE_LAYOUT, MAKE_PUBLISH,
	/* vfork: in the parent; its last is taken when the child is gone */
	VFORK_CLOSE, VFORK_CALL, VFORK_OPEN,
	/* the stopper */
	STOP_LOCK, STOP_CLEAR, STOP_FENCE, STOP_READ, STOP_TAKE, STOP_BACK,
};

struct thread {
	uint8_t pc, cpu;
	uint8_t exists, waits;		/* waits: for its vfork child */
	uint8_t announced;		/* rseq_cs is set */
	uint8_t told;			/* the number in its area */
	uint8_t number, region, top, object;	/* its registers */
	uint8_t held;			/* an object of its own, from 1; 0: none */
	uint8_t i;			/* CPU or region in turn (stopper) */
};

struct state {
	struct thread t[THREADS];
	uint8_t on[CPUS];		/* which thread is on the CPU */
	uint8_t hit[CPUS];		/* number -> region or NOWHERE */
	uint8_t made[CPUS], laid_out[CPUS];
	uint8_t top[CPUS];
	uint8_t slot[CPUS][CAPACITY];
	uint8_t pool;			/* objects outside of all sheaves, a bit each */
	uint8_t lock;			/* regions_lock */
	uint8_t closed;
	uint8_t mine;			/* regions that the stopper has, a bit each */
	uint8_t pad[2];
};

/* What the threads are, and what is done wrong. */
struct scene {
	const char *name;
	bool sound;
	bool three, stopper, vfork, unregistered, unmade;
	bool no_fence, fence_first, fence_one, back_early, commit_outside, number_outside;
	bool no_close, open_early, no_register_test, publish_early;
};

/* Compared and hashed as they lie in memory. */
_Static_assert(sizeof(struct state) % sizeof(uint64_t) == 0, "whole words");

struct state model_start(const struct scene *sc);
/* NULL, or what is wrong with the state. */
const char *model_check(const struct state *s);
/* One step of the thread on @cpu. False: it has to wait. */
bool model_step(const struct scene *sc, struct state *s, unsigned cpu, const char **wrong);
void model_switch_out(const struct scene *sc, struct state *s, unsigned cpu);
/* To be done with each new state: as one of those that differ in nothing that matters. */
void model_sort(const struct scene *sc, struct state *s);
/* False: that thread cannot run now. */
bool model_switch_in(const struct scene *sc, struct state *s, unsigned cpu, unsigned thread);

#endif
