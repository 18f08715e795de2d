/* SPDX-License-Identifier: MIT */
/*
 * What of the stack may be read.
 *
 * A thread's own stack ends at a place that libc knows (os_stack_top). Between
 * the stack pointer and there every page is looked at once; then the range is
 * remembered for the thread, and grows as the stack does: what is above a
 * thread's stack pointer stays while the thread lives.
 *
 * Any other stack (a coroutine's, an alternate signal stack) may be unmapped as
 * soon as it is left, and nobody tells: of it nothing is remembered, and every
 * page is looked at by every walk. That a stack pointer is not on the own stack
 * is remembered: by the unreadable page between.
 */
#include "debug/unwind.h"

#include "os/os.h"

#define OWN_MAX		(64ul << 20)	/* no further below the top is looked for the own stack */
static_assert(OWN_MAX / PAGE_SIZE <= UINT16_MAX, "as pages it fits in 16 bits");
#define GROW_MAX	(16ul << 20)	/* a frame is not larger than this */

__thread struct debug_thread debug_thread;

/* [from, to), page by page upwards; stores the first unreadable one. */
static bool all_readable(uintptr_t from, uintptr_t to, uintptr_t *bad)
{
	size_t page = os_page_size();

	for (uintptr_t p = ALIGN_DOWN(from, page); p < to; p += page) {
		if (!os_readable((const void *)p)) {
			*bad = p;
			return false;
		}
	}
	return true;
}

static uintptr_t own_lo(const struct debug_thread *own)
{
	return own->stack_hi - ((uintptr_t)own->stack_pages << PAGE_SHIFT);
}

static bool extend_own(struct debug_thread *own, uintptr_t sp)
{
	uintptr_t bad, lo = ALIGN_DOWN(sp, os_page_size());

	if (!own->stack_hi)
		own->stack_hi = ALIGN_UP(os_stack_top(), os_page_size());
	if (sp >= own->stack_hi || own->stack_hi - lo > OWN_MAX ||
	    (own->stack_gap && own->stack_hi - sp > (uintptr_t)own->stack_gap << PAGE_SHIFT))
		return false;
	if (!all_readable(lo, own_lo(own), &bad)) {
		own->stack_gap = (uint16_t)((own->stack_hi - bad) >> PAGE_SHIFT);
		return false;
	}
	own->stack_pages = (uint16_t)((own->stack_hi - lo) >> PAGE_SHIFT);
	return true;
}

__noinline struct stack_range stack_range_slow(uintptr_t sp)
{
	struct debug_thread *own = &debug_thread;
	uintptr_t page;

	if (extend_own(own, sp))
		return (struct stack_range){ own_lo(own), own->stack_hi };
	/* The caller stands on it: this page is there. */
	page = ALIGN_DOWN(sp, os_page_size());
	return (struct stack_range){ sp, page + os_page_size() };
}

bool stack_range_grow(struct stack_range *r, uintptr_t addr)
{
	size_t page = os_page_size();
	uintptr_t end = ALIGN_DOWN(addr, page) + page, bad;

	/* Upwards only, and never past the end of the thread's own stack. */
	if (addr < r->hi || addr - r->hi > GROW_MAX || r->hi == debug_thread.stack_hi)
		return false;
	if (!all_readable(r->hi, end, &bad)) {
		r->hi = bad;
		return false;
	}
	r->hi = end;
	return true;
}
