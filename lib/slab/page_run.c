/* SPDX-License-Identifier: MIT */
/*
 * Runs of pages.
 *
 * Who frees a run turns its first page's state from PG_RUN to PG_AWAY by one
 * compare-and-swap, so of two frees one is told. Only then the class map and
 * the buddy learn of it.
 *
 * A signal handler may have interrupted the holder of zone_lock: then the run
 * is put aside, on a stack that is linked through the descriptors of first pages
 * (the program can write none of them). Pushing is a compare-and-swap; the stack
 * is only ever taken as a whole, so there is no ABA.
 */
#include "slab/page_run.h"

#include "base/bits.h"
#include "page/section.h"
#include "page/zone.h"
#include "slab/budget.h"
#include "slab/large.h"

struct aside {
	pfn_t next;		/* 0: the last */
};

static pfn_t put_aside;		/* top of the stack; atomic */

static struct aside *aside_of(struct page *page)
{
	return (struct aside *)page->words;
}

void *page_run_alloc(size_t npages, size_t align, unsigned how, bool zero)
{
	struct page *page;
	void *p = page_alloc_class(npages, align, CLASS_LARGE, how, &page);

	if (!p)
		return NULL;
	if (zero)
		page_zero(p, npages);
	store_release(&page->state, PG_RUN);
	large_count((long)npages, 1);
	return p;
}

/* Nothing that can be freed as a run: what is it? */
static __cold_path enum page_run_error explain(const void *p, bool wait)
{
	unsigned class = class_of(p), order;
	pfn_t pfn = addr_pfn(p), start;
	bool is_free;

	if (class != CLASS_NONE && class != CLASS_LARGE)
		return RUN_BLOCK;
	if (!page_of(pfn))
		return RUN_FOREIGN;
	if (class == CLASS_LARGE && IS_ALIGNED((uintptr_t)p, PAGE_SIZE)) {
		uint8_t state = READ_ONCE(page_of(pfn)->state);

		return state == PG_LARGE ? RUN_BLOCK : state == PG_RUN ? RUN_LENGTH : RUN_FREE;
	}
	if (!lock_enter(&zone_lock, wait))
		return RUN_INSIDE;
	is_free = buddy_find(pfn, &start, &order);
	lock_release(&zone_lock);
	return is_free ? RUN_FREE : RUN_INSIDE;
}

static void release(void *p, size_t npages)
{
	if (unlikely(READ_ONCE(budget_active)))
		budget_uncharge(p);
	page_free_sparse(p, npages, false);
}

static void push_aside(pfn_t pfn, struct page *page)
{
	pfn_t top = READ_ONCE(put_aside);

	do {
		aside_of(page)->next = top;
	} while (!__atomic_compare_exchange_n(&put_aside, &top, pfn, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
}

void page_run_flush(void)
{
	pfn_t pfn;

	if (likely(!READ_ONCE(put_aside)))
		return;
	pfn = __atomic_exchange_n(&put_aside, 0, __ATOMIC_ACQUIRE); /* pairs with push_aside */
	while (pfn) {
		struct page *page = page_of(pfn);
		pfn_t next = aside_of(page)->next;

		/* Zero again, as who takes the pages next finds a descriptor. */
		aside_of(page)->next = 0;
		release(pfn_addr(pfn), page->npages);
		pfn = next;
	}
}

enum page_run_error page_run_free(void *p, size_t npages, bool wait, size_t *have)
{
	struct page *page = page_of(addr_pfn(p));
	uint8_t run = PG_RUN;

	*have = 0;
	if (class_of(p) != CLASS_LARGE || !IS_ALIGNED((uintptr_t)p, PAGE_SIZE))
		return explain(p, wait);
	*have = READ_ONCE(page->npages);
	if (*have != npages ||
	    !__atomic_compare_exchange_n(&page->state, &run, PG_AWAY, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return explain(p, wait);
	large_count(-(long)npages, -1);
	if (wait) {
		release(p, npages);
		page_run_flush();
	} else if (READ_ONCE(budget_active) || !page_try_free(p, npages, npages)) {
		push_aside(addr_pfn(p), page);
	}
	return RUN_OK;
}
