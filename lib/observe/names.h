/* SPDX-License-Identifier: MIT */
/*
 * What the tunables of reports say, copied at start: a program may write over
 * its environment.
 */
#ifndef STELE_OBSERVE_NAMES_H
#define STELE_OBSERVE_NAMES_H

#include "base/compiler.h"

#define LEAK_PATH_MAX	1024

extern struct leak_names {
	char output[LEAK_PATH_MAX];	/* ""; as given, with %p %n %e; "": stderr */
	char suppress[LEAK_PATH_MAX];
	char control[LEAK_PATH_MAX];
	unsigned show;			/* set of kinds, 1 << enum leak_kind */
	bool forked;			/* this process is a child of another's fork */
} leak_names;

void leak_names_read(void);

/* Expand %p, %n, %e and %%. */
size_t leak_expand(char *out, size_t size, const char *name, unsigned number);
/*
 * Open the next file, its name is left in @path: of a forked child always one of
 * its own, and with %n one that was not there. Negative: an error.
 */
int leak_output_open(char *path, size_t size);

#endif
