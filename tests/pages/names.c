/* SPDX-License-Identifier: MIT */
/* Pages and areas in <stele/kernel.h>: code for the kernel, as it is. */
#include "tap.h"

#include <stele/kernel.h>

/* A stack of pages, as a driver might keep one. */
struct page_stack {
	unsigned long *pages;		/* vmalloc()ed */
	unsigned int count, max;
};

static int page_stack_init(struct page_stack *s, unsigned int max)
{
	s->pages = vcalloc(max, sizeof(*s->pages));
	if (!s->pages)
		return -ENOMEM;
	s->count = 0;
	s->max = max;
	return 0;
}

static int page_stack_push(struct page_stack *s)
{
	unsigned long addr;

	if (s->count == s->max) {
		unsigned long *more = vrealloc(s->pages, 2 * s->max * sizeof(*more),
					       GFP_KERNEL | __GFP_ZERO);

		if (!more)
			return -ENOMEM;
		s->pages = more;
		s->max *= 2;
	}
	addr = get_zeroed_page(GFP_KERNEL);
	if (!addr)
		return -ENOMEM;
	s->pages[s->count++] = addr;
	return 0;
}

static void page_stack_destroy(struct page_stack *s)
{
	while (s->count)
		free_page(s->pages[--s->count]);
	vfree(s->pages);
}

int main(void)
{
	struct page_stack s;
	bool good = !page_stack_init(&s, 100);
	unsigned long addr;
	void *p;

	for (int i = 0; i < 1000; i++)
		good = good && !page_stack_push(&s);
	ok(good && is_vmalloc_addr(s.pages) && s.pages[999] % PAGE_SIZE == 0, "a stack of pages");
	page_stack_destroy(&s);
	ok(1ul << PAGE_SHIFT == PAGE_SIZE && PAGE_ALIGN(1) == PAGE_SIZE && (PAGE_SIZE & PAGE_MASK) &&
	   get_order(3 * PAGE_SIZE) == 2, "the macros of a page's size");
	addr = __get_free_pages(GFP_KERNEL, MAX_PAGE_ORDER);
	ok(addr % (PAGE_SIZE << MAX_PAGE_ORDER) == 0, "__get_free_pages");
	free_pages(addr, MAX_PAGE_ORDER);
	addr = __get_free_page(GFP_KERNEL);
	free_page(addr);
	p = alloc_pages_exact(3 * PAGE_SIZE, GFP_KERNEL);
	ok(p != NULL, "alloc_pages_exact");
	free_pages_exact(p, 3 * PAGE_SIZE);
	p = vmalloc_32(100);
	ok(p && (uintptr_t)p < 1ull << 32, "vmalloc_32");
	vfree(p);
	ok(!vmalloc_array(hidden(SIZE_MAX / 2), 3) && !vcalloc(hidden(SIZE_MAX / 2), 3),
	   "vmalloc_array and vcalloc see an overflow");
	p = __vmalloc(100, GFP_KERNEL | __GFP_ZERO);
	ok(p && all_bytes(p, 100, 0), "__vmalloc");
	vfree(p);
	p = vmalloc(100);
	vfree(p);
	vfree(vzalloc(100));
	vm_unmap_aliases();
	return tap_end();
}
