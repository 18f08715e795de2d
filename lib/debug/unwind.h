/* SPDX-License-Identifier: MIT */
/*
 * Unwinding: from the registers of a caller to the return addresses above him.
 *
 * What a walk finds depends on nothing but the words that it reads, and each
 * word it reads on those before. So the list of reads is kept, in order: as long
 * as they are unchanged the result is the same (memo.h).
 */
#ifndef STELE_DEBUG_UNWIND_H
#define STELE_DEBUG_UNWIND_H

#include "debug/cfi.h"
#include "debug/stack.h"

/*
 * A walk begins at the frame of a function of ours that has a frame pointer: where it
 * points, the caller's lies, and beside it the return address. (So does the frame
 * record of arm64.) Behind them is the caller's frame.
 *
 *	frame --> |caller's fp|return address|caller's frame ...
 */

enum read_kind {
	READ_WORD,	/* the word at frame + off */
	READ_RELATIVE,	/* the same, minus frame: an address on the stack */
};

/* A word that was read, and what was there. */
struct stack_read {
	uint64_t value;
	uint32_t off;
	uint32_t kind;		/* enum read_kind */
};

/*
 * Memory around the stack pointer that is known to be readable, found out by looking;
 * nothing is assumed of any stack. See range.c.
 */
struct stack_range {
	uintptr_t lo, hi;
	bool own;		/* of the thread's own stack: there is nothing above hi */
};

/* What is remembered of one thread's own stack. */
struct own_stack {
	uintptr_t thread;	/* whose: the address of its debug_thread */
	uintptr_t lo, hi;	/* the readable part; hi 0: not looked for yet */
	uintptr_t gap;		/* an unreadable page below it; 0: none seen */
};

struct stack_range stack_range_slow(struct own_stack *own, uintptr_t sp);
bool stack_range_grow(struct stack_range *r, uintptr_t addr);

static inline struct stack_range stack_range(struct own_stack *own, uintptr_t sp)
{
	if (likely(sp - own->lo < own->hi - own->lo))
		return (struct stack_range){ own->lo, own->hi, true };
	return stack_range_slow(own, sp);
}

#define READS_MAX	(3 * STACK_DEPTH_MAX)
#define STANDS_MAX	(2 * STACK_DEPTH_MAX)	/* with frames of our own */

/* Where a walk stood before a step; for the walk after it. */
struct stand {
	uintptr_t pc, sp;		/* pc 0: interrupted there */
	uint16_t n, nr_reads;		/* so far */
	/* The earliest step, by its stand, that set a register which steps from here on use. */
	uint16_t needs;
};

struct walk {
	/* In. */
	uintptr_t frame;
	struct stack_range range;
	size_t depth;			/* frames wanted */

	/* Out. */
	uintptr_t pcs[STACK_DEPTH_MAX];
	size_t n;
	uint32_t own, skip;		/* joined: as in struct stack_tail */
	struct stack_read reads[READS_MAX];
	size_t nr_reads;
	bool repeatable;		/* the reads say it all */
	bool cut;			/* there may be more frames */
	uint32_t generation;
	struct stand stands[STANDS_MAX];
	size_t nr_stands;

	/* Between. */
	const struct walk *before;	/* join.c; NULL: nothing to join */
	size_t next;			/* stand of it that may be met */
	uint16_t needs, since[CFI_NR_REGS];
	struct cfi_machine machine;
	uintptr_t pc, sp, last_off;
	bool exact;			/* pc was interrupted: it is no return address */
	uint8_t where[CFI_NR_REGS];		/* enum in unwind.c */
	uintptr_t reg[CFI_NR_REGS];
};

/* @before: an earlier walk, or NULL. */
void unwind_walk(struct walk *w, const struct walk *before);

/* join.c: does the rest go as the earlier walk's? Then the walk is complete. */
bool unwind_join(struct walk *w);

/* ---- rules.c: what is known of a pc, cached ---- */

enum rule_kind {
	RULE_UNKNOWN,	/* the row is needed, or there is none */
	RULE_PLAIN,	/* CFA = register + offset, RA below it, registers on the stack */
	RULE_FP,	/* no row, or unwind=fp: {old fp, RA} lie at fp */
	RULE_END,	/* outermost */
};

#define NR_SAVED	6
extern const uint8_t rule_saved_regs[NR_SAVED];

struct rule {
	uintptr_t pc;
	uint32_t seq;			/* odd: being written */
	uint32_t generation;
	int16_t cfa_off;		/* in words, as are the others */
	uint8_t kind : 7;		/* enum rule_kind */
	uint8_t after_call : 1;		/* what lies before pc + 1 looks like a call */
	uint8_t cfa_reg;
	int16_t saved[NR_SAVED];	/* relative to the CFA; 0: not saved */
};

/* @pc: inside of the call. */
void rule_find(uintptr_t pc, struct rule *out);
/* It will be asked for soon. */
void rule_prefetch(uintptr_t pc);
/*
 * @frame_pointers: follow them wherever it is not our own code. @many: there will be a
 * rule for much of the program's code.
 */
void rule_init(bool frame_pointers, bool many);
bool rule_frame_pointers(void);

/* Our own code. */
bool unwind_is_own(uintptr_t pc);

#endif
