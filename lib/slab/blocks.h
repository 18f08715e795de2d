/* SPDX-License-Identifier: MIT */
/*
 * All blocks of the program: walking them, and finding the one that an address
 * points into. For the leak scanner.
 *
 * The caller has stopped every other thread and knows that none of them was
 * stopped inside of the allocator with a lock held:
 *
 *	blocks_lock();		all locks of the allocator, as for a fork
 *	... stop the threads ...
 *	blocks_unlock();	nobody else runs: structures are at rest and free to use
 *	blocks_index();
 *	... block_find(), blocks_walk() ...
 *	blocks_unindex();
 *	... resume the threads ...
 */
#ifndef STELE_SLAB_BLOCKS_H
#define STELE_SLAB_BLOCKS_H

#include "debug/track.h"

struct block {
	void *addr;
	size_t size;		/* bytes asked for; without a record: as usable */
	size_t usable;		/* bytes the program may use */
	struct track *rec;	/* NULL: allocated untracked (sampling: most blocks) */
};

/*
 * Who was interrupted by a signal may himself hold a lock: after a while in vain
 * the caller goes on without it. Its holder will be stopped, or is the caller.
 */
void blocks_lock(void);
void blocks_unlock(void);

/*
 * Build what block_find() needs, in memory from @alloc (zeroed), which must not
 * need a lock of ours. False: no memory.
 */
bool blocks_index(void *(*alloc)(size_t bytes));
void blocks_unindex(void);

/*
 * The live block that holds @addr, interior allowed; the address just past its
 * end is not in it. False: none. With blocks_index() done.
 */
bool block_find(const void *addr, struct block *b);

/*
 * The same in two steps: where the block is that would hold @addr, and, once its
 * record was fetched, whether it is live. The first step only asks for the record
 * (a prefetch): a scanner has other words to look at meanwhile. Between the two
 * @b->size is what may be used.
 */
bool block_locate(const void *addr, struct block *b);
bool block_is_live(struct block *b);

/*
 * Every address that can be in a block is in one of these: the scanner's first test.
 * The first is the break's, the second has all others.
 */
struct block_window {
	uintptr_t start, size;
};
extern struct block_window block_windows[2];
static inline bool block_possible(uintptr_t addr)
{
	return addr - block_windows[0].start < block_windows[0].size ||
	       addr - block_windows[1].start < block_windows[1].size;
}

/*
 * Visit every live block. In leak mode all blocks of the program are visited,
 * each with its record; while sampling, the sampled ones. @fn returns false
 * to stop; then so does the walk.
 */
bool blocks_walk(bool (*fn)(const struct block *b, void *arg), void *arg);

/*
 * Visit the address ranges that are the allocator's (heap, tables, mapped
 * blocks): not to be scanned as roots. By address within each kind.
 */
void blocks_ranges(void (*fn)(uintptr_t start, uintptr_t end, void *arg), void *arg);

#endif
