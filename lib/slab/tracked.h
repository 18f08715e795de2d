/* SPDX-License-Identifier: MIT */
/*
 * Blocks with records: what the shell calls instead of kmalloc() and its kin
 * where track_on, or where a sample is due; kfree() comes here by itself.
 *
 * Each is to be called in tail position, or the stack begins with a frame of
 * ours, which costs a little and is left out.
 */
#ifndef STELE_SLAB_TRACKED_H
#define STELE_SLAB_TRACKED_H

#include "debug/sample.h"
#include "debug/track.h"

/* After slab_init(). */
void tracked_init(void);

void *tracked_malloc(size_t size);
void *tracked_calloc(size_t bytes);
void *tracked_aligned(size_t size, size_t align);
void *tracked_realloc(void *p, size_t size);
void tracked_free(void *p);
size_t tracked_usable(const void *p);
/* The record of the block at @p, which is the caller's; of anything else one without a stack. */
struct track tracked_peek(const void *p);

/*
 * For blocks that come and go by other ways: write the record of a block that is the
 * caller's, with his stack; @wait: he may take locks. Clear it at the block's end, with
 * the stack of who may take locks. Clear one, and write back what was cleared.
 */
void tracked_record(void *p, size_t size, bool wait);
void tracked_end(void *p);
struct track tracked_take(void *p);

/* profile=: the block is a sample. */
void tracked_sample(void *p, size_t size);
void tracked_put(void *p, struct track record);

#endif
