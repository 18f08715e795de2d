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
/* Resize in place; false: not possible. @size is above the slab sizes. */
bool large_resize(void *p, size_t size);
/* Count pages and blocks that come to or leave the program: page_run.c's too. */
void large_count(long pages, long blocks);
void large_usage(size_t *bytes, size_t *blocks);

#endif
