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
 * 3. Book-keeping is a tree by address, of nodes in pages of the library's own:
 *    nothing is written in an area or beside it, and a pointer into the middle of
 *    one can be explained.
 *
 * 4. Locking. vmap_lock for the tree, the nodes and the counts. System calls are
 *    made without it, on areas that are out of the tree or not yet in it: who
 *    has taken a node out owns the range. Two frees of one area: the second
 *    finds nothing, or the sealed area.
 *
 * 5. fork. A child has no pinned memory, but holes where it was, in which the
 *    child's next mapping could be placed: vmap_fork_child() seals them.
 */
#include "page/vmap.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "os/os.h"
#include "page/fault.h"
#include "page/limit.h"
#include "page/thp.h"

#define LAZY_AREAS	1024		/* of some 65000 mappings that a process may have */
#define LAZY_PER_DOUBLING (32ul << 20)	/* bytes per bit of the number of CPUs */

struct lock vmap_lock = LOCK_INIT(RANK_VMAP);

static struct treap areas;
static struct vmap_area *unused;	/* linked through node.left */
static struct vmap_stats stats;

/* ---- nodes and the tree; vmap_lock is held ---- */

static struct vmap_area *of_node(struct treap_node *n)
{
	return n ? container_of(n, struct vmap_area, node) : NULL;
}

static struct vmap_area *node_get(void)
{
	struct vmap_area *a;

	if (!unused) {
		a = page_alloc_meta(1);
		for (size_t i = 0; a && i < PAGE_SIZE / sizeof(*a); i++) {
			a[i].node.left = unused ? &unused->node : NULL;
			unused = &a[i];
		}
	}
	a = unused;
	if (a)
		unused = of_node(a->node.left);
	return a;
}

static void node_put(struct vmap_area *a)
{
	a->node.left = unused ? &unused->node : NULL;
	unused = a;
}

static size_t pages_of(const struct vmap_area *a)
{
	return ALIGN_UP(a->addr + a->size, os_page_size()) - a->base;
}

static void count(const struct vmap_area *a, bool enters)
{
	size_t one = enters ? 1 : (size_t)-1;

	if (a->freed) {
		stats.freed_count += one;
		stats.freed_bytes += one * a->len;
	} else {
		stats.count[a->kind] += one;
		stats.bytes[a->kind] += one * pages_of(a);
	}
}

static void enter(struct vmap_area *a)
{
	treap_insert(&areas, &a->node);
	count(a, true);
}

static void leave(struct vmap_area *a)
{
	treap_erase(&areas, &a->node);
	count(a, false);
}

static struct vmap_area *area_at(const void *addr)
{
	struct vmap_area *a = of_node(treap_at_or_below(&areas, (uintptr_t)addr));

	return a && (uintptr_t)addr - a->node.key < a->len ? a : NULL;
}

/* ---- making ---- */

static int area_enter(const struct vmap_area *proto)
{
	struct vmap_area *a;

	lock_acquire(&vmap_lock);
	a = node_get();
	if (a) {
		*a = *proto;
		enter(a);
	}
	lock_release(&vmap_lock);
	return a ? 0 : -ENOMEM;
}

