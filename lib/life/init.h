/* SPDX-License-Identifier: MIT */
/* Birth of the allocator in a process. */
#ifndef STELE_LIFE_INIT_H
#define STELE_LIFE_INIT_H

#include "base/compiler.h"

/* Set once everything below the shell works. */
extern bool life_ready;

/*
 * Make it work, once; any thread, any time. False: we serve nothing, either
 * not yet (we are not relocated: only the boot allocator may be used) or never
 * (the program is one to keep out of: libc serves it).
 */
bool life_init(void);

/* A block from whoever serves while life_init() is false. */
void *life_other_alloc(size_t size, size_t align, bool zero);
void *life_other_realloc(void *p, size_t size);


#endif
