/* SPDX-License-Identifier: MIT */
/*
 * The kernel's names for the functions of <stele/pages.h>, as inline wrappers.
 * Included by <stele/kernel.h>; the library itself exports none of these names.
 */
#ifndef STELE_KERNEL_PAGES_H
#define STELE_KERNEL_PAGES_H

#include <stele/pages.h>

/* Inlined always, so that messages name the caller. */
#ifndef STELE_INLINE
#define STELE_INLINE static inline __attribute__((always_inline, unused))
#endif

/* Not constants: one program runs on systems with pages of 4, 16 and 64 KiB. */
#ifndef PAGE_SIZE
#define PAGE_SIZE	stele_page_size()
#endif
#ifndef PAGE_SHIFT
#define PAGE_SHIFT	((unsigned int)__builtin_ctzl(stele_page_size()))
#endif
#ifndef PAGE_MASK
#define PAGE_MASK	(~(unsigned long)(stele_page_size() - 1))
#endif
#ifndef PAGE_ALIGN
#define PAGE_ALIGN(x)	(((unsigned long)(x) + stele_page_size() - 1) & PAGE_MASK)
#endif
#define MAX_PAGE_ORDER	STELE_MAX_ORDER

STELE_INLINE int get_order(unsigned long size)
{
	return (int)stele_get_order(size);
}

STELE_INLINE unsigned long __get_free_pages(stele_gfp_t gfp, unsigned int order)
{
	return (unsigned long)stele_get_free_pages(gfp, order);
}

#define __get_free_page(gfp)	__get_free_pages((gfp), 0)
#define __get_dma_pages(gfp, order) __get_free_pages((gfp) | STELE_GFP_DMA, (order))

STELE_INLINE unsigned long get_zeroed_page(stele_gfp_t gfp)
{
	return (unsigned long)stele_get_zeroed_page(gfp);
}

STELE_INLINE void free_pages(unsigned long addr, unsigned int order)
{
	stele_free_pages((void *)addr, order);
}

#define free_page(addr)		free_pages((addr), 0)

STELE_INLINE void *alloc_pages_exact(size_t size, stele_gfp_t gfp)
{
	return stele_alloc_pages_exact(size, gfp);
}

STELE_INLINE void free_pages_exact(void *virt, size_t size)
{
	stele_free_pages_exact(virt, size);
}

STELE_INLINE void *vmalloc(unsigned long size)
{
	return stele_vmalloc(size);
}

STELE_INLINE void *vzalloc(unsigned long size)
{
	return stele_vzalloc(size);
}

STELE_INLINE void *__vmalloc(unsigned long size, stele_gfp_t gfp)
{
	return stele_vmalloc_gfp(size, gfp);
}

STELE_INLINE void *vmalloc_32(unsigned long size)
{
	return stele_vmalloc_gfp(size, STELE_GFP_KERNEL | STELE_GFP_DMA32);
}

STELE_INLINE void *vmalloc_array(size_t n, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) ? NULL : stele_vmalloc(bytes);
}

STELE_INLINE void *vcalloc(size_t n, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) ? NULL : stele_vzalloc(bytes);
}

STELE_INLINE void *vrealloc(const void *p, size_t size, stele_gfp_t gfp)
{
	return stele_vrealloc(p, size, gfp);
}

STELE_INLINE void vfree(const void *p)
{
	stele_vfree(p);
}

STELE_INLINE int is_vmalloc_addr(const void *p)
{
	return stele_is_vmalloc_addr(p);
}

STELE_INLINE void vm_unmap_aliases(void)
{
	stele_vm_unmap_aliases();
}

#endif