/* @map may fail for lack of addresses or mappings that freed areas hold. */
static int map_or_purge(int (*map)(size_t, void **), size_t len, void **addr)
{
	int err = map(len, addr);

	if (!err || !READ_ONCE(stats.freed_count))
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
			err = area_enter(&a);
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
		err = area_enter(a);
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

/* Take the area out that the program was given as @addr. */
static enum vmap_error take(const void *addr, enum vmap_kind kind, struct vmap_area **out,
			    struct vmap_area *copy)
{
	struct vmap_area *a;
	enum vmap_error e;

	lock_acquire(&vmap_lock);
	a = area_at(addr);
	if (!a)
		e = VMAP_UNKNOWN;
	else if (a->freed)
		e = VMAP_FREED;
	else if (a->kind != kind)
		e = VMAP_OTHER_KIND;
	else if (a->addr != (uintptr_t)addr)
		e = VMAP_INSIDE;
	else
		e = VMAP_OK;
	if (a)
		*copy = *a;
	if (e == VMAP_OK) {
		leave(a);
		*out = a;
	}
	lock_release(&vmap_lock);
	return e;
}

/* What the area counts for in the limit: memory, but not a file's. */
static size_t charged(const struct vmap_area *a)
{
	size_t page = os_page_size();

	if (a->kind == VMAP_REGION)
		return 0;
	return a->kind == VMAP_ALLOC ? pages_of(a) : a->len - 2 * page;
}

static size_t lazy_bound(void)
{
	return (bit_last(os_cpus()) + 1) * LAZY_PER_DOUBLING;
}

enum vmap_error vmap_free(const void *addr, enum vmap_kind kind, const void *caller,
			  struct vmap_area *copy)
{
	struct vmap_area *a;
	enum vmap_error e = take(addr, kind, &a, copy);
	bool sealed, full;

	if (e != VMAP_OK)
		return e;
	sealed = !(kind == VMAP_ALLOC ? os_seal((void *)a->base, pages_of(a)) :
					os_seal_any((void *)a->base, a->len - 2 * os_page_size()));
	if (!sealed)
		os_unmap((void *)a->node.key, a->len);
	limit_uncharge(charged(a));
	lock_acquire(&vmap_lock);
	if (sealed) {
		a->freed = true;
		a->caller = caller;
		enter(a);
	} else {
		node_put(a);
	}
	full = stats.freed_bytes > lazy_bound() || stats.freed_count > LAZY_AREAS;
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
		struct vmap_area *a = of_node(treap_at_or_above(&areas, start + len));

		if (!a || (len && a->node.key != start + len) || (len && !a->freed))
			break;
		if (!a->freed) {
			start = a->node.key + a->len;
			continue;
		}
		leave(a);
		if (!len)
			start = a->node.key;
		len += a->len;
		a->node.right = *list ? &(*list)->node : NULL;
		*list = a;
	}
	*from = start;
	return len;
}

void vmap_purge(void)
{
	uintptr_t from = 0;
	size_t len;

	lock_acquire(&vmap_lock);
	do {
		struct vmap_area *list;
		bool kept;

		len = take_run(&from, &list);
		if (!len)
			break;
		lock_release(&vmap_lock);
		/* No room to cut a hole into the list of mappings: another time. */
		kept = os_unmap((void *)from, len) != 0;
		lock_acquire(&vmap_lock);
		while (list) {
			struct vmap_area *next = of_node(list->node.right);

			if (kept)
				enter(list);
			else
				node_put(list);
			list = next;
		}
		from += len;
	} while (len);
	lock_release(&vmap_lock);
}

/* ---- resizing ---- */

/* Within the addresses it has: seal what goes, open what comes. */
static int resize_in_place(struct vmap_area *a, size_t old_body, size_t body)
{
	if (body < old_body)
		return os_seal((void *)(a->base + body), old_body - body);
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
	enum vmap_error e = take(addr, VMAP_ALLOC, &a, copy);
	size_t body = ALIGN_UP(size, os_page_size()), old_body, old_size;

	if (e != VMAP_OK)
		return e;
	old_body = pages_of(a);
	old_size = a->size;
	*err = body < size ? -ENOMEM : resize_body(a, old_body, body);
	if (!*err) {
		a->size = size;
		a->caller = caller;
		*new_addr = (void *)a->addr;
		if (zero && size > old_size)
			memset((char *)*new_addr + old_size, 0, MIN(size, old_body) - old_size);
	}
	lock_acquire(&vmap_lock);
	enter(a);
	lock_release(&vmap_lock);
	return VMAP_OK;
}

/* ---- looking ---- */

bool vmap_find(const void *addr, struct vmap_area *copy)
{
	struct vmap_area *a;

	if (!READ_ONCE(areas.root))
		return false;
	lock_acquire(&vmap_lock);
	a = area_at(addr);
	if (a)
		*copy = *a;
	lock_release(&vmap_lock);
	return a != NULL;
}

bool vmap_next(uintptr_t from, struct vmap_area *copy)
{
	struct vmap_area *a;

	lock_acquire(&vmap_lock);
	a = of_node(treap_at_or_above(&areas, from));
	if (a)
		*copy = *a;
	lock_release(&vmap_lock);
	return a != NULL;
}

struct vmap_stats vmap_stats(void)
{
	struct vmap_stats s;

	lock_acquire(&vmap_lock);
	s = stats;
	lock_release(&vmap_lock);
	return s;
}

void vmap_fork_child(void)
{
	struct treap_node *n = treap_at_or_above(&areas, 0);

	for (; n; n = treap_at_or_above(&areas, n->key + 1)) {
		struct vmap_area *a = of_node(n);

		if (a->kind == VMAP_PINNED && !a->freed)
			os_seal_any((void *)a->base, a->len - 2 * os_page_size());
	}
}
