/* SPDX-License-Identifier: MIT */
/*
 * The stack depot: every stack once, for ever, under an id of 32 bits.
 *
 * Ids are handed out from one range and never reused, so an id may be kept
 * anywhere and looked up by anybody, without a lock, as long as the process
 * lives. Equal stacks of one generation have equal ids.
 */
#ifndef STELE_DEBUG_STACK_H
#define STELE_DEBUG_STACK_H

#include "base/compiler.h"

#define STACK_NONE	0u	/* no block, or nothing known of it */
#define STACK_UNKNOWN	1u	/* captured, without a frame (unwind=none, a nested signal) */
#define STACK_FULL	2u	/* the depot's limit was reached */
#define STACK_DEPTH_MAX	128	/* frames */

/*
 * Frames of a stack, innermost first, and the generation it was captured in; @pcs
 * has room for STACK_DEPTH_MAX, and either pointer may be NULL. 0 frames: one of the
 * ids above. The frames are return addresses (look up pc - 1).
 */
size_t stack_get(uint32_t id, uintptr_t *pcs, uint32_t *generation);

/*
 * A module was unloaded: code at its addresses is other code from now on. To be
 * called after each dlclose(); stacks captured before keep their generation.
 */
void stack_new_generation(void);

extern uint32_t stack_now;	/* the generation; atomic */
static inline uint32_t stack_generation(void)
{
	return READ_ONCE(stack_now);
}

/*
 * What is known of a stack's outer frames: those from the @own-th on are those of @id,
 * of this generation, from its @skip-th on. An @id of no stack: nothing is known.
 */
struct stack_tail {
	uint32_t id, own, skip;
};

/* A stack that is looked for. */
struct stack_key {
	const uintptr_t *pcs;
	size_t n;
	struct stack_tail tail;
	uint32_t hash, generation;
};

/* Where it is looked up is being fetched from now on: do something else first. */
struct stack_key stack_key(const uintptr_t *pcs, size_t n, struct stack_tail tail);

/* Find or enter a stack. Takes the depot's lock and may allocate pages. */
uint32_t stack_put(const struct stack_key *key);

/* Visit all stacks, in no order; @fn returns false to stop. No lock is held. */
bool stack_walk(bool (*fn)(uint32_t id, void *arg), void *arg);

#endif
