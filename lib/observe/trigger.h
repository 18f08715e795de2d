/* SPDX-License-Identifier: MIT */
/* When a report is made: see trigger.c. */
#ifndef STELE_OBSERVE_TRIGGER_H
#define STELE_OBSERVE_TRIGGER_H

#include "base/compiler.h"

/* Are blocks tracked for reports in this process? Constant after leak_start(). */
extern bool leak_on;

/* Is it the process that this memory belongs to, not a child of vfork()? */
bool leak_is_home(void);

/* In our constructor. */
void leak_start(void);

/* Around fork: the first before, and the last after all other locks. */
void leak_fork_prepare(void);
void leak_fork_done(bool child);

/* The process is about to end, or to become another program. */
void leak_at_end(const char *reason, const char *detail);
/* The same by a signal, whose context tells what the thread had. */
void leak_at_signal(int sig, const void *context);
/* This process ends as soon as daemon() has made another; or it failed, and goes on. */
void leak_at_daemon(void);
void leak_not_ended(void);
/* @path is about to be executed; @search: along PATH, and scripts without #! too. */
void leak_at_exec(const char *path, bool search);
/* The same for a file that is named by a descriptor, or relative to one. */
void leak_at_exec_fd(int fd, const char *path, bool empty_path);

/* A report that was asked for. NULL @to: where reports go. */
bool leak_on_request(const char *reason, const char *detail);
/* A report by the calling thread; with @counts it is only counted. */
struct leak_counts;
bool leak_by_call(struct leak_counts *counts);

#endif
