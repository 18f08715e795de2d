/* SPDX-License-Identifier: MIT */
/*
 * Suppression files in the syntax of LeakSanitizer: lines "leak:PATTERN", comments after '#'. A
 * pattern is sought in the names of functions, source files and modules of a stack; '*' stands for any
 * text, '^' and '$' for the ends of the name.
 */
#ifndef STELE_TOOL_SUPPRESS_H
#define STELE_TOOL_SUPPRESS_H

#include "symbols.h"

struct suppress_rule {
	char *pattern;
	uint64_t blocks, bytes;	/* what it has suppressed so far */
};

struct suppress {
	VEC(struct suppress_rule) rules;
};

/* Adds the rules of a file; false: one line has said why not. */
bool suppress_load(struct suppress *suppress, const char *file);
void suppress_free(struct suppress *suppress);

/* The first rule that the stack meets, NULL: none does. */
struct suppress_rule *suppress_match(const struct suppress *suppress, const struct trace *trace);

/* Does the pattern match the text? For tests too. */
bool suppress_pattern(const char *pattern, const char *text);

#endif
