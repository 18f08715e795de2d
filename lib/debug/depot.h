/* SPDX-License-Identifier: MIT */
/* The inside of the depot: for those who lock it, and for sample.c or fate.c, which count by stack. */
#ifndef STELE_DEBUG_DEPOT_H
#define STELE_DEBUG_DEPOT_H

#include "os/lock.h"

extern struct lock depot_lock;

/* A word that goes with the stack, 0 at first; @id is of a stack with frames. */
uint32_t *stack_word(uint32_t id);

#endif
