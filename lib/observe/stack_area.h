/* SPDX-License-Identifier: MIT */
/*
 * Where the stacks are that libc made for threads.
 *
 *	|-- guard --|-- stack grows down --|-- TLS --|-- control block --|
 *	low                               sp         tp                  high
 *
 * The control block begins with its own address, twice, and keeps the stack's
 * address and size beside each other: by that it is known, not by offsets that
 * change from release to release. Where it cannot be made out, the caller takes
 * the whole mapping for a root.
 */
#ifndef STELE_OBSERVE_STACK_AREA_H
#define STELE_OBSERVE_STACK_AREA_H

#include "observe/maps.h"

struct stack_area {
	uintptr_t low, high;	/* the guard included */
	uintptr_t tp;
};

/* The stack of the thread with this thread pointer. False: not libc's. */
bool stack_area_of(uintptr_t tp, struct stack_area *a);

#define CONTROL_BYTES	2304ul	/* of a control block are looked at */

/* Visit control blocks in a mapping; its pages must be readable. */
void stack_area_search(int pages_fd, const struct vma *v,
		       void (*fn)(const struct stack_area *a, void *arg), void *arg);

/*
 * Has the thread that ended here been joined, or was it detached? libc keeps lists
 * of stacks, the heads of which lie side by side: {in use, given by the program,
 * kept for new threads}; main is on the second. @main_tp: its thread pointer.
 */
bool stack_area_kept(const struct stack_area *a, uintptr_t main_tp, int main_tid);

/* Does the control block hold this number, as that of its thread? */
bool stack_area_names(const struct stack_area *a, int tid);

/* What it keeps of thread-local storage: the vector, NULL: none. */
uintptr_t stack_area_dtv(uintptr_t tp);

#endif
