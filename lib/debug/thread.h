/* SPDX-License-Identifier: MIT */
/*
 * What this layer keeps per thread, all of it: thread-local storage of a preloaded
 * library is scarce (tests/abi/symbols.sh). Zero at the thread's birth.
 */
#ifndef STELE_DEBUG_THREAD_H
#define STELE_DEBUG_THREAD_H

#include "base/compiler.h"

struct desk;

struct debug_thread {
	struct desk *desk;		/* capture.c: the thread's own; NULL: none yet, or no more */
	int64_t sample_left;		/* sample.c: bytes until the next sample */
	/* range.c: the readable part of the own stack. */
	uintptr_t stack_hi;		/* its end; 0: not looked for yet */
	uint16_t stack_pages;		/* from there down */
	uint16_t stack_gap;		/* ditto, to an unreadable one; 0: none seen */
	bool ending;			/* capture.c: it gets no desk of its own any more */
	bool in_library;		/* capture.c: libunwind is at work */
	bool in_depot;			/* stack.c: may hold depot_lock */
	bool sampling;			/* sample.c: sample_left was drawn */
};
static_assert(sizeof(struct debug_thread) == 32, "see above");

extern __thread struct debug_thread debug_thread;

#endif
