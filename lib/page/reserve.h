/* SPDX-License-Identifier: MIT */
/* The reserve: see reserve.c. */
#ifndef STELE_PAGE_RESERVE_H
#define STELE_PAGE_RESERVE_H

#include "os/lock.h"
#include "page/page.h"

/* Have @npages pages, in memory, instead of what there was; false: no memory. */
bool reserve_fill(size_t npages);
size_t reserve_available(void);

/* Is the page of the reserve, taken or not? A hint: the reserve may be replaced. */
bool reserve_owns(pfn_t pfn);

/* Between enter (false: somebody is in, and the caller may not wait) and leave: */
bool reserve_enter(unsigned how);
void reserve_leave(void);
/* A run that the flags in @how allow to take; 0: none. */
pfn_t reserve_take(size_t npages, size_t align, unsigned how);

/*
 * The part of a freed run that is the reserve's goes back there; *first and *n
 * become that part (*n 0: none of it). With zone_lock held. False: who may not
 * @wait could not get in, nothing was done.
 */
bool reserve_put(pfn_t pfn, size_t npages, bool wait, pfn_t *first, size_t *n);

/* Zone tables are being replaced: nobody takes from the reserve meanwhile. */
extern struct lock reserve_lock;

#endif
