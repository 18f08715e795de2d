/* SPDX-License-Identifier: MIT */
/*
 * Marking: which blocks can be reached from what, as the kernel's kmemleak does
 * it, with the finer classes of memory checkers.
 *
 *	1 from the roots by pointers to the start of blocks	REACHABLE
 *	2 from where interior pointers of 1 lead, by any	POSSIBLE
 *	3 from each block that is left, in turn, by any		LOST, with a leader
 *
 * A block counts as pointed to at its start also where a language or a library
 * keeps a pointer a little behind it: see start.h.
 *
 * A leader is a lost block to which no other lost block leads, except those that
 * it leads to itself: of a ring, the block with the lowest address. It is lost
 * directly, what it leads to indirectly.
 *
 * Leaders are found in two passes. First each lost block, by address, passes over
 * what it leads to and what was not passed over before: those that began a pass
 * are candidates. To the last candidate none of the others leads, or it would have
 * been passed over. So in the second pass, from the last to the first, a candidate
 * is a leader if no leader before it led to it.
 *
 * The state of a block is in its record. All other threads are stopped.
 */
#ifndef STELE_OBSERVE_MARK_H
#define STELE_OBSERVE_MARK_H

#include "observe/scratch.h"
#include "slab/blocks.h"

enum root_kind {
	ROOT_DATA,	/* who: index of the module */
	ROOT_STACK,	/* who: thread's number */
	ROOT_REGISTER,	/* ditto */
	ROOT_TLS,	/* ditto */
	ROOT_MAPPING,	/* who: index of the mapping */
	ROOT_HEAP,	/* pages that the program asked for as such, a block without a record */
	ROOT_IGNORED,	/* the program has said so: excuse.h */
	NR_ROOT_KINDS,
};

/* What holds a block, or the first of a chain of blocks. */
struct root {
	enum root_kind kind;
	uint32_t who;
	uint32_t head;		/* stack of the block that is held */
	uint32_t id;		/* in a snapshot; 0: not named yet */
	uintptr_t at;		/* where the pointer was found */
};

enum mark_state {
	MARK_NONE, MARK_SEED, MARK_REACHABLE, MARK_POSSIBLE,
	MARK_PASSED,		/* lost, and a leader not chosen yet */
	MARK_LOST,
};

static inline enum mark_state mark_state(uint32_t mark)
{
	return (enum mark_state)(mark & 7);
}

/* Reachable and possible: index of the root. Lost: index of the leader. */
static inline uint32_t mark_id(uint32_t mark)
{
	return mark >> 3;
}

struct leader {
	uintptr_t addr;
	uint32_t stack;
	struct track *rec;
	size_t size;
};

void mark_begin(void);
/* Words of [start, end) are roots. The range must be readable. */
void mark_range(uintptr_t start, uintptr_t end, enum root_kind kind, uint32_t who);
/* The same, leaving out pages that do not exist; see os_pages(). */
void mark_pages(int fd, uintptr_t start, uintptr_t end, bool anonymous, enum root_kind kind,
		uint32_t who);
/* The block at @addr is held, by whatever pointer; with @scan what it points to as well. */
void mark_held(uintptr_t addr, enum root_kind kind, uint32_t who, uintptr_t at, bool scan);
/* Words of [start, end), in a block, hold nothing: it is the dead part of a stack. */
void mark_dead(uintptr_t start, uintptr_t end);
/* Follow pointers from what was marked so far. */
void mark_follow(int fd);
/* After the roots: the other classes, and the leaders. False: no memory. */
bool mark_finish(void);
/* Zero the marks of all records. */
void mark_end(void);

struct root *mark_root(uint32_t id);
const struct leader *mark_leader(uint32_t id);
size_t mark_bytes_scanned(void);

/*
 * For a handler of SIGSEGV and SIGBUS: where @addr was read by a scan, goes on
 * behind its page and does not return.
 */
void mark_fault(uintptr_t addr);

#endif
