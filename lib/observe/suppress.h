/* SPDX-License-Identifier: MIT */
/*
 * Known leaks, by the syntax of LeakSanitizer's suppression files:
 *
 *	# a comment
 *	leak:pattern
 *
 * A pattern is part of the name of a function in the stack or of its module's
 * path; * stands for anything, ^ and $ for the begin and the end.
 */
#ifndef STELE_OBSERVE_SUPPRESS_H
#define STELE_OBSERVE_SUPPRESS_H

#include "base/compiler.h"

/* Read a file, in scratch memory. One line of warning if it cannot be, or is no such file. */
void suppress_read(const char *path);
void suppress_end(void);
bool suppress_any(void);

/* Is a block with this stack a known leak? */
bool suppress_stack(uint32_t stack);

/* Does @pattern occur in @text? */
bool suppress_match(const char *pattern, const char *text);

#endif
