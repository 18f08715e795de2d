/* SPDX-License-Identifier: MIT */
/*
 * Words for the person at the terminal: one line each, beginning "stele: ",
 * by a single write(2), without allocating.
 */
#ifndef STELE_OS_BUG_H
#define STELE_OS_BUG_H

#include "base/compiler.h"

/* Corruption that is proven: one line, then abort(). */
_Noreturn void bug(const char *fmt, ...) __printf_like(1, 2);
/* Something is off, the program runs on. */
void warn(const char *fmt, ...) __printf_like(1, 2);
/* A line of a report that was asked for; no prefix. */
void report(const char *fmt, ...) __printf_like(1, 2);

/* Where the lines go; 2 until set. */
extern int report_fd;

/* Invariants that only debug builds pay for. */
#ifdef STELE_DEBUG
#define debug_check(cond) \
	do { \
		if (unlikely(!(cond))) \
			bug("%s:%d: invariant broken: %s", __FILE__, __LINE__, #cond); \
	} while (0)
#else
#define debug_check(cond) ((void)sizeof(!(cond)))
#endif

#endif
