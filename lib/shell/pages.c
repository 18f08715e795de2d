/* SPDX-License-Identifier: MIT */
/* Runs of pages: public names, their argument checks, and what is said of misuse. */
#include "stele/pages.h"

#include <errno.h>

#include "base/bits.h"
#include "life/init.h"
#include "os/bug.h"
#include "os/caller.h"
#include "os/os.h"
#include "page/reclaim.h"
#include "shell/gfp_args.h"
#include "slab/kmalloc.h"
#include "slab/page_run.h"

/* The system's pages in ours. */
static size_t unit(void)
{
	return os_page_size() >> PAGE_SHIFT;
}

static void *alloc_run(size_t npages, size_t align, stele_gfp_t gfp)
{
	unsigned how = gfp & (STELE_GFP_DMA | STELE_GFP_DMA32) ? ALLOC_LOW : 0;
	bool zero = gfp & STELE_GFP_ZERO;
	void *p;

	if (unlikely(!READ_ONCE(life_ready)) && !life_init())
		return gfp_no_memory();
	if (stele_gfp_blocking(gfp)) {
		how |= ALLOC_NORMAL;
		page_run_flush();
	}
	p = page_run_alloc(npages * unit(), align * unit(), how, zero);
	if (unlikely(!p) && stele_gfp_blocking(gfp)) {
		kmalloc_drain();
		reclaim_all(0);
		p = page_run_alloc(npages * unit(), align * unit(), how, zero);
	}
	return likely(p) ? p : gfp_no_memory();
}

static void *alloc_order(const char *call, stele_gfp_t gfp, unsigned int order,
			 const void *caller)
{
	struct caller_text who;

	if (!gfp_check(call, gfp, caller))
		return NULL;
	if (order > STELE_MAX_ORDER) {
		warn("%s: order %u, called by %s: the largest is %d", call, order,
		     caller_name(&who, caller), STELE_MAX_ORDER);
		return gfp_invalid();
	}
	return alloc_run((size_t)1 << order, (size_t)1 << order, gfp);
}

static __cold_path void refuse(const char *call, const void *p, size_t npages, size_t have,
			       enum page_run_error e, const void *caller)
{
	static const char *const why[] = {
		[RUN_FOREIGN] = "it is not of the heap",
		[RUN_FREE] = "it is free already (a double free?)",
		[RUN_BLOCK] = "it is a block of malloc() or an object of a cache",
		[RUN_INSIDE] = "it is not the first of the pages that were allocated",
	};
	struct caller_text who;

	errno = EINVAL;
	caller_name(&who, caller);
	if (e == RUN_LENGTH)
		warn("%s: %p, called by %s: %lu pages are there, not %lu", call, p, who.text,
		     (unsigned long)(have / unit()), (unsigned long)npages);
	else
		warn("%s: %p, called by %s: %s", call, p, who.text, why[e]);
}

static void free_run(const char *call, void *p, size_t npages, bool wait, const void *caller)
{
	int saved = errno;
	enum page_run_error e;
	size_t have;

	if (!p)
		return;
	e = page_run_free(p, npages * unit(), wait, &have);
	errno = saved;
	if (unlikely(e != RUN_OK))
		refuse(call, p, npages, have, e, caller);
}

static bool order_fits(const char *call, const void *p, unsigned int order, const void *caller)
{
	struct caller_text who;

	if (likely(order <= STELE_MAX_ORDER))
		return true;
	errno = EINVAL;
	warn("%s: %p, called by %s: order %u, the largest is %d", call, p,
	     caller_name(&who, caller), order, STELE_MAX_ORDER);
	return false;
}

__public size_t stele_page_size(void)
{
	return os_page_size();
}

__public unsigned int stele_get_order(size_t size)
{
	size_t page = os_page_size();

	return log2_ceil(size / page + (size % page != 0));
}

__public void *stele_get_free_pages(stele_gfp_t gfp, unsigned int order)
{
	return alloc_order("stele_get_free_pages", gfp, order, CALLER());
}

__public void *stele_get_zeroed_page(stele_gfp_t gfp)
{
	return alloc_order("stele_get_zeroed_page", gfp | STELE_GFP_ZERO, 0, CALLER());
}

__public void stele_free_pages(void *addr, unsigned int order)
{
	if (order_fits("stele_free_pages", addr, order, CALLER()))
		free_run("stele_free_pages", addr, (size_t)1 << order, true, CALLER());
}

__public void stele_free_pages_nolock(void *addr, unsigned int order)
{
	if (order_fits("stele_free_pages_nolock", addr, order, CALLER()))
		free_run("stele_free_pages_nolock", addr, (size_t)1 << order, false, CALLER());
}

static bool size_fits(const char *call, size_t size, const void *caller)
{
	struct caller_text who;

	if (likely(size && size <= os_page_size() << STELE_MAX_ORDER))
		return true;
	errno = EINVAL;
	warn("%s: %lu bytes, called by %s: 1 to %lu are possible", call, (unsigned long)size,
	     caller_name(&who, caller), (unsigned long)os_page_size() << STELE_MAX_ORDER);
	return false;
}

__public void *stele_alloc_pages_exact(size_t size, stele_gfp_t gfp)
{
	static const char call[] = "stele_alloc_pages_exact";
	size_t page = os_page_size();

	if (!gfp_check(call, gfp, CALLER()) || !size_fits(call, size, CALLER()))
		return NULL;
	return alloc_run(ALIGN_UP(size, page) / page, (size_t)1 << stele_get_order(size), gfp);
}

__public void stele_free_pages_exact(void *addr, size_t size)
{
	static const char call[] = "stele_free_pages_exact";
	size_t page = os_page_size();

	if (addr && size_fits(call, size, CALLER()))
		free_run(call, addr, ALIGN_UP(size, page) / page, true, CALLER());
}
