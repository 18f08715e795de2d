/* SPDX-License-Identifier: MIT */
/*
 * kmalloc: small blocks as objects of a class, and everything that is not small.
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
#include "page/limit.h"
#include "page/reclaim.h"
#include "page/section.h"
#include "page/task.h"
#include "page/vmalloc.h"
#include "page/vmap.h"
#include "slab/badptr.h"
#include "slab/barn.h"
#include "slab/budget.h"
#include "slab/deferred.h"
#include "slab/gfp.h"
#include "slab/large.h"
#include "slab/oom.h"
#include "slab/percpu.h"
#include "slab/pressure.h"
#include "slab/slab.h"
#include "slab/tracked.h"
#include "tune/tune.h"
#include "stele/slab.h"

#define ROOM_SIZE_MAX	(16ul << 20)	/* of blocks that creep: see move_creeping() */
#define ROOM_SHARE	8		/* the room's part of the size */

static __cold_path void *failed(void)
{
	errno = ENOMEM;
	return NULL;
}

static __cold_path void *no_memory(size_t size)
{
	oom_report(size);
	return failed();
}

#define ROUNDS_MAX	16

/* Before giving up: is there anything to gain from what lies idle, or the program holds? */
static __cold_path bool direct_reclaim(size_t size, unsigned round)
{
	if (round == ROUNDS_MAX || size > reclaim_bound() + vmalloc_stats().bytes)
		return false;
	return pressure_relieve(STELE_GFP_KERNEL, round);
}

static __noinline void *class_alloc_miss(unsigned class)
{
	void *p = class_refill(class, ALLOC_NORMAL);

	for (unsigned round = 0; !p && direct_reclaim(kmem_caches[class].size, round); round++)
		p = class_try(class, ALLOC_NORMAL);
	/* Who frees memory may use what is set aside for it. */
	if (!p && current_task.scope & SCOPE_NORECLAIM)
		p = class_try(class, ALLOC_NORMAL | ALLOC_RESERVE);
	return p ? p : no_memory(kmem_caches[class].size);
}

static inline void *class_alloc(unsigned class)
{
	void *p = percpu_pop(class);

	return likely(p) ? p : class_alloc_miss(class);
}

