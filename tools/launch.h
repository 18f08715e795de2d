/* SPDX-License-Identifier: MIT */
/*
 * Running a program as if the tool were not there: same terminal, same process group, signals passed
 * on, same end.
 */
#ifndef STELE_TOOL_LAUNCH_H
#define STELE_TOOL_LAUNCH_H

#include <sys/types.h>

/*
 * Runs the program to its end. Returns its wait status, and its pid; -1: it could not be run, *pid is then
 * the exit status to use, and one line has said why.
 */
int launch(char **argv, pid_t *pid);

/* Ends the tool as the program ended. */
_Noreturn void launch_end_like(int wait_status);

#endif
