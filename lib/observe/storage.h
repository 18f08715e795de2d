/* SPDX-License-Identifier: MIT */
/*
 * Thread-local storage of libraries that are closed.
 *
 * libc frees a thread's storage of a closed library when the thread asks for storage
 * the next time, or ends. Until then its vector leads to variables that the program
 * has no name for any more: the storage is no leak, but what it points to may be one.
 *
 * The entries of a vector have the numbers of modules, and a number is given again.
 * So it is not asked which are in use now (the dynamic linker's lock could not be
 * taken in a report), but noted of each number when it was last given up, as a
 * generation of stacks (debug/stack.h): storage that is older belonged to who gave
 * it up.
 *
 * Locking: numbers are noted under observe_lock.
 */
#ifndef STELE_OBSERVE_STORAGE_H
#define STELE_OBSERVE_STORAGE_H

#include "slab/blocks.h"

#define NR_STORAGE_IDS	1024u	/* what has a higher number counts as loaded */

struct storage_ids {
	uint64_t bits[NR_STORAGE_IDS / 64];
};

/* Around a dlclose(): the numbers in use. Takes the dynamic linker's lock, as that does. */
void storage_ids_read(struct storage_ids *ids);
/* Those that are in @before and no longer in use were given up; once the generation is new. */
void storage_note_closed(const struct storage_ids *before);

/* Is @b, a thread's storage under this number, of a library that was closed? */
bool storage_is_closed(size_t id, const struct block *b);

#endif
