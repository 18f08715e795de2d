/* SPDX-License-Identifier: MIT */
/*
 * Misses of the sheaves: batches go down to the barn and the slabs, and come up.
 *
 * Locking: none of its own. A batch in flight between two layers is private
 * to the thread.
 */
#include <string.h>

#include "debug/track.h"
#include "page/page.h"
#include "page/section.h"
#include "slab/barn.h"
#include "slab/deferred.h"
#include "slab/kmalloc.h"
#include "slab/percpu.h"
#include "slab/tracked.h"
#include "tune/tune.h"

#define BATCH_LIMIT	256
#define FIRST_BATCH	SMALL_SLOTS
#define CACHE_LINE	64

/* A batch that found no room in a sheaf: barn, else slabs. */
static void spill(struct kmem_cache *c, void *const *objs, size_t n, bool to_barn)
{
	if (!n)
		return;
	barn_note_spilt(c, n);
	if (to_barn && barn_put(c, objs, n, true))
		return;
	slab_free(c, objs, n);
	WRITE_ONCE(c->freed, READ_ONCE(c->freed) + n * c->size);
	if (unlikely(READ_ONCE(c->freed) >= SLAB_RECLAIM_STEP) && c->class <= NR_SIZE_CLASSES)
		slab_reclaim(c);
}

/* Who may neither wait nor enter the kernel takes one from wherever it is at hand. */
static __noinline void *refill_quiet(struct kmem_cache *c, unsigned how)
{
	void *obj;

	if (barn_get(c, &obj, 1, false) || slab_alloc(c, &obj, 1, how))
		return obj;
	return NULL;
}

/*
 * The first blocks of a small class that a CPU gets are handed out from one cache
 * line after the other. A thread that allocates a block each for others in a row
 * and passes them on would else tie their CPUs together: a block that is freed
 * stays with the CPU that freed it, and its neighbours are elsewhere. All of them
 * are in this CPU's sheaf, so that no other CPU fills the gaps. Later batches are
 * in order: what is allocated together is used together.
 */
static void spread(void **objs, size_t n, size_t size)
{
	void *next[FIRST_BATCH];
	size_t stride = (CACHE_LINE + size - 1) / size, k = n;

	for (size_t start = 0; start < stride; start++) {
		for (size_t i = start; i < n; i += stride)
			next[--k] = objs[n - 1 - i];
	}
	memcpy(objs, next, n * sizeof(void *));
	track_forget(next, n);
}

/* The sheaf is empty: fetch a batch, keep one, leave the rest in the sheaf. */
__noinline void *class_refill(unsigned class, unsigned how)
{
	struct kmem_cache *c = &kmem_caches[class];
	void *batch[BATCH_LIMIT], **objs = batch, *obj;
	size_t want, n, kept;

	if (!cache_is_open(c, how & ALLOC_WAIT))
		return NULL;
	if (!(how & ALLOC_WAIT))
		return refill_quiet(c, how);
	if (unlikely(deferred_any()))
		deferred_drain();
	percpu_grow(class);
	barn_note_taker(c, percpu_self());
	want = percpu_refill_size(class);
	n = barn_get(c, objs, want, true);
	if (!n) {
		bool first = c->size < CACHE_LINE && want <= FIRST_BATCH;

		if (first)
			want = FIRST_BATCH;
		n = slab_alloc(c, batch, want, how);
		objs = batch + want - n;
		if (first)
			spread(objs, n, c->size);
	}
	if (!n)
		return NULL;
	/* The hottest is the caller's; those below it go in as far as there is room. */
	n--;
	obj = objs[n];
	kept = percpu_push_batch(class, objs, n);
	spill(c, objs, n - kept, barn_is_for(c, percpu_self()));
	track_forget(batch, want);
	return obj;
}

/* The sheaf is full: make it larger, or move a batch out. */
__noinline void class_flush(unsigned class, void *obj)
{
	struct kmem_cache *c = &kmem_caches[class];
	void *objs[BATCH_LIMIT];
	bool to_barn;
	size_t n;

	if (unlikely(deferred_any()))
		deferred_drain();
	if (percpu_grow(class) && percpu_push(class, obj))
		return;
	n = percpu_refill_size(class);
	/* Slabs take a whole batch no faster than its slices, of which free() does one. */
	to_barn = barn_has_room(c, n) && barn_is_for(c, percpu_self());
	if (!to_barn)
		n = percpu_slice_size(class);
	n = percpu_pop_batch(class, objs, n);
	spill(c, objs, n, to_barn);
	track_forget(objs, n);
	if (!percpu_push(class, obj))
		spill(c, &obj, 1, to_barn);
}

void *class_try(unsigned class, unsigned how)
{
	void *p = percpu_pop_how(class, !(how & ALLOC_WAIT));

	return likely(p) ? p : class_refill(class, how);
}

void class_free(unsigned class, void *p)
{
	if (unlikely(!percpu_push(class, p)))
		class_flush(class, p);
}

void class_free_bulk(unsigned class, void **p, size_t n)
{
	struct kmem_cache *c = &kmem_caches[class];

	n -= percpu_push_batch(class, p, n);
	if (likely(!n))
		return;
	if (percpu_grow(class))
		n -= percpu_push_batch(class, p, n);
	spill(c, p, n, n && barn_is_for(c, percpu_self()));
}

/* How many of them, from the first on, may go back as one. */
static size_t same_class(void **p, size_t n)
{
	unsigned class = class_of(p[0]);
	size_t same = 1;

	if (class == CLASS_NONE || class == CLASS_LARGE || kmem_caches[class].ops || tune.perturb ||
	    track_any || unlikely(!is_object(class, p[0])))
		return 1;
	while (same < n && class_of(p[same]) == class && likely(is_object(class, p[same])))
		same++;
	return same;
}

__far void kfree_bulk(size_t n, void **p)
{
	while (n) {
		size_t same = same_class(p, n);

		if (same == 1)
			kfree(p[0]);
		else
			class_free_bulk(class_of(p[0]), p, same);
		p += same;
		n -= same;
	}
}
