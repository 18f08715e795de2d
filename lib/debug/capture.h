/* SPDX-License-Identifier: MIT */
/* The stack of the caller, as a depot id. */
#ifndef STELE_DEBUG_CAPTURE_H
#define STELE_DEBUG_CAPTURE_H

#include "debug/unwind.h"

/* The frame of the function that says this; it must not be inlined. */
#define FRAME()	((uintptr_t)__builtin_frame_address(0))

/*
 * The stack of the caller of the function whose frame this is. Frames of this library are left out: the innermost is
 * the program's. Never STACK_NONE. May be called anywhere but under a lock of ours.
 */
uint32_t stack_capture(uintptr_t frame);

/* The same by who may not wait: STACK_UNKNOWN unless it is known already. */
uint32_t stack_known(uintptr_t frame);

/* Read unwind= and depth=. Once, before the first capture. */
void capture_init(void);
/* Load what unwind=libunwind needs, where dlopen() may be called: our constructor. */
void capture_load(void);
/* In the child of a process that had other threads. */
void capture_fork_child(void);

/* What unwind= came to mean in this process, and depth=: for the snapshot. */
const char *stack_unwinder(void);
unsigned stack_depth(void);

#endif
