/* SPDX-License-Identifier: MIT */
/*
 * Writing and clearing records.
 *
 * 1. leak=. Every block: the stack is captured before any layer below is entered,
 *    the record is written when the block is the caller's. Freeing looks at the
 *    record first: a block that is free already is told at once, with the stack
 *    that allocated it.
 *
 *    usable=exact does the same without stacks, for the sizes.
 *
 * 2. profile=. Sampled blocks lie in caches of their own (mirror.h). Large blocks
 *    have room for a record each. A block that is resized counts as freed and
 *    allocated; it moves where one of the two is a sample.
 *
 * Locking: none; a record is its block's owner's.
 */
#include "slab/tracked.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "debug/capture.h"
#include "debug/fate.h"
#include "page/boot.h"
#include "page/section.h"
#include "page/vmalloc.h"
#include "slab/kmalloc.h"
#include "slab/large.h"
#include "slab/mirror.h"
#include "slab/percpu_rseq.h"
#include "slab/slab.h"
#include "slab/units.h"
#include "tune/tune.h"

__init void tracked_init(void)
{
	if (track_any)
		vmalloc_keep_tags();
	if (track_sampling)
		mirror_init();
}

/* The record of an object of a tracked cache; NULL: not an object's start. */
static inline struct track *slab_track(const void *p, unsigned class)
{
	long i = slab_index(&kmem_caches[class], p);
	uint64_t unit = unit_of(p);
	struct slab *s;

	if (likely(unit))
		return likely(i >= 0) ? unit_tracks(unit) + i : NULL;
	s = slab_of(p, class);
	return i >= 0 && s ? &(*slab_tracks(&kmem_caches[class], s))[i] : NULL;
}

/* The record of a block that lies in a zone; NULL: it has none. */
static inline struct track *zone_track(const void *p, unsigned class)
{
	if (likely(class != CLASS_LARGE))
		return kmem_caches[class].tracked ? slab_track(p, class) : NULL;

	struct page *page = page_of(addr_pfn(p));

	return IS_ALIGNED((uintptr_t)p, PAGE_SIZE) && READ_ONCE(page->state) == PG_LARGE ?
		       large_track(page) : NULL;
}

static void write_record(const void *p, size_t size, uint32_t stack)
{
	unsigned class = class_of(p);
	struct track *t;

	if (unlikely(class == CLASS_NONE)) {
		union {
			struct track track;
			struct vm_tag tag;
		} u = { { 0 } };

		static_assert(sizeof(u.track) == sizeof(u.tag), "a tag holds a record");
		if (stack)
			track_set(&u.track, stack, size);
		vmalloc_set_tag(p, &u.tag);
		return;
	}
	t = zone_track(p, class);
	if (likely(t)) {
		if (stack)
			track_set(t, stack, size);
		else
			track_clear(t, STACK_NONE);
	}
}

/* The record of any block of ours, as it is now. */
static struct track read_record(const void *p, unsigned class)
{
	union {
		struct track track;
		struct vm_tag tag;
	} u = { { 0 } };

	if (class == CLASS_NONE) {
		vmalloc_tag(p, &u.tag);
	} else {
		struct track *t = zone_track(p, class);

		if (t)
			u.track = *t;
	}
	return u.track;
}

static void *plain_alloc(size_t size, size_t align, bool zero)
{
	if (align > 1)
		return kmalloc_aligned(size, align);
	return zero ? kzalloc(size) : kmalloc(size);
}

/* A block that is a sample. */
static void *sampled_alloc(size_t size, size_t align, bool zero, uint32_t stack)
{
	struct kmem_cache *c = mirror_for(size, align);
	void *p = c ? mirror_alloc(c) : plain_alloc(size, align, zero);

	if (!p)
		return NULL;
	if (c && zero)
		memset(p, 0, size);
	write_record(p, size, stack);
	sample_count_alloc(stack, size);
	return p;
}

/*
 * What an earlier block has left, and the program does not write, would be taken for
 * pointers of this one: zero what lies from byte @from on. Of whole pages only those
 * that are not zero already.
 */
static void wipe(void *p, size_t from, size_t size)
{
	unsigned class = class_of(p);
	char *at = (char *)p + from;
	size_t head = -(uintptr_t)at & (PAGE_SIZE - 1);

	if (class == CLASS_NONE || from >= size || tune.perturb || tune.leak == LEAK_OFF)
		return;
	if (class != CLASS_LARGE) {
		memset(at, 0, size - from);
		return;
	}
	head = MIN(head, size - from);
	memset(at, 0, head);
	page_zero(at + head, bytes_pages(size - from - head));
}

/*
 * Where every block is looked for, one byte more than asked for: a pointer behind the
 * end of a block, as C++ keeps them, would point to the start of its neighbour.
 */
static inline size_t with_end(size_t size)
{
	return size + (size < PTRDIFF_MAX);
}

