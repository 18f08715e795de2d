/* SPDX-License-Identifier: MIT */
/* Blocks that could not be freed where they were: see deferred.c. */
#ifndef STELE_SLAB_DEFERRED_H
#define STELE_SLAB_DEFERRED_H

#include "base/compiler.h"

/* Put blocks aside. Any context. */
void deferred_free(void *const *objs, size_t n);
/* Free what was put aside. Where the caller may wait. */
void deferred_drain(void);

/* Is a thread at it now, with blocks that count as in use? It may be the caller. */
bool deferred_in_hand(void);
/* In a child of fork: those who were at it are gone, with what they had. */
void deferred_fork_child(void);

extern void *deferred_head;
static inline bool deferred_any(void)
{
	return READ_ONCE(deferred_head);
}

#endif
