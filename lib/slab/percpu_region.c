/* SPDX-License-Identifier: MIT */
/*
 * Regions: where each sheaf lies in one, and their making. See percpu.h for a
 * drawing. Locking: the caller's; the layout is constant once it is set.
 */
#include "base/bits.h"
#include "os/os.h"
#include "page/hit.h"
#include "slab/percpu.h"

struct sheaf_places sheaf_places[NR_SHEAF_CLASSES + 1] __initdata;

static uint32_t region_bytes __initdata;

/*
 * A larger sheaf saves misses, and costs memory for good. So one that misses now and then,
 * however long, stays: it grows where GROW_MISSES, and one more for each GROW_BYTES that it
 * would add, come within GROW_MS. That is a hundredth of the time at most (GROW_MOST).
 */
#define GROW_MS		4
#define GROW_MISSES	8u
#define GROW_BYTES	512u
#define GROW_MOST	64u

/*
 * Objects that a full sheaf gives to the slabs at first, and at most: of large ones, each in
 * a slab of its own, free() waits for so many slabs at a time.
 */
#define SLICE_MIN	4u
#define SLICE_LARGE	256u	/* bytes, from here on: */
#define SLICE_LARGE_MIN	2u
#define SLICE_LARGE_MOST 8u

/*
 * A load is held up by an earlier store whose address has the same twelve low bits. So what
 * each hit loads and stores should not meet what it stores and loads in the rseq area, at
 * least not that of the first thread, which is often the only one.
 */
static uint32_t past_area(uint32_t off, uint32_t bytes)
{
	uintptr_t area = ((uintptr_t)__builtin_thread_pointer() + (size_t)hit.area) / 64 * 64;
	uint32_t before = (uint32_t)(area - off) % PAGE_SIZE;

	return hit.area && before < bytes ? off + before + 64 : off;
}

static uint32_t place_next(uint32_t *off, uint32_t bytes)
{
	uint32_t at = past_area(*off, bytes);

	*off = at + bytes;
	return at;
}

__setup void region_set_layout(void)
{
	uint32_t off = ALIGN_UP(sizeof(struct region), 64);

	for (unsigned c = 1; c <= NR_SIZE_CLASSES; c++) {
		sheaf_places[c].most = (uint32_t)(kmalloc_sheaf_most(c) * sizeof(void *));
		sheaf_places[c].small = place_next(&off, MIN(SMALL_BYTES, sheaf_limit(c)));
	}
	for (unsigned c = 1; c <= NR_SIZE_CLASSES; c++)
		sheaf_places[c].medium = sheaf_places[c].full =
			place_next(&off, MIN(MEDIUM_BYTES, sheaf_limit(c)));
	for (unsigned c = 1; c <= NR_SIZE_CLASSES; c++) {
		if (sheaf_limit(c) > MEDIUM_BYTES) {
			sheaf_places[c].full = off;
			off += sheaf_limit(c);
		}
	}
	for (unsigned c = NR_SIZE_CLASSES + 1; c <= NR_SHEAF_CLASSES; c++) {
		sheaf_places[c] = (struct sheaf_places){ off, off, off, 0 };
		off += EXTRA_SLOTS * (uint32_t)sizeof(void *);
	}
	region_bytes = off;
}

__setup struct region *region_create(void)
{
	struct region *r = page_alloc_table(bytes_pages(region_bytes));

	if (!r)
		return NULL;
	/* A fresh page is mapped once if it is written first, and twice if it is read. */
	WRITE_ONCE(r->end[CLASS_NONE], 0);
	for (unsigned c = 1; c <= NR_SIZE_CLASSES; c++)
		region_open_class(r, c);
	for (struct kmem_cache *c = &kmem_caches[NR_SIZE_CLASSES]; (c = cache_next(c));)
		region_open_class(r, c->class);
	return r;
}

/* Both words of a sheaf at once: nobody sees a top without its begin. */
static void set_sheaf(struct region *r, unsigned class, uint32_t off)
{
	union {
		struct sheaf s;
		uint64_t word;
	} u = { .s = { off, off } };

	__atomic_store_n((uint64_t *)&r->sheaf[class], u.word, __ATOMIC_RELEASE);
}

__setup bool region_begin_class(struct region *r, unsigned class)
{
	if (!sheaf_limit(class) || r->sheaf[class].begin)
		return false;
	set_sheaf(r, class, sheaf_places[class].small);
	return true;
}

void region_open_class(struct region *r, unsigned class)
{
	if (region_begin_class(r, class))
		WRITE_ONCE(r->end[class], sheaf_places[class].small +
						  MIN(SMALL_BYTES, sheaf_limit(class)));
}

void region_close_class(struct region *r, unsigned class)
{
	store_release(&r->end[class], 0);
	set_sheaf(r, class, 0);
}

bool region_should_grow(struct region *r, unsigned class, uint32_t cap)
{
	uint32_t more = cap / (uint32_t)sizeof(void *) * kmem_caches[class].size;
	uint32_t need = MIN(GROW_MISSES + more / GROW_BYTES, GROW_MOST), n = r->misses[class] + 1u;
	uint16_t now;

	if (n > 1 && n < need) {
		r->misses[class] = (uint8_t)n;
		return false;
	}
	now = (uint16_t)os_now_ms();
	if (n >= need && (uint16_t)(now - r->since[class]) <= GROW_MS) {
		r->misses[class] = 0;
		return true;
	}
	r->misses[class] = 1;
	r->since[class] = now;
	return false;
}

static uint16_t cut_off(const void *obj)
{
	return (uint16_t)((uintptr_t)obj / SIZE_STEP);
}

/*
 * Who takes and frees by turns needs little room at a time, and free() should not take
 * long: small slices. Who frees on and on wants large ones. The object that lay below the
 * last slice tells them apart: it is in its place unless more has been taken since, at some
 * time, than had been freed.
 */
size_t region_slice(struct region *r, unsigned class)
{
	uint32_t begin = READ_ONCE(r->sheaf[class].begin), end = READ_ONCE(r->end[class]);
	bool large = kmem_caches[class].size > SLICE_LARGE;
	size_t half = region_half(r, class), least = large ? SLICE_LARGE_MIN : SLICE_MIN, most, n;
	void **objs = region_at(r, end);

	/* The last two of one that is stopped, or about to move. */
	if (class > NR_SIZE_CLASSES || half <= least || end < begin ||
	    (end - begin) / sizeof(void *) <= half)
		return half;
	most = large ? MIN(half, SLICE_LARGE_MOST) : half;
	n = MIN(READ_ONCE(r->slice[class]), most);
	if (n && cut_off(READ_ONCE(objs[-(ptrdiff_t)n - 1])) == READ_ONCE(r->below[class]))
		n = MIN(2 * n, most);
	else
		n = least;
	WRITE_ONCE(r->slice[class], (uint16_t)n);
	WRITE_ONCE(r->below[class], cut_off(READ_ONCE(objs[-(ptrdiff_t)n - 1])));
	return n;
}
