/* SPDX-License-Identifier: MIT */
/*
 * The boot allocator: for calls before the library itself is relocated (an
 * IFUNC resolver of another library that allocates). Nothing but relative
 * addressing works then. It hands out pieces of a small static array and never
 * takes them back.
 */
#ifndef STELE_PAGE_BOOT_H
#define STELE_PAGE_BOOT_H

#include "base/compiler.h"

/* NULL when the array is used up. Zeroed; aligned to max(16, @align). */
void *boot_alloc(size_t size, size_t align);
bool boot_owns(const void *p);
size_t boot_size(const void *p);
/* What was handed out so far. */
void boot_range(uintptr_t *start, uintptr_t *end);

#endif
