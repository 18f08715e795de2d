/* SPDX-License-Identifier: MIT */
/* Giving memory back: trims of the break and purges inside. */
#ifndef STELE_PAGE_RECLAIM_H
#define STELE_PAGE_RECLAIM_H

#include "page/page.h"

/* Called with zone_lock held after a run was freed. May drop and retake it. */
void reclaim_after_free(pfn_t pfn, size_t npages);

/*
 * Give back all free pages of all zones, except @pad bytes at the top of the
 * break. Returns whether any memory went back.
 */
bool reclaim_all(size_t pad);

/* Bytes in all zones: what a reclaim could at most make room for. */
size_t reclaim_bound(void);

#endif
