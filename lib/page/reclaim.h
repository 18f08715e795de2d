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

/* Empty these pages, which are in use and in one region: 0 or -errno. */
int reclaim_purge(pfn_t pfn, size_t npages);
/*
 * Of the pages in use @idle hold no block, and @purged no memory either. By how many
 * do the idle and the free ones in memory exceed the watermark? 0 where a parameter
 * forbids to give them back.
 */
size_t reclaim_excess(size_t idle, size_t purged);
/* May free memory go back where it lies, or does a parameter forbid it? */
bool reclaim_allowed(void);

/*
 * kswapd's side. Once a zone has more than kswapd_mark free touched pages, free()
 * calls kswapd_wake, with zone_lock held and perhaps others: it may start a thread
 * and wake one, nothing else. SIZE_MAX: there is nobody to wake, or he is awake.
 */
extern size_t kswapd_mark;
extern void (*kswapd_wake)(void);

/*
 * Give back half of what has lain free since the last call, down to @keep bytes.
 * False: nothing went back, as the system refused (locked memory).
 */
bool reclaim_idle(size_t keep);
/*
 * Is there nothing to do for kswapd? Then *awake becomes 0, and the next free()
 * that makes more than @keep calls kswapd_wake.
 */
bool reclaim_sleep(size_t keep, bool refused, uint32_t *awake);
/* The system is short of memory: purge all that is free, the break stays. */
void reclaim_pressure(void);

/* Bytes in all zones: what a reclaim could at most make room for. */
size_t reclaim_bound(void);

#endif
