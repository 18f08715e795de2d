/* SPDX-License-Identifier: MIT */
/*
 * Asking a running process for a snapshot.
 */
#ifndef STELE_TOOL_LIVE_H
#define STELE_TOOL_LIVE_H

#include "util.h"

/* The name of the file that the process wrote; NULL: it did not, and one line has said why. */
char *live_snapshot(const char *pid, uint64_t timeout_ms);

#endif
