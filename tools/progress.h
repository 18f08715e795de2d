/* SPDX-License-Identifier: MIT */
/*
 * A bar on the terminal for work that takes longer than a moment; nothing where stderr is no terminal.
 */
#ifndef STELE_TOOL_PROGRESS_H
#define STELE_TOOL_PROGRESS_H

#include <stddef.h>

void progress_begin(const char *what, size_t total);
void progress_step(void);
void progress_end(void);

#endif
