/* SPDX-License-Identifier: MIT */
/*
 * Runs of pages that the program asked for as pages. They are large blocks to
 * the class map, but of a family of their own: another state of their first page
 * (PG_RUN), and not for free().
 */
#ifndef STELE_SLAB_PAGE_RUN_H
#define STELE_SLAB_PAGE_RUN_H

#include "page/page.h"

/* @npages at a multiple of @align pages; @how: enum alloc_flags. NULL: no memory. */
void *page_run_alloc(size_t npages, size_t align, unsigned how, bool zero);

/* Why an address was refused; nothing was freed then. */
enum page_run_error {
	RUN_OK,
	RUN_FOREIGN,	/* in no zone */
	RUN_FREE,	/* the page is free, or is being freed */
	RUN_BLOCK,	/* a block or object of malloc() or a cache */
	RUN_INSIDE,	/* not the first page of a run */
	RUN_LENGTH,	/* a run of another length: *have pages */
};

/*
 * Free a run of @npages. @wait false: no lock is waited for and no system call
 * made; the run may be put aside until page_run_flush().
 */
enum page_run_error page_run_free(void *p, size_t npages, bool wait, size_t *have);

/* Free what was put aside. */
void page_run_flush(void);

#endif
