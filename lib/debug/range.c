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
#define GROW_MAX	(16ul << 20)	/* a frame is not larger than this */

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

static bool extend_own(struct own_stack *own, uintptr_t sp)
{
	uintptr_t bad, lo = ALIGN_DOWN(sp, os_page_size());

	if (!own->hi)
		own->lo = own->hi = ALIGN_UP(os_stack_top(), os_page_size());
	if (sp >= own->hi || own->hi - lo > OWN_MAX || sp < own->gap)
		return false;
	if (!all_readable(lo, own->lo, &bad)) {
		own->gap = bad;
		return false;
	}
	own->lo = lo;
	return true;
}

__noinline struct stack_range stack_range_slow(struct own_stack *own, uintptr_t sp)
{
	uintptr_t page;

	if (extend_own(own, sp))
		return (struct stack_range){ own->lo, own->hi, true };
	/* The caller stands on it: this page is there. */
	page = ALIGN_DOWN(sp, os_page_size());
	return (struct stack_range){ sp, page + os_page_size(), false };
}

bool stack_range_grow(struct stack_range *r, uintptr_t addr)
{
	size_t page = os_page_size();
	uintptr_t end = ALIGN_DOWN(addr, page) + page, bad;

	/* Upwards only, and never past the end of the thread's own stack. */
	if (addr < r->hi || addr - r->hi > GROW_MAX || r->own)
		return false;
	if (!all_readable(r->hi, end, &bad)) {
		r->hi = bad;
		return false;
	}
	r->hi = end;
	return true;
}
