/* SPDX-License-Identifier: MIT */
/*
 * What this layer keeps per thread, all of it: thread-local storage of a preloaded
 * library is scarce (tests/abi/symbols.sh). Zero at the thread's birth.
 */
#ifndef STELE_DEBUG_THREAD_H
#define STELE_DEBUG_THREAD_H

#include "base/compiler.h"

/* Flags in the low bits of debug_thread.desk; all of them are rare. */
#define THREAD_ENDING		1u	/* capture.c: it gets no desk of its own any more */
#define THREAD_IN_LIBRARY	2u	/* capture.c: libunwind is at work */
#define THREAD_IN_DEPOT		4u	/* stack.c: it may hold depot_lock */
#define THREAD_SAMPLING		8u	/* sample.c: sample_left was drawn */
#define THREAD_FLAGS		15u

struct debug_thread {
	uintptr_t desk;			/* capture.c: the thread's own, or 0; and flags */
	int64_t sample_left;		/* sample.c: bytes until the next sample */
};

extern __thread struct debug_thread debug_thread;

/* A signal handler of the thread may change other bits in between. */
static inline uintptr_t thread_set(uintptr_t flag)
{
	return __atomic_fetch_or(&debug_thread.desk, flag, __ATOMIC_RELAXED) & flag;
}

static inline void thread_clear(uintptr_t flag)
{
	__atomic_fetch_and(&debug_thread.desk, ~flag, __ATOMIC_RELAXED);
}

#endif
