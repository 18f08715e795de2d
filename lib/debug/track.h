/* SPDX-License-Identifier: MIT */
/*
 * Tracking: who allocated a block, how large he asked for it, and when.
 *
 * Records lie out of line: in an array beside the slab, in the descriptor of a
 * large run's first page, in the table of mapped blocks. Nothing is written in
 * or next to the blocks. slab/blocks.h finds and walks them.
 *
 * A record belongs to its block's owner, as the block does: it is written before
 * malloc returns and cleared when free begins, by plain stores. A block is live
 * while its record has a stack.
 *
 *	live	stack = allocation		when = time of allocation
 *	free	stack = STACK_NONE		when = stack of the last allocation,
 *						size_lo = stack of its free (free_stacks=on)
 */
#ifndef STELE_DEBUG_TRACK_H
#define STELE_DEBUG_TRACK_H

#include "debug/stack.h"

struct track {
	uint32_t stack;		/* depot id of the allocation; STACK_NONE: free or unknown */
	uint32_t size_lo;	/* bytes asked for, the low 32 bits */
	uint32_t when;		/* ms since the process began, wraps after 49 days */
	uint32_t mark;		/* the scanner's; zero between scans */
};
static_assert(sizeof(struct track) == 16, "a quarter of a cache line");

/* Constant after track_init(). At most one of the first two; any: either. */
extern bool track_on;		/* leak=, usable=exact: every block has a record */
extern bool track_sampling;	/* profile=: sampled blocks have one */
extern bool track_any;

/* Read the tunables; once, before the first block. */
void track_init(void);

/* Milliseconds since the process began, of the clock that records use. */
uint32_t track_now(void);

static inline void track_set(struct track *t, uint32_t stack, size_t size)
{
	WRITE_ONCE(t->size_lo, (uint32_t)size);
	WRITE_ONCE(t->when, track_now());
	WRITE_ONCE(t->stack, stack);
}

/* @free_stack: STACK_NONE where it is not kept. */
static inline void track_clear(struct track *t, uint32_t free_stack)
{
	uint32_t stack = t->stack;

	WRITE_ONCE(t->stack, STACK_NONE);
	WRITE_ONCE(t->when, stack);
	WRITE_ONCE(t->size_lo, free_stack);
}

void track_overwrite(void **objs, size_t n);

/*
 * What is left of a batch of objects on the stack and in registers would look like
 * pointers of the program's, to blocks that it gets later.
 */
static inline void track_forget(void **objs, size_t n)
{
	if (unlikely(track_on))
		track_overwrite(objs, n);
}

/* The bytes asked for of a block that can hold @usable. */
static inline size_t track_size(const struct track *t, size_t usable)
{
	size_t size = (usable & ~(size_t)UINT32_MAX) | t->size_lo;

	return size <= usable || size < 1ul << 32 ? size : size - (1ul << 32);
}

/* The stacks of a record, a line for each frame; nothing of one that has none. */
void track_tell(const struct track *t);

/*
 * A block that is free was freed again: one line, with the stacks of its
 * allocation and, if kept, of the first free; then abort.
 */
_Noreturn void track_double_free(const void *p, const struct track *t, const char *cache);

#endif
