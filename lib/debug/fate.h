/* SPDX-License-Identifier: MIT */
/*
 * free_stacks=on: for each stack that allocated, the stacks that freed its blocks and how many
 * each. What was counted outlives the blocks: of a leak it tells where others like it end.
 */
#ifndef STELE_DEBUG_FATE_H
#define STELE_DEBUG_FATE_H

#include "debug/stack.h"

/* A block of @stack was freed by @free_stack. */
void fate_count(uint32_t stack, uint32_t free_stack);

struct fate {
	uint32_t free_stack;
	uint64_t count;
};

/* Visit what became of the blocks of @stack, in no order. */
void fate_each(uint32_t stack, void (*fn)(const struct fate *fate, void *arg), void *arg);

#endif
