/* SPDX-License-Identifier: MIT */
/* Runs of pages: public names, their argument checks, and what is said of misuse. */
#include "stele/pages.h"

#include <errno.h>

#include "base/bits.h"
#include "os/bug.h"
#include "os/caller.h"
#include "os/os.h"
#include "shell/failed.h"
#include "slab/gfp.h"
#include "slab/page_run.h"

/* The system's pages in ours. */
static size_t unit(void)
{
	return os_page_size() >> PAGE_SHIFT;
}

static void *attempt(const struct request *r, stele_gfp_t gfp, unsigned how)
{
	if (gfp & (STELE_GFP_DMA | STELE_GFP_DMA32))
		how |= ALLOC_LOW;
	if (how & ALLOC_WAIT)
		page_run_flush();
	return page_run_alloc(r->size / PAGE_SIZE, r->align / PAGE_SIZE, how,
			      gfp & STELE_GFP_ZERO);
}

static void undo(void *p, const struct request *r, bool wait)
{
	size_t have;

	page_run_free(p, r->size / PAGE_SIZE, wait, &have);
}

static const struct request_ops run_ops = { attempt, undo, true };

static void *alloc_run(const char *call, size_t npages, unsigned int order, stele_gfp_t gfp,
		       const void *caller)
{
	size_t page = os_page_size();
	struct request r = { .call = call, .caller = caller, .size = npages * page,
			     .align = page << order, .ops = &run_ops };

	if (unlikely(!pages_ready()))
		return failed_enomem();
	return gfp_alloc(&r, gfp);
}

static void *alloc_order(const char *call, stele_gfp_t gfp, unsigned int order,
			 const void *caller)
{
	if (likely(order <= STELE_MAX_ORDER))
		return alloc_run(call, (size_t)1 << order, order, gfp, caller);
	warn("%s: order %u, called from %pS: the largest is %d", call, order, caller,
	     STELE_MAX_ORDER);
	return failed_einval();
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
	errno = EINVAL;
	if (e == RUN_LENGTH)
		warn("%s: %p, called from %pS: %lu pages are there, not %lu", call, p, caller,
		     (unsigned long)(have / unit()), (unsigned long)npages);
	else
		warn("%s: %p, called from %pS: %s", call, p, caller, why[e]);
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
	if (likely(order <= STELE_MAX_ORDER))
		return true;
	errno = EINVAL;
	warn("%s: %p, called from %pS: order %u, the largest is %d", call, p, caller, order,
	     STELE_MAX_ORDER);
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
	if (likely(size && size <= os_page_size() << STELE_MAX_ORDER))
		return true;
	errno = EINVAL;
	warn("%s: %lu bytes, called from %pS: 1 to %lu are possible", call, (unsigned long)size,
	     caller, (unsigned long)os_page_size() << STELE_MAX_ORDER);
	return false;
}

__public void *stele_alloc_pages_exact(size_t size, stele_gfp_t gfp)
{
	static const char call[] = "stele_alloc_pages_exact";
	size_t page = os_page_size();

	if (!size_fits(call, size, CALLER()))
		return NULL;
	return alloc_run(call, ALIGN_UP(size, page) / page, stele_get_order(size), gfp, CALLER());
}

__public void stele_free_pages_exact(void *addr, size_t size)
{
	static const char call[] = "stele_free_pages_exact";
	size_t page = os_page_size();

	if (addr && size_fits(call, size, CALLER()))
		free_run(call, addr, ALIGN_UP(size, page) / page, true, CALLER());
}
