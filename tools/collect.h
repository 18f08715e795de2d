/* SPDX-License-Identifier: MIT */
/*
 * The snapshots that a program and its children left behind, made into reports.
 */
#ifndef STELE_TOOL_COLLECT_H
#define STELE_TOOL_COLLECT_H

#include "command.h"

#include <sys/types.h>

/* A directory for them: one that STELE_CONF can name. NULL: none, and one line has said why. */
char *collect_directory(void);
void collect_remove(const char *dir);

/*
 * Reports all snapshots of the directory, the program's own as choice->output or on stderr, those of
 * other processes beside it. no_snapshot: what to say if the program left none. *lost: some are lost that choice does not leave out. False: a
 * file could not be read or written, and one line has said so.
 */
bool collect(const char *dir, pid_t pid, const char *no_snapshot, struct choice *choice,
	     bool *lost);

#endif