#define WIPE_INLINE	128u	/* bytes; a call costs more than so many stores */

/* The same of an object that was just taken: sizes of objects are multiples of 16. */
static inline void wipe_object(void *p, size_t size)
{
	typedef long words __attribute__((vector_size(SIZE_STEP)));

	if (unlikely(size > WIPE_INLINE)) {
		memset(p, 0, size);
		return;
	}
	for (size_t i = 0; i < size; i += SIZE_STEP)
		*(volatile words *)((char *)p + i) = (words){ 0 };
}

/*
 * A zeroed object of a sheaf with its record, as the hit path of malloc would get it;
 * NULL: by the other ways.
 */
static inline void *quick_alloc(size_t size __unused_arg, uint32_t stack __unused_arg)
{
#ifdef HAVE_RSEQ
	size_t room = with_end(size);

	if (likely(hit.tracking && room <= SIZE_MAX_SLAB)) {
		unsigned class = room <= HIT_SIZES ? hit.class[room] : size_class(room);
		struct track *t;
		void *p;

		rseq_hit_pop(class, p, miss);
		wipe_object(p, size);
		t = slab_track(p, class);
		if (likely(t))
			track_set(t, stack, size);
		return p;
	}
miss:
#endif
	return NULL;
}

static inline void *tracked_alloc(size_t size, size_t align, bool zero, uintptr_t frame)
{
	uint32_t stack = stack_capture(frame);
	void *p;

	if (track_sampling)
		return sampled_alloc(size, align, zero, stack);
	p = align == 1 ? quick_alloc(size, stack) : NULL;
	if (likely(p))
		return p;
	p = plain_alloc(with_end(size), align, zero);
	if (unlikely(!p))
		return NULL;
	if (!zero)
		wipe(p, 0, size);
	write_record(p, size, stack);
	return p;
}

__noinline void *tracked_malloc(size_t size)
{
	return tracked_alloc(size, 1, false, FRAME());
}

__noinline void *tracked_calloc(size_t bytes)
{
	return tracked_alloc(bytes, 1, true, FRAME());
}

__noinline void *tracked_aligned(size_t size, size_t align)
{
	return tracked_alloc(size, align, false, FRAME());
}

/* A mapped block takes its record along: it tells who freed it, should it be freed again. */
static void clear_tag(const void *p, uint32_t free_stack)
{
	union {
		struct track track;
		struct vm_tag tag;
	} u = { read_record(p, CLASS_NONE) };

	if (u.track.stack) {
		track_clear(&u.track, free_stack);
		vmalloc_set_tag(p, &u.tag);
	}
}

/* leak=: the record of @p is cleared if it is one of ours; told if it is free. */
static inline void clear_record(const void *p, unsigned class, uint32_t stack)
{
	struct track *t = class != CLASS_NONE ? zone_track(p, class) : NULL;

	if (unlikely(!t))
		return;
	if (unlikely(t->stack == STACK_NONE))
		track_double_free(p, t, class == CLASS_LARGE ? "none" : kmem_caches[class].name);
	track_clear(t, stack);
}

/* free_stacks=: whose blocks does the caller free? Before the record is cleared. */
static void count_fate(const void *p, unsigned class, uint32_t stack)
{
	struct track t = read_record(p, class);

	if (t.stack)
		fate_count(t.stack, stack);
}

/* profile=: a sample goes; all others have no record. Was it one? */
static bool clear_sample(const void *p, unsigned class)
{
	struct track t = read_record(p, class);

	if (t.stack) {
		sample_count_free(t.stack, track_size(&t, ksize(p)));
		write_record(p, 0, STACK_NONE);
	} else if (class != CLASS_NONE && class != CLASS_LARGE && zone_track(p, class)) {
		track_double_free(p, zone_track(p, class), kmem_caches[class].name);
	}
	return t.stack;
}

/* The way back of quick_alloc(); false: nothing was done. */
static inline bool quick_free(void *p __unused_arg)
{
#ifdef HAVE_RSEQ
	struct kmem_cache *c;
	struct track *t;
	uint64_t unit;
	long i;

	/* First: with profile= all that is freed without sequences comes by. */
	if (unlikely(!hit.tracking))
		return false;
	unit = unit_of(p);
	c = &kmem_caches[unit_class(unit)];
	if (unlikely(!unit || c->ops || tune.free_stacks))
		return false;
	i = slab_index(c, p);
	if (unlikely(i < 0))
		return false;
	t = unit_tracks(unit) + i;
	if (unlikely(t->stack == STACK_NONE))
		track_double_free(p, t, c->name);
	track_clear(t, STACK_NONE);
	rseq_hit_push(unit_class(unit), p, miss);
	return true;
miss:
	kfree_plain(p);
	return true;
#else
	return false;
#endif
}

