/* SPDX-License-Identifier: MIT */
/*
 * The verified memo: from the words on the stack straight to the stack's id.
 *
 * 1. A walk is a sequence of reads, each determined by those before it. All walks
 *    seen so far form a tree: at each node one place is read, and what is found
 *    there selects the branch. Going down this tree is reading every word that the
 *    walk would read and finding it unchanged, so the id at the leaf is what the
 *    walk would have come to.
 *
 * 2. Layout. The first walk that came by is laid out in one piece; where another
 *    one found a different value, a branch in a hash table {place, value} leads
 *    to its rest, which is a piece of its own.
 *
 *	nodes:	|run of 8|....|....|....|....|....|end, id|run of 4|....|....|end, id|
 *		 first walk                                branch
 *
 *    A node is one frame: the return address, and where frame pointers are
 *    followed, before it the pointer that led there. What does not fit this
 *    (expressions) stands between two runs.
 *
 * 3. Offsets are relative to the frame that the walk begins at, and so are the stack addresses
 *    among the values: the tree serves any thread at any depth.
 *
 * Locking: none; a memo has one user at a time (capture.c).
 */
#ifndef STELE_DEBUG_MEMO_H
#define STELE_DEBUG_MEMO_H

#include "debug/unwind.h"

struct memo_node {
	union {
		uint64_t pc;		/* frame: what must be at frame + off */
		uint64_t value;		/* end: the id; others: as in stack_read */
		uint32_t groups;	/* run: so many groups of frames follow */
	};
	uint32_t off;			/* run: frames, without those that fill it */
	/*
	 * Frame, if not 0: first, frame + link must be at frame + off; and then pc at
	 * frame + link + 8, which is above. Run: so many groups at its begin have links
	 * in all frames. Others: what it is.
	 */
	uint32_t link;
};
static_assert(sizeof(struct memo_node) == 16, "four to a line");

#define MEMO_GROUP	4	/* frames; the last of a run is repeated to fill it */
#define WORD_BYTES	((uint32_t)sizeof(uintptr_t))

enum memo_kind { MEMO_END, MEMO_RELATIVE };

struct memo_branch {
	uint64_t value;
	uint32_t from;			/* place; 0: value is the pc of a caller */
	uint32_t to;			/* node: a run; 0: the slot is empty */
};

struct memo {
	struct memo_branch *branches;
	struct memo_node *nodes;	/* [0] is not used */
	uint32_t branch_mask;		/* their number - 1; valid if there are any */
	uint32_t generation;
	uint32_t nr_nodes, max_nodes;
	uint32_t nr_branches;
};

/* Places where a walk may branch: the pc of a node, or its link. */
static inline uint32_t memo_place(const struct memo *m, const struct memo_node *node, bool link)
{
	return (uint32_t)(node - m->nodes) * 2 + link;
}

static inline size_t memo_hash(uint32_t from, uint64_t value)
{
	return (size_t)((value ^ (uint64_t)from << 40) * 0x9e3779b97f4a7c15ull >> 40);
}

/* The run that goes on from there; 0: none. */
static inline uint32_t memo_branch(const struct memo *m, uint32_t from, uint64_t value)
{
	for (size_t i = memo_hash(from, value);; i++) {
		const struct memo_branch *b = &m->branches[i & m->branch_mask];

		if (likely(b->value == value && b->from == from))
			return b->to;
		if (!b->to)
			return 0;
	}
}

static inline uintptr_t memo_word(uintptr_t at)
{
	return *(const volatile uintptr_t *)at;
}

/* Where the pc of a frame must be. */
static inline uintptr_t memo_pc_at(const struct memo_node *n, uintptr_t frame)
{
	return frame + (n->link ? n->link + WORD_BYTES : n->off);
}

