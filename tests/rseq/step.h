/* SPDX-License-Identifier: MIT */
/*
 * A traced child, one instruction at a time.
 *
 * The child runs a function, in which step_mark() stops it. Between marks the parent lets it
 * run, walks it by single steps, or stops it at one instruction. The kernel aborts a sequence
 * that is stepped; unless, at each step, the parent clears the word in the child's rseq area
 * that announces it: then the steps are those of an undisturbed run.
 */
#ifndef STEP_H
#define STEP_H

#include <stdbool.h>
#include <sys/types.h>

#include "../hard/hard.h"

struct step_code {
	uintptr_t start, end;	/* of a function of the library */
};

#define STEP_MAX 256

/* Instructions of one function, in the order in which a walk came by. */
struct step_path {
	unsigned n;
	uintptr_t ip[STEP_MAX];
};

struct step_code step_code(const char *function);
/* Does libc announce sequences where step_walk() can clear them? */
bool step_can_clear(void);

/* In the child. */
void step_mark(void);

/* In the parent. Ends in a skip where tracing is refused. */
pid_t step_start(void (*fn)(void *arg), void *arg);
/* To the next mark; false: the child has ended, with status 0. */
bool step_to_mark(pid_t pid);
/*
 * By single steps to the next mark; returns how many. Notes in @path, if any, the instructions
 * that belong to @code. Undisturbed, but for sequence number @abort (from 0) of those that
 * start outside of malloc and free; a negative one: none is aborted.
 */
unsigned long step_walk(pid_t pid, const struct step_code *code, struct step_path *path,
			long abort);
/* By single steps to the next mark, each of which aborts what sequence there is. */
unsigned long step_plain(pid_t pid, const volatile unsigned long *op, unsigned long limit);
/* @n single steps, or as many as there are to the next mark: returns how many. */
unsigned long step_some(pid_t pid, unsigned long n);
/* Runs it to @ip, where it has not yet executed. False: it came to a mark instead. */
bool step_run_to(pid_t pid, uintptr_t ip);
/*
 * The same for the traced thread alone: others may pass there. Ends in a skip without debug
 * registers.
 */
bool step_thread_to(pid_t pid, uintptr_t ip);
/* Lets it go on to the next mark, from a signal if @sig. */
void step_on(pid_t pid, int sig);
/* How many sequences outside of malloc and free the last walk saw. */
extern long step_sequences;

#endif
