/* SPDX-License-Identifier: MIT */
/*
 * The roots: what a program can reach without a block of the heap.
 *
 *	data of modules		all their pages that were written
 *	stacks			of live threads, from the stack pointer upwards
 *	registers		as the stop found them
 *	thread-local storage	at the end of each stack; main's where ld.so put it
 *	other mappings		private ones, and shared ones that may be written, unless
 *				they are ours: heap, tables, our data, this report's memory
 *
 * Stacks that libc keeps of threads that have ended are no roots; the vectors of
 * thread-local storage that it keeps with them are no leaks either.
 */
#ifndef STELE_OBSERVE_ROOTS_H
#define STELE_OBSERVE_ROOTS_H

#include "observe/maps.h"
#include "os/proc.h"

/* The thread that reports, as it was when it called. */
struct reporter {
	struct os_range dead[2];	/* words above sp that hold nothing; rising, may be empty */
	int tid;
	uintptr_t sp;		/* 0: it is a thread of ours, nothing of it counts */
	uintptr_t low;		/* what lies between on its stack is our own */
	uintptr_t tp;
	const void *regs;
	size_t regs_bytes;
	const void *altstack;	/* NULL: none */
	const void *context;	/* of the signal that interrupted it; NULL: none */
};

/* Mark from all roots. False: no memory. */
bool roots_mark(const struct maps *maps, const struct reporter *c, int pages_fd);

#endif
