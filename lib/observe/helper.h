/* SPDX-License-Identifier: MIT */
/*
 * Threads of ours, for reports that are asked for: an idle process answers at
 * once, whatever its own threads are doing.
 */
#ifndef STELE_OBSERVE_HELPER_H
#define STELE_OBSERVE_HELPER_H

#include "base/compiler.h"

/* At start, and in a child of fork: those that wait for a file or for time. */
void helper_start(void);
/* From a signal handler: make a report soon. */
void helper_request(void);

#endif
