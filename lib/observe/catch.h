/* SPDX-License-Identifier: MIT */
/*
 * Signals that end the process, caught without the program seeing it.
 *
 * Where the program has the default action of such a signal, the kernel has our
 * handler. sigaction() and its relatives are interposed: they tell the program
 * what it believes, and keep ours in place. The handler makes the report, puts
 * the default action back, sends itself the same signal again with the same
 * particulars, and returns: the process dies where it was interrupted, by that
 * signal, with a core dump if it would have left one.
 */
#ifndef STELE_OBSERVE_CATCH_H
#define STELE_OBSERVE_CATCH_H

#include <signal.h>

#include "base/compiler.h"

/* @fatal: catch those that end the process; without it only leak_signal=. */
void catch_start(bool fatal);

/* As sigaction(2). With libc's own where nothing is caught. */
int catch_sigaction(int sig, const struct sigaction *act, struct sigaction *old);

/* Is this handler one of ours? Does the kernel keep one of ours whatever the program sets? */
bool catch_is_ours(const void *handler);
bool catch_holds(int sig);

/* "SIGTERM" */
const char *catch_name(int sig);

/* The default action was set behind our back. */
void catch_default(int sig);

/* siginterrupt() was called; what it means for signal(): SA_RESTART or 0. */
void catch_interrupt(int sig, bool interrupt);
int catch_restart_flag(int sig);

#endif
