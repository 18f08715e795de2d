/* SPDX-License-Identifier: MIT */
/*
 * Virtual areas.
 *
 * 1. Freeing. vfree() owes three things: the memory goes back, whoever uses the
 *    area afterwards is caught, and it should be cheap. munmap() does the first,
 *    but the next mapping may get the address at once, and a stale pointer then
 *    damages its new owner in silence. So an area is *sealed*: its memory is
 *    released and every access faults from then on, but the addresses stay ours.
 *    Sealed areas are unmapped together, when they hold more than lazy_bound() of
 *    address space or LAZY_AREAS mappings: neighbours go in one call. What is kept
 *    back is addresses, no memory. Measured (Linux 6.18, microseconds an area, all
 *    pages touched; untouched in brackets):
 *
 *	area	munmap		seal + its share of the batch
 *	16 KiB	6.1 (3.1)	3.7 + 0.7 (0.8 + 0.7)	markers in the page table
 *	64 KiB	12.6 (2.9)	10.2 + 0.7 (1.3 + 0.5)	markers
 *	1 MiB	108 (2.9)	107 + 0.6 (3.4 + 0.04)	a PROT_NONE mapping
 *
 * 2. Growing. The pages move to a larger area by their page tables; in place only
 *    what an earlier shrinking has sealed is opened again.
 *
 * 3. Book-keeping is a tree by address (vmap_tree.c): nothing is written in an
 *    area or beside it, and a pointer into the middle of one can be explained.
 *
 * 4. Locking. vmap_lock for the tree, the nodes and the counts. System calls are
 *    made without it, on areas that are out of the tree or not yet in it: who
 *    has taken a node out owns the range. Two frees of one area: the second
 *    finds nothing, or the sealed area.
 *
 * 5. fork. A child has no pinned memory, but holes where it was, in which the
 *    child's next mapping could be placed: vmap_fork_child() seals them.
 */
#include "page/vmap_tree.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "os/os.h"
#include "page/fault.h"
#include "page/limit.h"
#include "page/thp.h"

#define LAZY_AREAS	1024		/* of some 65000 mappings that a process may have */
#define LAZY_PER_DOUBLING (32ul << 20)	/* bytes per bit of the number of CPUs */

/* ---- making ---- */

/* @map may fail for lack of addresses or mappings that freed areas hold. */
static int map_or_purge(int (*map)(size_t, void **), size_t len, void **addr)
{
	int err = map(len, addr);

	if (!err || !vmap_freed_above(0, 0))
		return err;
	vmap_purge();
	return map(len, addr);
}

int vmap_alloc(size_t size, bool low, const void *caller, void **addr)
{
	size_t page = os_page_size(), body = ALIGN_UP(size, page), len = body + page;
	struct vmap_area a = { .size = size, .len = len, .caller = caller, .kind = VMAP_ALLOC,
			       .low = low };
	void *start;
	int err;

	if (len < size || should_fail(STELE_FAIL_PAGE_ALLOC, len) || !limit_charge(body))
		return -ENOMEM;
	err = map_or_purge(low ? os_map_low : os_map, len, &start);
	if (!err) {
		thp_advise(start, body);
		a.node.key = a.base = a.addr = (uintptr_t)start;
		err = os_seal((char *)start + body, page);
		if (!err)
			err = vmap_add(&a);
		if (err)
			os_unmap(start, len);
	}
	if (err)
		limit_uncharge(body);
	else
		*addr = start;
	return err;
}

/* Sealed address space for @body bytes at a multiple of @align, guards around. */
static int reserve(struct vmap_area *a, size_t body, size_t align)
{
	size_t page = os_page_size(), slack = align - page;
	uintptr_t start, end;
	void *addr;
	int err;

	if (body + slack + 2 * page < body)
		return -ENOMEM;
	err = map_or_purge(os_reserve, body + slack + 2 * page, &addr);
	if (err)
		return err;
	start = (uintptr_t)addr;
	end = start + body + slack + 2 * page;
	a->base = ALIGN_UP(start + page, align);
	a->node.key = a->base - page;
	a->len = body + 2 * page;
	if (a->node.key > start)
		os_unmap(addr, a->node.key - start);
	if (end > a->node.key + a->len)
		os_unmap((void *)(a->node.key + a->len), end - a->node.key - a->len);
	return 0;
}