/* Not 0: something differs. Both places are readable. The frame has a link. */
static __force_inline uint64_t memo_link_differs(const struct memo_node *n, uintptr_t frame)
{
	const uintptr_t *at = (const uintptr_t *)(frame + n->link);

	/* Plain loads, which the compiler may make operands. */
	return (*(const uintptr_t *)(frame + n->off) ^ (uintptr_t)at) | (at[1] ^ n->pc);
}

/* The same of any frame. */
static inline uint64_t memo_differs(const struct memo_node *n, uintptr_t frame)
{
	uint64_t diff = memo_word(memo_pc_at(n, frame)) ^ n->pc;

	if (n->link)
		diff |= (memo_word(frame + n->off) - frame) ^ n->link;
	return diff;
}

static inline bool memo_reach(uintptr_t at, struct stack_range *range, bool grow)
{
	return likely(at < range->hi) || (grow && stack_range_grow(range, at));
}

/*
 * Down the tree. STACK_NONE: not known; MEMO_OUTSIDE: a word lies beyond the range,
 * unless it may be grown.
 */
#define MEMO_OUTSIDE	(~0u)

static __force_inline uint32_t memo_descend(const struct memo *m, uintptr_t frame,
					    struct stack_range *range, bool grow)
{
	uint32_t to;

	if (unlikely(!m->branches || m->generation != stack_generation()))
		return STACK_NONE;
	to = memo_branch(m, 0, memo_word(frame + WORD_BYTES));
	while (likely(to)) {
		const struct memo_node *node = &m->nodes[to];
		uint32_t groups = node->groups, linked = node->link;
		bool link = false;
		uintptr_t at, value;

		/* All frames of a group at once, the highest decides about the range. */
		for (node++; linked; linked--, groups--, node += MEMO_GROUP) {
			if (unlikely(frame + node[MEMO_GROUP - 1].link + WORD_BYTES >= range->hi) ||
			    unlikely(memo_link_differs(&node[0], frame) |
				     memo_link_differs(&node[1], frame) |
				     memo_link_differs(&node[2], frame) |
				     memo_link_differs(&node[3], frame)))
				break;
		}
		for (; groups; groups--) {
			if (likely(memo_pc_at(&node[MEMO_GROUP - 1], frame) < range->hi) &&
			    likely(!(memo_differs(&node[0], frame) | memo_differs(&node[1], frame) |
				     memo_differs(&node[2], frame) | memo_differs(&node[3], frame)))) {
				node += MEMO_GROUP;
				continue;
			}
			/* Where? */
			for (unsigned i = 0; i < MEMO_GROUP; i++, node++) {
				at = frame + node->off;
				if (!memo_reach(at, range, grow))
					return MEMO_OUTSIDE;
				if (node->link) {
					value = memo_word(at) - frame;
					link = value != node->link;
					if (link)
						goto differs;
					at = memo_pc_at(node, frame);
					if (!memo_reach(at, range, grow))
						return MEMO_OUTSIDE;
				}
				value = memo_word(at);
				if (value != node->pc)
					goto differs;
			}
		}
		if (likely(node->link == MEMO_END))
			return (uint32_t)node->value;
		/* A word that is no link. */
		at = frame + node->off;
		if (!memo_reach(at, range, grow))
			return MEMO_OUTSIDE;
		value = memo_word(at) - frame;
		to = (uint32_t)(node + 1 - m->nodes);
		if (likely(value == node->value))
			continue;
differs:
		to = memo_branch(m, memo_place(m, node, link), value);
	}
	return STACK_NONE;
}

/* Where a walk leaves the tree: what it read there, and which of its reads comes next. */
struct memo_way {
	uint64_t value;
	uint32_t from;
	size_t next;
};

/* False: it cannot be remembered, or is. Else there is room for it until it is entered. */
bool memo_way(struct memo *m, const struct walk *w, struct memo_way *way);
/* Remember what a walk came to. */
void memo_enter(struct memo *m, const struct walk *w, const struct memo_way *way, uint32_t id);

#endif
