/* SPDX-License-Identifier: MIT */
/*
 * Sheaves per CPU behind one small interface.
 *
 * A sheaf is an array of object pointers with a LIFO top. A region holds one
 * sheaf per size class. Offsets are bytes from the region's start, 32 bits
 * wide (narrower tops forward badly from store to load):
 *
 *	region  | {top, begin}[256] | end[256] | small places | medium ones | full ones |
 *
 *	begin           top              end          begin + sheaf_max * 8
 *	  |--- cached ---|--- free slots --|--- may be added on misses ---|
 *
 *	top == begin: empty      top >= end: full
 *	all three zero (classes without a sheaf, the empty region): both, so
 *	neither needs a branch of its own
 *
 * A sheaf begins in a small place that shares pages with its neighbours'. Where misses
 * come thick its capacity doubles, up to the cache's sheaf_max, and it moves to its
 * medium place, which still shares pages, and to its full-size one. Those of further
 * caches have one place.
 *
 * Two ways in, to different regions:
 *	restartable sequences	percpu_rseq.h: a region per CPU (or mm_cid), owned
 *				by whoever runs there
 *	locked slots		percpu_slot.c: a region per slot, owned by the
 *				thread that holds its busy flag
 */
#ifndef STELE_SLAB_PERCPU_H
#define STELE_SLAB_PERCPU_H

#include "slab/slab.h"

struct sheaf {
	uint32_t top, begin;	/* in this order: moved by one 64-bit store */
} __attribute__((aligned(8)));

struct region {
	struct sheaf sheaf[NR_CLASSES];
	uint32_t end[NR_CLASSES];
	/* Of percpu_grow(); hints, racy. */
	uint8_t misses[NR_CLASSES];
	uint16_t since[NR_CLASSES];	/* when the first of them was: ms, cut off */
	/* Of region_slice(), for kmalloc's; ditto. */
	uint16_t slice[NR_SIZE_CLASSES + 1];	/* what went to the slabs last */
	uint16_t below[NR_SIZE_CLASSES + 1];	/* which object lay below it, cut off */
};

static inline void **region_at(struct region *r, uint32_t off)
{
	return (void **)((char *)r + off);
}

void percpu_init(void);

/* One object, or NULL when the sheaf is empty. @quiet: without entering the kernel. */
void *percpu_pop_how(unsigned class, bool quiet);
static inline void *percpu_pop(unsigned class)
{
	return percpu_pop_how(class, false);
}
/* False: the sheaf is full. */
bool percpu_push_how(unsigned class, void *obj, bool quiet);
static inline bool percpu_push(unsigned class, void *obj)
{
	return percpu_push_how(class, obj, false);
}

/* How many objects a miss of this class should fetch now, or give to the barn. */
size_t percpu_refill_size(unsigned class);
/* How many of a full sheaf should go to the slabs now: more each time, while nothing is taken. */
size_t percpu_slice_size(unsigned class);

/*
 * Batches lie in arrays as in a sheaf: the last object is the hottest, or was
 * the top. Push returns how many went in, the last ones of objs; the rest stays
 * the caller's. Pop takes up to @n.
 */
size_t percpu_push_batch(unsigned class, void *const *objs, size_t n);
size_t percpu_pop_batch(unsigned class, void **objs, size_t n);
/* A miss: where they come thick let the sheaf hold more. False: nothing changed. */
bool percpu_grow(unsigned class);

/* Sheaves for a cache that has opened; none, with what they held in its slabs. */
void percpu_open_class(unsigned class);
void percpu_close_class(unsigned class);

/* Whose sheaves this thread uses now: a hint to tell CPUs apart. */
uint32_t percpu_self(void);

/* Empty all sheaves into the slabs. */
void percpu_drain(void);
/* Objects of the class in sheaves; exact when no other thread allocates. */
size_t percpu_count(unsigned class);

/* Requests are counted where the way in counts them (locked slots). */
struct percpu_stats {
	uint64_t allocs, frees;
	unsigned regions;
	bool rseq;
};
struct percpu_stats percpu_stats(void);

/* Something that decides about the hit path changed (perturb). */
void percpu_update_hit(void);

/*
 * Create every region now: for programs that count on no system call later
 * (no trimming, no mappings).
 */
void percpu_open_all(void);

