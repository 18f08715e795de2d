/* SPDX-License-Identifier: MIT */
/*
 * Processes that a program leaves running when it ends: daemons, children it did not wait for.
 */
#ifndef STELE_TOOL_STRAGGLERS_H
#define STELE_TOOL_STRAGGLERS_H

#include <stdint.h>

/* Waits so long, at most, until those have ended that were to write to the directory. */
void stragglers_wait(const char *dir, uint64_t ms);

#endif
