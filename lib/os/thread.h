/* SPDX-License-Identifier: MIT */
/*
 * A thread of the library's own, which libc does not know.
 *
 * libc's pthread_create() cannot be used: it allocates and takes locks that the
 * caller of free() may hold, and a process whose last thread of its own ends would
 * go on because of ours. So the thread is a bare clone(). It has a stack and, as
 * libc's own functions need one, a thread-local block of its own, of zeros; all
 * signals are blocked, those of libc included; it ends with the process.
 *
 * What it may call: this library's core, and of libc what needs of its thread no
 * more than errno. What it may not: anything that knows threads.
 *
 * From the start of the first on, os_single_threaded() is false.
 */
#ifndef STELE_OS_THREAD_H
#define STELE_OS_THREAD_H

#include "base/compiler.h"

#define OS_THREAD_STACK	(32u << 10)
#define OS_THREAD_LOCAL	(8u << 10)

/* Static: pages that no thread has used cost nothing. */
struct os_thread {
	char stack[OS_THREAD_STACK] __attribute__((aligned(64)));
	char local[OS_THREAD_LOCAL] __attribute__((aligned(64)));
};

/*
 * Run fn(), which never returns, under the name @name (15 characters are seen).
 * 0 or -errno. Each struct serves one thread of a process, and again one in a
 * child of fork.
 */
int os_thread_start(struct os_thread *t, const char *name, void (*fn)(void));
/* In a child of fork: the threads are gone. */
void os_thread_fork_child(void);
/* Is the caller such a thread, or has the process one? */
bool os_thread_is_own(void);
extern bool os_thread_any;

void os_sleep(uint64_t milliseconds);

/*
 * A trigger of the system: os_psi_wait() returns 0 whenever tasks were held up for
 * want of memory, or -errno once the trigger is no more. Opened as a descriptor far
 * above what programs use.
 */
int os_psi_open(void);
int os_psi_wait(int fd);

/* Microseconds of processor time: of the process, and of the calling thread. */
uint64_t os_process_time(void);
uint64_t os_thread_time(void);

#endif
