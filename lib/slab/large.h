/* SPDX-License-Identifier: MIT */
/* Blocks above the largest size class: runs of pages, or own mappings. */
#ifndef STELE_SLAB_LARGE_H
#define STELE_SLAB_LARGE_H

#include "debug/track.h"
#include "page/page.h"

/* The record of a run lies in the descriptor of its first page; zero at first. */
static inline struct track *large_track(struct page *page)
{
	return (struct track *)page->words;
}

/* @align in bytes, a power of two; @how: enum alloc_flags. NULL: no memory. */
void *large_alloc(size_t size, size_t align, bool zero, unsigned how);
/* @p is the start of a run: CLASS_LARGE. */
void large_free(void *p);
size_t large_size(const void *p);
/*
 * Resize in place; false: not possible. What grows may take up to @room bytes more
 * with it, for its next steps.
 */
bool large_resize(void *p, size_t size, size_t room);
/*
 * A run with so much room behind what is asked for. It stays the block's until a size
 * below the last one is asked for: large_has_room() is told each, at most the block's
 * own, and says whether the run may be left as it is.
 */
void *large_alloc_room(size_t size, size_t room);

/* Where the last size that was asked for lies, of a run with room; 0: it has none. */
static inline uint64_t *large_asked(struct page *page)
{
	return &page->words[2];
}
static_assert(sizeof(struct track) <= 2 * sizeof(uint64_t), "the record lies before it");

static inline bool large_has_room(struct page *page, size_t size)
{
	uint64_t *asked = large_asked(page);

	if (!*asked || size < *asked)
		return false;
	*asked = size;
	return true;
}

/*
 * May the run be left as it is for @size? What has room is asked first: where in its
 * last page a size ends, no one foresees.
 */
static inline bool large_stays(struct page *page, size_t size)
{
	size_t have = (size_t)page->npages << PAGE_SHIFT;

	return size <= have && (large_has_room(page, size) || size + PAGE_SIZE > have);
}

/* Count pages and blocks that come to or leave the program: page_run.c's too. */
void large_count(long pages, long blocks);
void large_usage(size_t *bytes, size_t *blocks);

#endif