static int finish(struct vmap_area *a, int err, void **addr)
{
	if (!err)
		err = vmap_add(a);
	if (err)
		os_unmap((void *)a->node.key, a->len);
	else
		*addr = (void *)a->addr;
	return err;
}

static int open_pinned(struct vmap_area *a, size_t body, bool huge)
{
	void *base = (void *)a->base;
	int err;

	if (huge && !os_open_huge(base, body)) {
		a->huge = VMAP_HUGETLB;
		/* There may be fewer than were promised: that shows here. */
		err = os_pin(base, body);
		if (!err)
			return 0;
		a->huge = VMAP_SMALL;
		os_seal_any(base, body);
	}
	err = os_open(base, body);
	if (!err && huge && !os_want_huge(base, body))
		a->huge = VMAP_THP;
	return err ? err : os_pin(base, body);
}

int vmap_pin(size_t size, bool huge, const void *caller, void **addr)
{
	size_t unit = huge ? os_huge_size() : os_page_size(), body = ALIGN_UP(size, unit);
	struct vmap_area a = { .size = size, .caller = caller, .kind = VMAP_PINNED };
	int err;

	if (body < size || !limit_charge(body))
		return -ENOMEM;
	err = reserve(&a, body, unit);
	if (!err) {
		a.addr = a.base;
		err = finish(&a, open_pinned(&a, body, huge), addr);
	}
	if (err)
		limit_uncharge(body);
	return err;
}

int vmap_map(int fd, uint64_t offset, size_t size, const void *caller, void **addr)
{
	size_t page = os_page_size(), skip = offset % page, body = ALIGN_UP(skip + size, page);
	/* Devices with huge pages want whole ones. */
	size_t align = body >= os_huge_size() ? os_huge_size() : page;
	struct vmap_area a = { .size = size, .caller = caller, .kind = VMAP_REGION,
			       .offset = offset };
	int err = os_file(fd, &a.file);

	if (err)
		return err;
	if (body < size || offset + size < offset || offset + size > INT64_MAX ||
	    offset + size > a.file.size)
		return -EINVAL;
	err = reserve(&a, body, align);
	if (err)
		return err;
	a.addr = a.base + skip;
	err = os_open_file((void *)a.base, body, fd, (off_t)(offset - skip), a.file.writable);
	return finish(&a, err, addr);
}

/* ---- freeing ---- */

/* What the area counts for in the limit: memory, but not a file's. */
static size_t charged(const struct vmap_area *a)
{
	size_t page = os_page_size();

	if (a->kind == VMAP_REGION)
		return 0;
	return a->kind == VMAP_ALLOC ? vmap_bytes(a) : a->len - 2 * page;
}

static size_t lazy_bound(void)
{
	return (bit_last(os_cpus()) + 1) * LAZY_PER_DOUBLING;
}

enum vmap_error vmap_free(const void *addr, enum vmap_kind kind, const void *caller,
			  struct vmap_area *copy)
{
	struct vmap_area *a;
	enum vmap_error e = vmap_take(addr, kind, &a, copy);
	bool sealed, full;

	if (e != VMAP_OK)
		return e;
	sealed = !(kind == VMAP_ALLOC ? os_seal((void *)a->base, a->len) :
					os_seal_any((void *)a->base, a->len - 2 * os_page_size()));
	if (!sealed)
		os_unmap((void *)a->node.key, a->len);
	limit_uncharge(charged(a));
	lock_acquire(&vmap_lock);
	if (sealed) {
		a->freed = true;
		a->caller = caller;
		vmap_enter(a);
	} else {
		vmap_node_put(a);
	}
	full = vmap_freed_above(lazy_bound(), LAZY_AREAS);
	lock_release(&vmap_lock);
	if (full)
		vmap_purge();
	return VMAP_OK;
}

