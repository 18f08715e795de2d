/* SPDX-License-Identifier: MIT */
/*
 * Pages: the unit of all book-keeping, and their descriptors.
 *
 * A page is 4 KiB whatever the system's page size is. Every page of a zone has
 * a 64-byte descriptor. Only the first descriptor of a run in use has a state;
 * a slab uses the others of its run for its object bitmap, elsewhere they are
 * unused. Free pages need no descriptor at all: the buddy lives in bitmaps.
 *
 * Order of service: page_alloc() takes from ZONE_BRK, then ZONE_MMAP.
 */
#ifndef STELE_PAGE_PAGE_H
#define STELE_PAGE_PAGE_H

#include "base/compiler.h"

#define PAGE_SHIFT	12
#define PAGE_SIZE	(1ul << PAGE_SHIFT)
#define MAX_ORDER	10
#define NR_ORDERS	(MAX_ORDER + 1)
#define MAX_BLOCK	(1ul << MAX_ORDER)	/* pages of the largest block */

typedef uintptr_t pfn_t;			/* address >> PAGE_SHIFT; 0: none */

/* What the class map says of a page: a slab class, or one of these. */
#define CLASS_NONE	0	/* free, ours for book-keeping, or not ours */
#define CLASS_LARGE	255	/* first page of a block or run handed to the program */
#define NR_CLASSES	256

enum page_state {
	PG_NONE,	/* free, inside a run, or never ours */
	PG_SLAB,	/* see slab/slab.h */
	PG_LARGE,	/* npages handed to the program */
	PG_META,	/* npages of the library's own */
	PG_RUN,		/* npages handed to the program as pages; slab/page_run.h */
	PG_AWAY,	/* a run that is being freed */
};

struct page {
	uint8_t state;		/* enum page_state; owner of the run */
	uint8_t order;
	uint8_t class;
	uint8_t zeroed;		/* a block that the program got zeroed */
	uint32_t npages;	/* length of the run */
	uint64_t words[7];
};
static_assert(sizeof(struct page) == 64, "one cache line per page");

static inline pfn_t addr_pfn(const void *addr)
{
	return (uintptr_t)addr >> PAGE_SHIFT;
}

static inline void *pfn_addr(pfn_t pfn)
{
	return (void *)(pfn << PAGE_SHIFT);
}

static inline size_t bytes_pages(size_t bytes)
{
	return (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/* How far an allocation may go. Whatever is beyond it counts as no memory. */
enum alloc_flags {
	ALLOC_WAIT = 1,		/* wait for locks; without it they are tried, quietly */
	ALLOC_GROW = 2,		/* ask the system for more */
	ALLOC_HIGH = 4,		/* use half of the reserve, */
	ALLOC_HARDER = 8,	/* or five eighths, */
	ALLOC_RESERVE = 16,	/* or all of it (reserve.c) */
	ALLOC_LOW = 32,		/* only below os_low_limit(); nothing of the reserve */
	ALLOC_MOVES = 64,	/* a block that may grow again: mappings do so without a copy */
	ALLOC_CREEPS = 128,	/* a run that will grow in small steps: free pages around it */
	ALLOC_NORMAL = ALLOC_WAIT | ALLOC_GROW,
};

/*
 * @npages contiguous pages whose address is a multiple of @align pages (a power
 * of two); NULL when no zone can give them. The descriptor of the first page is
 * stored in *@page. Contents are undefined where touched, zero elsewhere.
 */
void *page_alloc(size_t npages, size_t align, struct page **page);

/*
 * The same as far as @how goes, and with the class set while the pages are taken:
 * for CLASS_LARGE of the first page (whose state becomes PG_LARGE), for a slab's
 * class of all of them.
 */
void *page_alloc_class(size_t npages, size_t align, unsigned class, unsigned how,
		       struct page **page);

/*
 * Give a run back. The owner says how many of its leading pages may have been
 * written since they were allocated; the rest keep their state.
 */
void page_free(void *addr, size_t npages, size_t written);
/*
 * As page_free() where the caller may neither wait nor enter the kernel; the
 * pages lose their class too. False: nothing was done.
 */
bool page_try_free(void *addr, size_t npages, size_t written);

/* The page in use is about to be freed: fetch what buddy_free() will write. Lock-free. */
void page_fetch_free(const void *addr);

/*
 * As page_free for a run that the program may have written anywhere; its first page
 * loses its class. But where many of its pages were untouched before, the system is
 * asked which of them are in memory: so that a sparse array is not zeroed as a whole
 * when it is next handed out. Some sparse ones are emptied. @zeroed: the program got it
 * zeroed, and is likely to ask for that again.
 */
void page_free_sparse(void *addr, size_t npages, bool zeroed);

/*
 * As page_free for a run of at most 64 pages, by bits: those that may have been
 * written, and those that are known to be zero. The rest keep their state.
 */
void page_free_mapped(void *addr, size_t npages, uint64_t written, uint64_t zero);
/* Which of its pages were other than zero when it was allocated. */
uint64_t page_touched(const void *addr, size_t npages);
/*
 * Give back the memory of these pages of such a run; the run stays allocated.
 * Returns those that went: whole pages of the system that were in memory, or may
 * have been.
 */
uint64_t page_purge_mapped(void *addr, size_t npages, uint64_t mask);

/* Grow a run in place; false: the pages behind it are not to be had. */
bool page_extend(void *addr, size_t old_pages, size_t new_pages);

/* Say that all of a run in use may be other than zero. */
void page_note_written(void *addr, size_t npages);

/* Zero the run, without touching pages that read as zero already. */
void page_zero(void *addr, size_t npages);

/* Pages for the library's own structures: zeroed, never NULL-tested cheaply. */
void *page_alloc_meta(size_t npages);
void *page_alloc_meta_how(size_t npages, unsigned how);
void page_free_meta(void *addr, size_t npages);
/*
 * The same for tables that are large, and seldom full: what was in memory of the pages
 * goes back to the system, so that only what is written comes to lie there.
 */
void *page_alloc_table(size_t npages);

/* Set the class of a run's pages. The owner of the run calls it. */
void page_set_class(void *addr, size_t npages, unsigned class);

#endif
