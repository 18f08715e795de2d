/* SPDX-License-Identifier: MIT */
/*
 * What the program has said of its blocks: that one is no leak, that one is not to be looked into,
 * that pointers are in a range.
 *
 * Locking: observe_lock. While a report is made the other threads are stopped.
 */
#ifndef STELE_OBSERVE_EXCUSE_H
#define STELE_OBSERVE_EXCUSE_H

#include "base/compiler.h"

/*
 * The block at @p is held; with @scan so is what it points to, without it is never looked into.
 * Until it is freed or resized. 0, -EINVAL: no live block begins there, -ENOMEM.
 */
int excuse_block(const void *p, bool scan);

/* Words of the range are roots, until it is removed: -ENOENT if it was not added. */
int excuse_add_range(uintptr_t start, size_t size);
int excuse_remove_range(uintptr_t start, size_t size);

/* For roots.c. First: forget freed blocks, and mark those that are not to be looked into. */
void excuse_mark_first(void);
/* With the roots: the other blocks, and the ranges. */
void excuse_mark_roots(int pages_fd);

#endif
