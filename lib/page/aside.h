/* SPDX-License-Identifier: MIT */
/* Runs that free() has put aside, for whoever takes pages next to free them. */
#ifndef STELE_PAGE_ASIDE_H
#define STELE_PAGE_ASIDE_H

#include "page/page.h"

/*
 * Put aside a run that is the caller's alone, with PG_AWAY or PG_SLAB for its state and so many
 * leading pages that may be written. False: it is to be freed now. Takes no lock and makes
 * no system call.
 */
bool aside_put(void *addr, struct page *page, size_t written);

/* One cache line, which is all that aside_put() writes but for the run's descriptor. */
struct aside {
	pfn_t runs;		/* head; see aside.c */
	size_t pages;		/* of them, or about to be; atomic */
	size_t most;		/* that may lie so; zone_lock to write */
} __attribute__((aligned(64)));

extern struct aside aside;

void aside_free_all(void);
void aside_fork_child(void);

/* With zone_lock held, which may be dropped meanwhile: free what lies aside. */
static inline void aside_flush(void)
{
	if (unlikely(READ_ONCE(aside.runs)))
		aside_free_all();
}

#endif