/* fork: keep every region still while the child is made. */
void percpu_fork_prepare(void);
void percpu_fork_done(bool child);
/* The child's first act once all locks are free. */
void percpu_fork_child(void);

/* Around vfork, by os/vfork.S: see there. */
void vfork_begin(void);
int vfork_end(long ret);

/* ---- between percpu.c, percpu_region.c and percpu_slot.c ---- */

#define SMALL_SLOTS	16u	/* capacity a sheaf begins with */
#define MEDIUM_SLOTS	64u	/* capacity up to which it shares pages with others */
#define SMALL_BYTES	(SMALL_SLOTS * (uint32_t)sizeof(void *))
#define MEDIUM_BYTES	(MEDIUM_SLOTS * (uint32_t)sizeof(void *))

/* Layout, constant after percpu_init. Each place lies behind the one before, or is the same. */
struct sheaf_places {
	uint32_t small, medium, full;
	uint32_t most;			/* bytes, of kmalloc's */
};
extern struct sheaf_places sheaf_places[NR_SHEAF_CLASSES + 1];
void region_set_layout(void);
struct region *region_create(void);
/* Begin a sheaf of the class unless it has, or have none. Only where nobody uses it. */
void region_open_class(struct region *r, unsigned class);
/*
 * The same where sequences run, and perhaps use the class: without room as yet. A
 * sequence that read a top of 0 and then an end would believe that all before the end
 * is free, the region's head included. So the end is left at 0 until the first miss on
 * that CPU moves it (percpu_grow), by a sequence, which no other one overlaps.
 */
bool region_begin_class(struct region *r, unsigned class);
void region_close_class(struct region *r, unsigned class);
/* Bytes that a sheaf of the class may grow to; of kmalloc's also before its cache is open. */
static inline uint32_t sheaf_limit(unsigned class)
{
	return class <= NR_SIZE_CLASSES ? sheaf_places[class].most :
					  kmem_caches[class].sheaf_max * (uint32_t)sizeof(void *);
}
/* Where a sheaf of @cap bytes lies; what a place that it has just moved to holds. */
static inline uint32_t sheaf_place(unsigned class, uint32_t cap)
{
	const struct sheaf_places *p = &sheaf_places[class];

	return cap <= SMALL_BYTES ? p->small : cap <= MEDIUM_BYTES ? p->medium : p->full;
}
static inline uint32_t sheaf_first_cap(unsigned class, uint32_t begin)
{
	const struct sheaf_places *p = &sheaf_places[class];
	uint32_t cap = begin == p->small ? SMALL_BYTES :
		begin == p->medium ? 2 * SMALL_BYTES : 2 * MEDIUM_BYTES;

	return MIN(cap, sheaf_limit(class));
}

/* One more miss of a sheaf of @cap bytes: is it time for one of twice the room? */
bool region_should_grow(struct region *r, unsigned class, uint32_t cap);

/* See percpu_refill_size() and percpu_slice_size(). */
static inline size_t region_half(const struct region *r, unsigned class)
{
	uint32_t half = (READ_ONCE(r->end[class]) - READ_ONCE(r->sheaf[class].begin)) /
			(2 * (uint32_t)sizeof(void *));

	/* Half of what it may hold: room stays for what is freed next. */
	return CLAMP(half, 1u, kmem_caches[class].batch);
}
size_t region_slice(struct region *r, unsigned class);

void slot_init(void);
/*
 * A thread of the library's own is about to start, or all of them are gone: with them
 * a flag must be set by an atomic instruction, whatever libc says.
 */
void slot_note_threads(bool own);
void *slot_pop(unsigned class, bool quiet);
bool slot_push(unsigned class, void *obj, bool quiet);
size_t slot_push_batch(unsigned class, void *const *objs, size_t n);
size_t slot_pop_batch(unsigned class, void **objs, size_t n);
size_t slot_refill_size(unsigned class);
size_t slot_slice_size(unsigned class);
uint32_t slot_self(void);
bool slot_grow(unsigned class);
void slot_open_all(void);
void slot_open_class(unsigned class);
void slot_close_class(unsigned class);
void slot_drain(void);
size_t slot_count(unsigned class);
void slot_stats(struct percpu_stats *st);
void slot_fork_prepare(void);
void slot_fork_done(void);

#endif