static __noinline void free_slowly(void *p)
{
	unsigned class = class_of(p);

	if (track_on) {
		uint32_t stack = STACK_NONE;

		if (unlikely(tune.free_stacks)) {
			stack = stack_capture(FRAME());
			if (p && !boot_owns(p))
				count_fate(p, class, stack);
			if (class == CLASS_NONE)
				clear_tag(p, stack);
		}
		clear_record(p, class, stack);
	} else if (class != CLASS_NONE && class != CLASS_LARGE) {
		if (unlikely(kmem_caches[class].tracked) && clear_sample(p, class)) {
			mirror_free(&kmem_caches[class], p);
			return;
		}
	} else if (p && !boot_owns(p)) {
		clear_sample(p, class);
	}
	kfree_plain(p);
}

__noinline void tracked_free(void *p)
{
	if (unlikely(!quick_free(p)))
		free_slowly(p);
}

__noinline void tracked_record(void *p, size_t size, bool wait)
{
	write_record(p, size, wait ? stack_capture(FRAME()) : stack_known(FRAME()));
}

__noinline void tracked_end(void *p)
{
	unsigned class = class_of(p);
	uint32_t stack = STACK_NONE;

	if (unlikely(tune.free_stacks)) {
		stack = stack_capture(FRAME());
		count_fate(p, class, stack);
	}
	clear_record(p, class, stack);
}

__noinline void tracked_sample(void *p, size_t size)
{
	uint32_t stack = stack_capture(FRAME());

	write_record(p, size, stack);
	sample_count_alloc(stack, size);
}

struct track tracked_take(void *p)
{
	unsigned class = class_of(p);
	struct track record = read_record(p, class);

	if (track_on)
		clear_record(p, class, STACK_NONE);
	else
		clear_sample(p, class);
	return record;
}

void tracked_put(void *p, struct track record)
{
	struct track *t = zone_track(p, class_of(p));

	if (!t)
		return;
	*t = record;
	if (track_sampling)
		sample_count_alloc(record.stack, track_size(&record, ksize(p)));
}

/* Another block, and the old one freed. */
static void *sampled_move(void *p, size_t size, size_t have, bool sample, uint32_t stack)
{
	void *q = sample ? sampled_alloc(size, 1, false, stack) : kmalloc(size);

	if (!q)
		return NULL;
	memcpy(q, p, MIN(size, have));
	kfree(p);
	return q;
}

static void *sampled_realloc(void *p, size_t size, uintptr_t frame)
{
	unsigned class = class_of(p);
	bool sample = sample_due(size);
	uint32_t stack = sample ? stack_capture(frame) : STACK_NONE;
	struct track t = { 0 };
	size_t have = 0;
	void *q;

	if (likely(!sample && class != CLASS_NONE && class != CLASS_LARGE &&
		   !kmem_caches[class].tracked))
		return krealloc(p, size);
	if (!boot_owns(p))
		t = read_record(p, class);
	if (!t.stack && !sample)
		return krealloc(p, size);
	have = ksize(p);
	if ((class != CLASS_LARGE && class != CLASS_NONE) || mirror_for(size, 1))
		return sampled_move(p, size, have, sample, stack);
	/* A large block keeps its record where it stays, or is mapped elsewhere. */
	q = krealloc(p, size);
	if (!q)
		return NULL;
	if (t.stack)
		sample_count_free(t.stack, track_size(&t, have));
	write_record(q, size, stack);
	if (sample)
		sample_count_alloc(stack, size);
	return q;
}

__noinline void *tracked_realloc(void *p, size_t size)
{
	unsigned class = class_of(p);
	struct track *t, old;
	uint32_t stack;
	uint32_t was = STACK_NONE;
	size_t had = 0;
	void *q;

	if (track_sampling)
		return sampled_realloc(p, size, FRAME());
	stack = stack_capture(FRAME());
	if (unlikely(tune.free_stacks))
		was = read_record(p, class).stack;
	/* Cleared first: once the block is freed its record may be another's. */
	t = class != CLASS_NONE ? zone_track(p, class) : NULL;
	if (t) {
		old = *t;
		had = track_size(t, ksize(p));
	}
	clear_record(p, class, tune.free_stacks ? stack : STACK_NONE);
	q = krealloc(p, with_end(size));
	if (q) {
		if (t)
			wipe(q, had, size);
		if (unlikely(was))
			fate_count(was, stack);
		write_record(q, size, stack);
	} else if (t) {
		*t = old;
	}
	return q;
}

struct track tracked_peek(const void *p)
{
	return p && !boot_owns(p) ? read_record(p, class_of(p)) : (struct track){ 0 };
}

/*
 * What was asked for, and no more: who learns that there is more may use it, and
 * what lies there is not looked at for pointers.
 */
size_t tracked_usable(const void *p)
{
	size_t usable = ksize(p);
	struct track t = tracked_peek(p);

	return t.stack ? track_size(&t, usable) : usable;
}
