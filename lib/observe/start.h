/* SPDX-License-Identifier: MIT */
/*
 * Pointers that stand for their block although they do not point to its start: the program
 * that has one can free the block, so it is reachable, not only possibly so.
 */
#ifndef STELE_OBSERVE_START_H
#define STELE_OBSERVE_START_H

#include "slab/blocks.h"

/* Does @p, which lies in @b, stand for it? */
bool start_is(uintptr_t p, const struct block *b);
/* Or, behind its end, for new[] of no objects with destructors? */
bool start_of_empty(uintptr_t p, const struct block *b);

#endif
