/* SPDX-License-Identifier: MIT */
/*
 * Pages, virtual areas, pinned buffers and mapped regions.
 *
 * Four families, each with functions of its own to free it; free() and
 * stele_kfree() take none of them.
 *
 *	stele_get_free_pages()	runs of pages, naturally aligned, from the heap's buddy
 *	stele_vmalloc()		an area with a guard page behind it; faults once freed
 *	stele_alloc_pinned()	memory that stays in RAM, between guard pages
 *	stele_map_region()	part of a file or device, between guard pages
 *
 * A page here is a page of the system: stele_page_size() bytes.
 *
 * Contexts. "Any" below means any thread at any time, signal handlers included,
 * as far as the flags of the call allow: see STELE_GFP_NOWAIT and
 * STELE_GFP_ATOMIC in <stele/gfp.h>. "Process" means: not in a signal handler.
 *
 * Errors. Functions that return a pointer return NULL and set errno. Arguments
 * that make no sense give one line on stderr that says what and who called, and
 * EINVAL; so do pointers that are not what a function frees, or were freed
 * before: then nothing is freed, and the program runs on. Functions that free
 * leave errno alone otherwise.
 */
#ifndef STELE_PAGES_H
#define STELE_PAGES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <stele/gfp.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- pages ---- */

/* A request is for 2^order pages, 0 <= order <= STELE_MAX_ORDER. */
#define STELE_MAX_ORDER		10

/* Bytes of a page: 4, 16 or 64 KiB. Any. */
size_t stele_page_size(void);
/* The smallest order whose block holds @size bytes. Any. */
unsigned int stele_get_order(size_t size);

/*
 * 2^@order pages; the address is a multiple of that size. Their contents are
 * undefined, zero with STELE_GFP_ZERO. STELE_GFP_DMA, STELE_GFP_DMA32: all of it
 * below 4 GiB. NULL: ENOMEM, or EINVAL for @order > STELE_MAX_ORDER. Any.
 */
void *stele_get_free_pages(stele_gfp_t gfp, unsigned int order)
	__attribute__((malloc, warn_unused_result));
/* One page of zeros. Any. */
void *stele_get_zeroed_page(stele_gfp_t gfp) __attribute__((malloc, warn_unused_result));
/* Give them back; @order as they were allocated. NULL: nothing. Process. */
void stele_free_pages(void *addr, unsigned int order);
/*
 * Free where the thread may have been interrupted inside the allocator: no lock
 * is waited for, no system call made. What cannot be freed now is put aside and
 * freed by a later call that may wait. Any.
 */
void stele_free_pages_nolock(void *addr, unsigned int order);

/*
 * As many pages as @size bytes need and no more, aligned like the block of the
 * covering order. NULL: ENOMEM, or EINVAL for 0 bytes and more than
 * 2^STELE_MAX_ORDER pages. Any.
 */
void *stele_alloc_pages_exact(size_t size, stele_gfp_t gfp)
	__attribute__((malloc, alloc_size(1), warn_unused_result));
/* @size as it was allocated. NULL: nothing. Process. */
void stele_free_pages_exact(void *addr, size_t size);

/* ---- virtual areas ---- */

/*
 * A mapping of its own, page aligned, with a guard page behind it: access beyond
 * its last page ends in SIGSEGV. Its contents are undefined for vmalloc, zeros
 * for vzalloc. NULL: ENOMEM, or EINVAL for 0 bytes. Process.
 */
void *stele_vmalloc(size_t size) __attribute__((malloc, alloc_size(1), warn_unused_result));
void *stele_vzalloc(size_t size) __attribute__((malloc, alloc_size(1), warn_unused_result));
/*
 * With flags. An area is made by system calls: without STELE_GFP_DIRECT_RECLAIM
 * the result is NULL, ENOMEM. STELE_GFP_DMA, STELE_GFP_DMA32: below 4 GiB.
 */
void *stele_vmalloc_gfp(size_t size, stele_gfp_t gfp)
	__attribute__((malloc, alloc_size(1), warn_unused_result));
/*
 * The area @p with @size bytes; it may move, by page tables and not by copying.
 * What it loses at its end faults at once. NULL: no memory, @p is as it was. @p
 * NULL: a new area; @size 0: @p is freed, the result is NULL. With
 * STELE_GFP_ZERO the bytes behind the old size are zero. Process.
 */
void *stele_vrealloc(const void *p, size_t size, stele_gfp_t gfp)
	__attribute__((alloc_size(2), warn_unused_result));
/*
 * Free an area. Its memory goes back to the system and its addresses fault from
 * the moment the call returns; they are not used again until many areas are
 * unmapped together. NULL: nothing. Process.
 */
void stele_vfree(const void *p);
/* Does @p point into an area of stele_vmalloc()? Process. */
int stele_is_vmalloc_addr(const void *p);
/* Unmap now what freed areas still hold of the address space. Process. */
void stele_vm_unmap_aliases(void);

/* ---- pinned buffers ---- */

/* Flags of stele_alloc_pinned(). */
#define STELE_PIN_HUGE		0x1u	/* huge pages, where the system has some */

/*
 * @size bytes of zeros that are in RAM and stay there: locked, never swapped, not
 * in a child of fork() (who accesses them there gets SIGSEGV), between guard
 * pages. With STELE_PIN_HUGE the buffer is aligned to a huge page and made of
 * reserved huge pages, or of transparent ones where there are none, or of pages
 * where those are off; stele_vmallocinfo() tells which.
 *
 * *@phys, unless @phys is NULL, becomes the physical address of the first byte,
 * or 0 for a process that may not know it (it takes CAP_SYS_ADMIN).
 *
 * NULL: ENOMEM (also where RLIMIT_MEMLOCK is too small), EPERM where nothing
 * may be locked, EINVAL for 0 bytes or an unknown flag. Process.
 */
void *stele_alloc_pinned(size_t size, unsigned int flags, uint64_t *phys)
	__attribute__((malloc, alloc_size(1), warn_unused_result));
/* NULL: nothing. Process. */
void stele_free_pinned(void *p);
/*
 * The physical address of the byte at @p, in a pinned buffer; 0: not known. Pages
 * in a row need not be so in RAM, but for those of one huge page; and the system
 * may still move a page that is locked (vm.compact_unevictable_allowed). Process.
 */
uint64_t stele_pinned_phys(const void *p);

/* ---- mapped regions ---- */

/*
 * @length bytes of @fd from @offset on, which need not be a multiple of the page
 * size: shared, readable, and writable if @fd is open for both. Guard pages stand
 * on both sides; the rest of the first and the last page is mapped as well. @fd
 * may be closed afterwards. NULL: errno of mmap(2) or fstat(2), or EINVAL for 0
 * bytes, a negative offset, or a range that a regular file does not have. Process.
 */
void *stele_map_region(int fd, off_t offset, size_t length)
	__attribute__((alloc_size(3), warn_unused_result));
/* NULL: nothing. Process. */
void stele_unmap_region(void *p);

/* ---- what there is ---- */

/*
 * Write a line for each area, buffer and region to @fd, by address, in the way of
 * /proc/vmallocinfo. Process.
 */
void stele_vmallocinfo(int fd);

#ifdef __cplusplus
}
#endif

#endif