void *kmalloc_plain(size_t size)
{
	return class_alloc(size <= HIT_SIZES ? hit.class[size] : size_class(size));
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

bool kmalloc_is_small(size_t size)
{
	return is_small(size);
}

static void *alloc_large(size_t size, size_t align, bool zero, unsigned how)
{
	void *p;

	size = MAX(size, (size_t)1);
	p = large_alloc(size, align, zero, how);
	for (unsigned round = 0; unlikely(!p) && direct_reclaim(size, round); round++)
		p = large_alloc(size, align, zero, how);
	return likely(p) ? p : no_memory(size);
}

#define NEXT_CLASSES	2	/* tried where a lock of the right one is held */

__far void *kmalloc_try(size_t size, size_t align, bool zero, unsigned how)
{
	unsigned class, last;
	void *p = NULL;

	if (!is_small(MAX(size, align)) || align > PAGE_SIZE) {
		p = large_alloc(MAX(size, (size_t)1), align, zero, how);
		return p && !zero ? perturbed(p) : p;
	}
	class = size_class_aligned(size, align);
	last = how & ALLOC_WAIT ? class : MIN(class + NEXT_CLASSES, (unsigned)NR_SIZE_CLASSES);
	for (; class <= last && !p; class++) {
		if (IS_ALIGNED(class_size(class), align))
			p = class_try(class, how);
	}
	if (p && zero)
		return memset(p, 0, size);
	return p ? perturbed(p) : NULL;
}

/* malloc and its relatives fail on purpose only where that was asked for. */
static inline bool fails(size_t size)
{
	return unlikely(READ_ONCE(fault_malloc)) && slab_should_fail(size, true);
}

__far void *kmalloc_in(struct kmem_cache *c)
{
	void *p;

	if (fails(c->size))
		return failed();
	p = class_alloc(c->class);
	return likely(p) ? perturbed(p) : NULL;
}

static inline void *alloc(size_t size, unsigned how)
{
	if (fails(size))
		return failed();
	if (likely(is_small(size)))
		return perturbed(class_alloc(size_class(size)));
	return perturbed(alloc_large(size, PAGE_SIZE, false, how));
}

void *kmalloc(size_t size)
{
	return alloc(size, ALLOC_NORMAL);
}

void *kzalloc(size_t size)
{
	void *p;

	if (fails(size))
		return failed();
	if (likely(is_small(size))) {
		p = class_alloc(size_class(size));
		return likely(p) ? memset(p, 0, size) : NULL;
	}
	return alloc_large(size, PAGE_SIZE, true, ALLOC_NORMAL);
}

void *kmalloc_aligned(size_t size, size_t align)
{
	void *p;

	if (fails(size))
		return failed();
	if (is_small(MAX(size, align)) && align <= PAGE_SIZE)
		return perturbed(class_alloc(size_class_aligned(size, align)));
	p = alloc_large(size, align, false, ALLOC_NORMAL);
	return likely(p) ? perturbed(p) : NULL;
}

/* Not ours, and libc's? What it points into may be ours and look like libc's. */
static bool is_foreign(const void *p)
{
	struct vmap_area area;
	size_t size;

	return !page_of(addr_pfn(p)) && foreign_is_libc(p) && !vmalloc_block_of(p, &size) &&
	       !vmap_find(p, &area);
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

__far void *kmalloc_try_cold(size_t size, size_t align, bool zero, unsigned how)
{
	void *p;

	if (!is_small(MAX(size, align)) || align > PAGE_SIZE)
		return kmalloc_try(size, align, zero, how);
	if (!slab_alloc(&kmem_caches[size_class_aligned(size, align)], &p, 1, how))
		return NULL;
	return zero ? memset(p, 0, size) : perturbed(p);
}

static bool may_give_back(struct kmem_cache *c, void *p)
{
	return !c->ops->give_back || c->ops->give_back(c, p);
}

/* What a request for nothing gets from stele_kmalloc() is none either. */
static inline bool is_no_block(const void *p)
{
	return !p || p == STELE_ZERO_SIZE_PTR;
}

static __noinline void free_other(void *p, unsigned class)
{
	/* errno is libc's: before relocation it is not there to be saved. */
	if (is_no_block(p) || boot_owns(p))
		return;

	int saved = errno;

	if (unlikely(READ_ONCE(budget_active)))
		budget_uncharge(p);
	if (class == CLASS_LARGE) {
		if (unlikely(tune.perturb) && IS_ALIGNED((uintptr_t)p, PAGE_SIZE))
			perturb(p, (int)tune.perturb);
		large_free(p);
	} else {
		free_unclassed(p);
	}
	errno = saved;
}

void kfree_plain(void *p)
{
	unsigned class = class_of(p);

	if (unlikely(class == CLASS_NONE || class == CLASS_LARGE)) {
		free_other(p, class);
		return;
	}
	if (unlikely(!is_object(class, p)))
		bad_pointer("free", p);
	if (unlikely(kmem_caches[class].ops)) {
		if (!may_give_back(&kmem_caches[class], p))
			return;
	} else if (unlikely(tune.perturb)) {
		perturb(p, (int)tune.perturb);
	}
	if (unlikely(!percpu_push(class, p)))
		class_flush(class, p);
}

/* Where nothing is to be done but to put it into a sheaf; false: nothing was done. */
static inline bool free_plain(void *p)
{
	unsigned class;

	if (unlikely(!READ_ONCE(hit.plain_limit)))
		return false;
	class = class_of(p);
	return likely(is_object(class, p)) && percpu_push(class, p);
}

void kfree(void *p)
{
	if (likely(free_plain(p)))
		return;
	if (unlikely(track_any))
		tracked_free(p);
	else
		kfree_plain(p);
}

__far void kfree_quiet(void *p)
{
	unsigned class = class_of(p);
	struct kmem_cache *c = &kmem_caches[class];
	struct track record = { 0 };

	if (is_no_block(p) || boot_owns(p))
		return;
	/* Nobody would come by to free it later. */
	if (unlikely(foreign_all)) {
		foreign_free(p);
		return;
	}
	/* What has no sheaf, and what must be looked at, waits for who may take locks. */
	if (class != CLASS_NONE && class != CLASS_LARGE && !(c->ops && c->ops->give_back)) {
		if (unlikely(!is_object(class, p)))
			bad_pointer("free", p);
		if (unlikely(c->tracked))
			record = tracked_take(p);
		if (percpu_push_how(class, p, true) || barn_put(c, &p, 1, false) ||
		    slab_try_free(c, &p, 1))
			return;
		/* kfree() will look at it. */
		if (unlikely(c->tracked))
			tracked_put(p, record);
	}
	deferred_free(&p, 1);
}

static bool size_fits(const void *p, size_t size, size_t align)
{
	unsigned class = class_of(p);

	if (class == CLASS_NONE)
		return size <= ksize(p);
	/* realloc leaves room, above and below. */
	if (class == CLASS_LARGE)
		return size <= large_size(p) && bytes_pages(size) >= large_size(p) / PAGE_SIZE / 2;
	/* Sampled blocks lie in larger objects; their records know better. */
	if (class > NR_SIZE_CLASSES)
		return size <= kmem_caches[class].size;
	/* What realloc left in place is smaller than its class suggests. */
	return size <= kmem_caches[class].usable &&
	       (size_class_aligned(size, align) == class ||
		2 * size >= kmem_caches[class].usable);
}

void kfree_sized(void *p, size_t size, size_t align)
{
	if (!is_no_block(p) && !size_fits(p, size, align))
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
	void *q = alloc(size, ALLOC_NORMAL | ALLOC_MOVES);

	if (!q)
		return NULL;
	memcpy(q, p, MIN(size, have));
	kfree_plain(p);
	return q;
}

/* Does a block grow in small steps? Then more of them will come. */
static inline bool creeps(size_t size, size_t have)
{
	return size > have && size - have < have / 8 && size < ROOM_SIZE_MAX;
}

/* A zone serves it, and no mapping? */
static inline bool is_for_zone(size_t size)
{
	return size < READ_ONCE(tune.mmap_threshold) || !vmalloc_allowed();
}

/*
 * From ROOM_SIZE_MIN on, what creeps and has to move goes to pages with room behind it,
 * instead of from class to class.
 */
static void *move_creeping(void *p, size_t size, size_t have)
{
	void *q;

	if (size < ROOM_SIZE_MIN || !is_for_zone(size))
		return move(p, size, have);
	if (fails(size))
		return failed();
	q = perturbed(large_alloc_room(size, size / ROOM_SHARE));
	if (!q)
		return move(p, size, have);
	memcpy(q, p, have);
	kfree_plain(p);
	return q;
}

static void *realloc_large(void *p, struct page *page, size_t size)
{
	size_t have = (size_t)page->npages << PAGE_SHIFT;
	bool creep = creeps(size, have);

	if (large_stays(page, size))
		return p;
	if (size >= ROOM_SIZE_MIN && size >= MIN(have / 2, SIZE_MAX_SLAB + 1ul) &&
	    size <= PTRDIFF_MAX - PAGE_SIZE && (size <= have || is_for_zone(size)) &&
	    large_resize(p, size, creep ? size / ROOM_SHARE : 0))
		return p;
	return creep ? move_creeping(p, size, have) : move(p, size, have);
}

static void *realloc_unclassed(void *p, size_t size)
{
	size_t have;

	if (is_no_block(p))
		return kmalloc(size);
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
		/* Under a limit, what lies idle may be in the way. */
		if (!q && limit_is_set() && size > have && direct_reclaim(size - have, 0))
			q = vmalloc_resize(p, size);
		return q ? q : move(p, size, have);
	}
	if (!is_foreign(p))
		bad_pointer("realloc", p);
	return foreign_realloc(p, size);
}

__noinline void *krealloc_other(void *p, size_t size)
{
	unsigned class = class_of(p);

	/* What is charged must not change under its charge: it moves. */
	if (unlikely(READ_ONCE(budget_active)) &&
	    (class == CLASS_NONE || class == CLASS_LARGE) && budget_is_charged(p))
		return move(p, size, ksize(p));
	if (unlikely(class == CLASS_NONE))
		return realloc_unclassed(p, size);
	if (unlikely(class == CLASS_LARGE)) {
		struct page *page = page_in_use(p);

		if (!IS_ALIGNED((uintptr_t)p, PAGE_SIZE) || page->state != PG_LARGE)
			bad_pointer("realloc", p);
		return realloc_large(p, page, size);
	}
	if (unlikely(!is_object(class, p)))
		bad_pointer("realloc", p);

	size_t have = kmem_caches[class].usable;

	/* Also when the class is the same: below half of the smallest. */
	if (stays(size, have) || size_class(size) == class)
		return p;
	return creeps(size, have) ? move_creeping(p, size, have) : move(p, size, have);
}

/* What stays where it is takes a look and no call, so that no register is saved. */
void *krealloc(void *p, size_t size)
{
	unsigned class = class_in_window(p);
	struct page *page;

	if (unlikely(READ_ONCE(budget_active)) || unlikely(class == CLASS_NONE))
		return krealloc_other(p, size);
	if (class == CLASS_LARGE) {
		page = page_near(p);
		if (likely(page) && IS_ALIGNED((uintptr_t)p, PAGE_SIZE) &&
		    page->state == PG_LARGE && likely(large_stays(page, size)))
			return p;
	} else if (likely(is_object(class, p))) {
		return stays(size, kmem_caches[class].usable) ? p : krealloc_move(p, size, class);
	}
	return krealloc_other(p, size);
}

size_t ksize(const void *p)
{
	unsigned class = class_of(p);
	size_t size;

	if (is_no_block(p))
		return 0;
	if (class == CLASS_LARGE)
		return large_size(p);
	if (class != CLASS_NONE)
		return kmem_caches[class].usable;
	if (boot_owns(p))
		return boot_size(p);
	size = vmalloc_size(p);
	if (size)
		return size;
	if (!is_foreign(p))
		bad_pointer("malloc_usable_size", p);
	return foreign_size(p);
}
