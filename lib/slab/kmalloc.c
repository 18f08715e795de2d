/* SPDX-License-Identifier: MIT */
/*
 * kmalloc: misses of the sheaves, and everything that is not a small block.
 *
 * Locking: none of its own. A batch in flight between two layers is private
 * to the thread.
 */
#include "slab/kmalloc.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "os/bug.h"
#include "os/foreign.h"
#include "page/boot.h"
#include "page/reclaim.h"
#include "page/section.h"
#include "page/vmalloc.h"
#include "slab/badptr.h"
#include "slab/barn.h"
#include "slab/large.h"
#include "slab/percpu.h"
#include "slab/slab.h"
#include "tune/tune.h"

#define BATCH_LIMIT	256
#define LARGE_SLACK_MAX	(16ul << 20)

static __cold_path void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

/* Before giving up: is there anything to gain from what lies idle? */
static __cold_path bool direct_reclaim(size_t size)
{
	if (size > reclaim_bound())
		return false;
	kmalloc_drain();
	reclaim_all(0);
	return true;
}

/* A batch that found no room in a sheaf: barn, else slabs. */
static void spill(struct kmem_cache *c, void *const *objs, size_t n)
{
	if (n && !barn_put(c, objs, n))
		slab_free(c, objs, n);
}

/* The sheaf is empty: fetch a batch, keep one, leave the rest in the sheaf. */
static __noinline void *refill(unsigned class)
{
	struct kmem_cache *c = &kmem_caches[class];
	void *batch[BATCH_LIMIT], **objs = batch;
	size_t want, n, kept;

	percpu_grow(class);
	want = percpu_refill_size(class);
	n = barn_get(c, objs, want);
	if (!n) {
		n = slab_alloc(c, batch, want);
		objs = batch + want - n;
	}
	if (!n && direct_reclaim(c->size)) {
		n = slab_alloc(c, batch, 1);
		objs = batch;
	}
	if (!n)
		return no_memory();
	/* The hottest is the caller's; those below it go in as far as there is room. */
	n--;
	kept = percpu_push_batch(class, objs, n);
	spill(c, objs, n - kept);
	return objs[n];
}

/* The sheaf is full: make it larger, or move a batch out. */
static __noinline void flush(unsigned class, void *obj)
{
	struct kmem_cache *c = &kmem_caches[class];
	void *objs[BATCH_LIMIT];
	size_t n;

	if (percpu_grow(class) && percpu_push(class, obj))
		return;
	n = percpu_pop_batch(class, objs, c->batch);
	spill(c, objs, n);
	if (!percpu_push(class, obj))
		spill(c, &obj, 1);
}

static inline void *class_alloc(unsigned class)
{
	void *p = percpu_pop(class);

	return likely(p) ? p : refill(class);
}

static inline void class_free(unsigned class, void *p)
{
	if (unlikely(!percpu_push(class, p)))
		flush(class, p);
}

static __cold_path void perturb(void *p, int byte)
{
	if (p)
		memset(p, byte, ksize(p));
}

static inline void *perturbed(void *p)
{
	if (unlikely(tune.perturb))
		perturb(p, ~(int)tune.perturb);
	return p;
}

/* For the slabs? Not what the program wants mapped, however small. */
static inline bool is_small(size_t size)
{
	return size <= SIZE_MAX_SLAB &&
	       likely(size < READ_ONCE(tune.mmap_threshold) || !vmalloc_allowed());
}

static void *alloc_large(size_t size, size_t align, bool zero)
{
	void *p;

	size = MAX(size, (size_t)1);
	p = large_alloc(size, align, zero);
	if (unlikely(!p) && direct_reclaim(size))
		p = large_alloc(size, align, zero);
	return likely(p) ? p : no_memory();
}

void *kmalloc(size_t size)
{
	void *p;

	if (likely(is_small(size)))
		return perturbed(class_alloc(size_class(size)));
	p = alloc_large(size, PAGE_SIZE, false);
	return likely(p) ? perturbed(p) : NULL;
}

void *kzalloc(size_t size)
{
	void *p;

	if (likely(is_small(size))) {
		p = class_alloc(size_class(size));
		return likely(p) ? memset(p, 0, size) : NULL;
	}
	return alloc_large(size, PAGE_SIZE, true);
}

void *kmalloc_aligned(size_t size, size_t align)
{
	void *p;

	if (is_small(MAX(size, align)) && align <= PAGE_SIZE)
		return perturbed(class_alloc(size_class_aligned(size, align)));
	p = alloc_large(size, align, false);
	return likely(p) ? perturbed(p) : NULL;
}

/* Not ours, and libc's? What it points into may be ours and look like libc's. */
static bool is_foreign(const void *p)
{
	size_t size;

	return !page_of(addr_pfn(p)) && foreign_is_libc(p) && !vmalloc_block_of(p, &size);
}

/* A pointer without a class: mapped, foreign, or bad. */
static __noinline void free_unclassed(void *p)
{
	if (!foreign_all) {
		if (vmalloc_free(p))
			return;
		if (!is_foreign(p))
			bad_pointer("free", p);
	}
	foreign_free(p);
}

/* A slab object's start? Sheaves take what they are given; free() must not. */
static inline bool is_object(unsigned class, const void *p)
{
	return slab_index(&kmem_caches[class], p) >= 0;
}

