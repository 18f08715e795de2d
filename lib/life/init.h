/* SPDX-License-Identifier: MIT */
/* Birth of the allocator in a process. */
#ifndef STELE_LIFE_INIT_H
#define STELE_LIFE_INIT_H

#include "base/compiler.h"

/* Set once everything below the shell works. */
extern bool life_ready;

/*
 * Make it work, once; any thread, any time. False: the library itself is not
 * relocated yet, only the boot allocator may be used.
 */
bool life_init(void);

#endif
