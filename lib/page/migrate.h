/* SPDX-License-Identifier: MIT */
/*
 * Migration: memory that lies free comes to where it is wanted.
 *
 * A page fault costs more than all else that a large block does, and what is free and
 * touched seldom lies where a large run has room. The system can move it there, a
 * region at a time, for less than a hundredth of that (page/thp.h: a region).
 */
#ifndef STELE_PAGE_MIGRATE_H
#define STELE_PAGE_MIGRATE_H

#include "page/section.h"

/*
 * Fill a run that was just allocated, and that nobody has seen yet, with free touched
 * pages of its zone. What is in it afterwards is undefined. May enter the kernel. False:
 * part of the run is not there any more, and it must not be used.
 */
bool migrate_in(void *addr, size_t npages);
/*
 * Are there @least free touched pages for a run of @npages, and may they be moved there,
 * if it is long enough for that? A look without a lock.
 */
bool migrate_has(size_t least, size_t npages);
/* These pages leave the zone. With zone_lock held. */
void migrate_forget(struct section *s, size_t page, size_t end);

#endif