void kfree(void *p)
{
	unsigned class = class_of(p);

	if (likely(class != CLASS_NONE && class != CLASS_LARGE)) {
		if (unlikely(!is_object(class, p)))
			bad_pointer("free", p);
		if (unlikely(tune.perturb))
			perturb(p, (int)tune.perturb);
		class_free(class, p);
		return;
	}

	/* errno is libc's: before relocation it is not there to be saved. */
	if (!p || boot_owns(p))
		return;

	int saved = errno;

	if (class == CLASS_LARGE) {
		if (unlikely(tune.perturb) && IS_ALIGNED((uintptr_t)p, PAGE_SIZE))
			perturb(p, (int)tune.perturb);
		large_free(p);
	} else {
		free_unclassed(p);
	}
	errno = saved;
}

static bool size_fits(const void *p, size_t size, size_t align)
{
	unsigned class = class_of(p);

	if (class == CLASS_NONE)
		return size <= ksize(p);
	/* realloc leaves room, above and below. */
	if (class == CLASS_LARGE)
		return size <= large_size(p) && bytes_pages(size) >= large_size(p) / PAGE_SIZE / 2;
	/* What realloc left in place is smaller than its class suggests. */
	return size <= kmem_caches[class].size &&
	       (size_class_aligned(size, align) == class ||
		2 * size >= kmem_caches[class].size);
}

void kfree_sized(void *p, size_t size, size_t align)
{
	if (p && !size_fits(p, size, align))
		bug("free: size mismatch for %p: freed as %lu bytes, the block has %lu", p,
		    (unsigned long)size, (unsigned long)ksize(p));
	kfree(p);
}

/* Worth staying where it is: no smaller than half of the block. */
static bool stays(size_t size, size_t have)
{
	return size <= have && size >= have / 2;
}

static void *move(void *p, size_t size, size_t have)
{
	void *q = kmalloc(size);

	if (!q)
		return NULL;
	memcpy(q, p, MIN(size, have));
	kfree(p);
	return q;
}

static void *realloc_large(void *p, size_t size)
{
	size_t have = large_size(p);

	if (likely(size <= have && size + PAGE_SIZE > have))
		return p;
	if (size > SIZE_MAX_SLAB && size <= PTRDIFF_MAX - PAGE_SIZE &&
	    (size <= have || size < READ_ONCE(tune.mmap_threshold) || !vmalloc_allowed()) &&
	    large_resize(p, size))
		return p;
	/* What grows in small steps and has to move gets room for the next ones. */
	if (size > have && size - have < have / 8 && size < LARGE_SLACK_MAX)
		size += size / 8;
	return move(p, size, have);
}

static void *realloc_unclassed(void *p, size_t size)
{
	size_t have;

	if (boot_owns(p)) {
		void *q = kmalloc(size);

		return q ? memcpy(q, p, MIN(size, boot_size(p))) : NULL;
	}
	have = vmalloc_size(p);
	if (have) {
		void *q;

		/* Far below the threshold a mapping is a waste. */
		if (size <= SIZE_MAX_SLAB || size > PTRDIFF_MAX - PAGE_SIZE)
			return move(p, size, have);
		q = vmalloc_resize(p, size);
		return q ? q : no_memory();
	}
	if (!is_foreign(p))
		bad_pointer("realloc", p);
	return foreign_realloc(p, size);
}

void *krealloc(void *p, size_t size)
{
	unsigned class = class_of(p);

	if (unlikely(class == CLASS_NONE))
		return realloc_unclassed(p, size);
	if (unlikely(class == CLASS_LARGE)) {
		if (!IS_ALIGNED((uintptr_t)p, PAGE_SIZE))
			bad_pointer("realloc", p);
		return realloc_large(p, size);
	}
	if (unlikely(!is_object(class, p)))
		bad_pointer("realloc", p);

	size_t have = kmem_caches[class].size;

	/* Also when the class is the same: below half of the smallest. */
	if (stays(size, have) || size_class(size) == class)
		return p;
	return move(p, size, have);
}

size_t ksize(const void *p)
{
	unsigned class = class_of(p);
	size_t size;

	if (!p)
		return 0;
	if (class == CLASS_LARGE)
		return large_size(p);
	if (class != CLASS_NONE)
		return kmem_caches[class].size;
	if (boot_owns(p))
		return boot_size(p);
	size = vmalloc_size(p);
	if (size)
		return size;
	if (!is_foreign(p))
		bad_pointer("malloc_usable_size", p);
	return foreign_size(p);
}

struct kmalloc_usage kmalloc_usage(void)
{
	struct kmalloc_usage u = { 0 };

	for_each_cache(c) {
		size_t cached = percpu_count(c->class) + READ_ONCE(c->barn.count);
		size_t out = READ_ONCE(c->nr_inuse);

		/* Other threads may move objects between the two readings. */
		cached = MIN(cached, out);
		u.cached_bytes += cached * c->size;
		u.slab_blocks += out - cached;
		u.slab_bytes += (out - cached) * c->size;
		u.slab_pages += READ_ONCE(c->nr_slabs) << c->order;
	}
	large_usage(&u.large_bytes, &u.large_blocks);
	return u;
}

void kmalloc_drain(void)
{
	percpu_drain();
	for_each_cache(c) {
		barn_drain(c);
		slab_shrink(c);
	}
}