/* The next run of freed neighbours at *@from or above, taken out; its nodes in *@list. */
static size_t take_run(uintptr_t *from, struct vmap_area **list)
{
	uintptr_t start = *from;
	size_t len = 0;

	*list = NULL;
	for (;;) {
		struct vmap_area *a = vmap_at_or_above(start + len);

		if (!a || (len && a->node.key != start + len) || (len && !a->freed))
			break;
		if (!a->freed) {
			start = a->node.key + a->len;
			continue;
		}
		vmap_leave(a);
		if (!len)
			start = a->node.key;
		len += a->len;
		a->node.right = *list ? &(*list)->node : NULL;
		*list = a;
	}
	*from = start;
	return len;
}

/* Unmapped, or kept for another time where there is no room to cut a hole. */
static void settle(struct vmap_area *list, bool unmapped)
{
	while (list) {
		struct vmap_area *next = vmap_of(list->node.right);

		if (unmapped)
			vmap_node_put(list);
		else
			vmap_enter(list);
		list = next;
	}
}

void vmap_purge(void)
{
	struct vmap_area *list;
	uintptr_t from = 0;
	size_t len;

	lock_acquire(&vmap_lock);
	while ((len = take_run(&from, &list))) {
		bool unmapped;

		lock_release(&vmap_lock);
		unmapped = !os_unmap((void *)from, len);
		lock_acquire(&vmap_lock);
		settle(list, unmapped);
		from += len;
	}
	lock_release(&vmap_lock);
}

/* ---- resizing ---- */

/* Within the addresses it has: seal what goes, up to the guard, open what comes. */
static int resize_in_place(struct vmap_area *a, size_t old_body, size_t body)
{
	if (body < old_body)
		return os_seal((void *)(a->base + body), a->len - body);
	return body > old_body ? os_open((void *)(a->base + old_body), body - old_body) : 0;
}

/* Elsewhere, by page tables where the area is one mapping; the old addresses are unmapped. */
static int resize_moving(struct vmap_area *a, size_t old_body, size_t body)
{
	size_t page = os_page_size(), len = body + page;
	char *old = (char *)a->base;
	void *start;
	int err;

	if (len < body || should_fail(STELE_FAIL_PAGE_ALLOC, len))
		return -ENOMEM;
	if (!a->low && !os_remap(old, old_body, len, &start)) {
		os_unmap(old + old_body, a->len - old_body);
	} else {
		err = map_or_purge(a->low ? os_map_low : os_map, len, &start);
		if (err)
			return err;
		memcpy(start, old, old_body);
		os_unmap(old, a->len);
	}
	a->node.key = a->base = a->addr = (uintptr_t)start;
	a->len = len;
	/* It has moved for good: a guard that is not to be had it does without. */
	os_seal((char *)start + body, page);
	return 0;
}

static int resize_body(struct vmap_area *a, size_t old_body, size_t body)
{
	size_t more = body > old_body ? body - old_body : 0, less = old_body + more - body;
	int err;

	if (!limit_charge(more))
		return -ENOMEM;
	if (body <= a->len - os_page_size())
		err = resize_in_place(a, old_body, body);
	else
		err = resize_moving(a, old_body, body);
	limit_uncharge(err ? more : less);
	return err;
}

enum vmap_error vmap_resize(const void *addr, size_t size, bool zero, const void *caller,
			    void **new_addr, int *err, struct vmap_area *copy)
{
	struct vmap_area *a;
	enum vmap_error e = vmap_take(addr, VMAP_ALLOC, &a, copy);
	size_t body = ALIGN_UP(size, os_page_size()), old_body, old_size;

	if (e != VMAP_OK)
		return e;
	old_body = vmap_bytes(a);
	old_size = a->size;
	*err = body < size ? -ENOMEM : resize_body(a, old_body, body);
	if (!*err) {
		a->size = size;
		a->caller = caller;
		*new_addr = (void *)a->addr;
		if (zero && size > old_size)
			memset((char *)*new_addr + old_size, 0, MIN(size, old_body) - old_size);
	}
	vmap_put_back(a);
	return VMAP_OK;
}

/* ---- fork ---- */

void vmap_fork_child(void)
{
	struct vmap_area *a = vmap_at_or_above(0);

	for (; a; a = vmap_at_or_above(a->node.key + 1)) {
		if (a->kind == VMAP_PINNED && !a->freed)
			os_seal_any((void *)a->base, a->len - 2 * os_page_size());
	}
}
