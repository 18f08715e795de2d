/* SPDX-License-Identifier: MIT */
/*
 * Stopping every other thread of the process, without ptrace.
 *
 * Each thread gets a signal whose handler says where the thread was and waits
 * until it may go on. The signal is the one that libc keeps to itself to reach
 * each of its threads (to change user ids): libc leaves it out of every mask
 * that a program sets, so it arrives also where "all" signals are blocked. Our
 * handler stands in for libc's only while threads are stopped; a signal of
 * libc's own that comes then is handed on to it.
 *
 * A thread that does not answer is not waited for: it blocks even this signal
 * (by a system call of its own, or for a moment inside libc). What the kernel
 * says of its stack pointer has to do.
 */
#ifndef STELE_OBSERVE_STOP_H
#define STELE_OBSERVE_STOP_H

#include "os/proc.h"

struct stopped {
	int tid;
	uint32_t state;			/* see stop.c */
	uint32_t next;			/* in the table by thread id */
	const void *context;		/* ucontext; NULL: did not answer, or the caller */
	uintptr_t sp;			/* 0: not known */
	uintptr_t low;			/* from here up lies what the signal took of its stack */
	uintptr_t tp;			/* thread pointer; 0: not known */
	bool gone;			/* it ended before it answered */
	const void *regs;		/* words that may hold pointers; NULL: none */
	size_t regs_bytes;
	char name[16];
	bool repeat;			/* it waited in this call, which is to go on */
	struct os_call call;
};

/* Stop all but the calling thread and ours. False: the list of threads is not to be had. */
bool stop_threads(void);
void stop_resume(void);

size_t stop_count(void);		/* threads asked, whether they answered or not */
size_t stop_alive(void);		/* of these, all that had not just ended */
size_t stop_answered(void);
bool stop_main_ended(void);		/* main's thread: nothing of its stack is used */
struct stopped *stop_at(size_t i);

/* A thread of ours, which is never stopped; 0: no longer. */
void stop_spare(unsigned which, const uint32_t *tid);
#define NR_SPARED	4

#endif
