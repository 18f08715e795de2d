/* SPDX-License-Identifier: MIT */
/*
 * Huge pages, transparent (thp=, and glibc.malloc.hugetlb=1 as thp=always) and
 * from the system's pool (hugetlb=2 or a page size).
 *
 *	default	the system's setting holds; nothing is asked for
 *	always	zones grow and shrink in whole huge pages, which the system is told
 *		may be huge; free() gives back whole ones only
 *	never	no huge page anywhere
 *
 * A region is a huge page's range of addresses. When less than all of a region
 * is purged, khugepaged could make it one huge page again, and what was given
 * back would be resident once more. Hence such a region is told not to be huge;
 * one that is purged as a whole holds no page, and is left alone by khugepaged.
 */
#ifndef STELE_PAGE_THP_H
#define STELE_PAGE_THP_H

#include "page/section.h"

#define HUGE_SHIFT	21
#define HUGE_ORDER	(HUGE_SHIFT - PAGE_SHIFT)
#define HUGE_PAGES	(1ul << HUGE_ORDER)
#define HUGE_SIZE	(1ul << HUGE_SHIFT)

/* What the heap asks for. */
enum thp_mode { THP_MODE_SYSTEM, THP_MODE_ALWAYS, THP_MODE_NEVER };
enum thp_mode thp_mode(void);

/* Fresh memory of a zone or of a mapped block. */
void thp_advise(void *addr, size_t len);

/*
 * The free pages [pfn, pfn + npages) are about to be purged, all in section @s;
 * with zone_lock held, and the pages out of the buddy.
 */
void thp_before_purge(struct section *s, pfn_t pfn, size_t npages);
/* Region @r of @s has become the mapping that region @from_r of @from is, of the same zone. */
void thp_note_moved(struct section *s, size_t r, const struct section *from, size_t from_r);
/* These pages leave the zone, and with them what the system was told. */
void thp_forget(struct section *s, size_t page, size_t end);

/* Page size of the pool to map blocks from; 0: not wanted, or none. */
size_t thp_pool_page(void);

#endif
