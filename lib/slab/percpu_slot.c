/* SPDX-License-Identifier: MIT */
/*
 * Locked slots: the way into a sheaf for threads without a registration.
 *
 * 1. A slot is a region with a busy flag. A thread starts at its CPU's slot, or,
 *    where nobody says which CPU that is, at the one that its thread pointer hashes
 *    to, and takes the next when that is busy; with as many slots as CPUs that
 *    happens only when a holder was preempted or moved.
 *
 * 2. A flag is only ever tried. When all are busy the caller is told "empty"
 *    or "full" and goes to the barn; so a signal handler that interrupts a
 *    holder cannot deadlock here, and no convoy forms behind a preempted one.
 *
 * 3. A process with one thread needs no atomic instruction to set the flag. (Who starts
 *    a second one in a signal handler, in the midst of this, breaks libc's malloc too.)
 *
 * Locking: slot->busy for a region's contents and the counters.
 */
#include <string.h>

#include "base/bits.h"
#include "debug/track.h"
#include "os/bug.h"
#include "os/os.h"
#include "page/hit.h"
#include "slab/percpu_rseq.h"

#define MAX_SLOTS	64u

struct slot {
	uint32_t busy;
	struct region *region;		/* NULL until the slot is first used */
	uint64_t allocs, frees;
} __cacheline;

static struct slot slots[MAX_SLOTS];
static unsigned slot_mask __initdata;		/* number of slots, a power of two, less one */

/*
 * libc's word that there is one thread; 0 until it is asked, where it has none, and while
 * there are threads of ours, of which it does not know.
 */
static const char never;
static const char *single = &never;

/* From the thread pointer to the number of its CPU, where libc has it registered; 0: nowhere. */
static ptrdiff_t cpu_at __nearbss;

static __init void find_cpu_number(void)
{
	ptrdiff_t area;
	bool mm_cid;

	if (os_rseq_area(&area, &mm_cid))
		cpu_at = area + RSEQ_CPU_ID;
}

__init void slot_init(void)
{
	find_cpu_number();
	slot_mask = (1u << CLAMP(log2_ceil(os_cpus()), 2u, bit_last(MAX_SLOTS))) - 1;
	slot_note_threads(false);
}

__near void slot_note_threads(bool own)
{
	const char *flag = own ? NULL : os_single_flag();

	WRITE_ONCE(single, flag ? flag : &never);
}

static inline bool one_thread(void)
{
	return READ_ONCE(*READ_ONCE(single));
}

static inline bool slot_try_shared(struct slot *s)
{
	return !READ_ONCE(s->busy) && !__atomic_exchange_n(&s->busy, 1, __ATOMIC_ACQUIRE);
}

static inline bool slot_try_alone(struct slot *s)
{
	if (READ_ONCE(s->busy))
		return false;
	WRITE_ONCE(s->busy, 1);
	barrier();
	return true;
}

static inline bool slot_try(struct slot *s)
{
	return one_thread() ? slot_try_alone(s) : slot_try_shared(s);
}

static inline void slot_leave(struct slot *s)
{
	store_release(&s->busy, 0);	/* pairs with the exchange in slot_try_shared */
}

/*
 * The slot that this thread tries first where there are others: its CPU's, if the kernel
 * says which that is; a thread that was moved meanwhile finds it busy, or free.
 */
static inline struct slot *slot_of_thread(void)
{
	char *tp = __builtin_thread_pointer();
	int32_t cpu = *(volatile int32_t *)(tp + cpu_at);

	if (likely(cpu_at && cpu >= 0))
		return &slots[(unsigned)cpu & slot_mask];
	return &slots[(unsigned)((uintptr_t)tp * 0x9e3779b97f4a7c15ull >> 58) & slot_mask];
}

/* A process with one thread needs no more than one slot. */
static inline struct slot *slot_home(void)
{
	return one_thread() ? slots : slot_of_thread();
}

uint32_t slot_self(void)
{
	return MAX_CPU_IDS + (uint32_t)(slot_home() - slots);	/* apart from the numbers of CPUs */
}

/* Who may not @create a region passes by slots that have none. */
static __noinline struct slot *slot_search(bool create)
{
	unsigned home = (unsigned)(slot_home() - slots);

	for (unsigned i = 0; i <= slot_mask; i++) {
		struct slot *s = &slots[(home + i) & slot_mask];

		if (unlikely(!slot_try(s)))
			continue;
		if (unlikely(!s->region) && create)
			store_release(&s->region, region_create());
		if (likely(s->region))
			return s;
		slot_leave(s);
		if (create)
			break;
	}
	return NULL;
}

static __force_inline struct slot *slot_enter_how(bool create)
{
	struct slot *s = slots;
	bool entered;

	/* Asked once: the answer may change with any call. */
	if (likely(one_thread())) {
		entered = slot_try_alone(s);
	} else {
		s = slot_of_thread();
		entered = slot_try_shared(s);
	}
	if (likely(entered)) {
		if (likely(s->region))
			return s;
		slot_leave(s);
	}
	return slot_search(create);
}

static inline struct slot *slot_enter(void)
{
	return slot_enter_how(true);
}

void *slot_pop(unsigned class, bool quiet)
{
	struct slot *slot = slot_enter_how(!quiet);
	void *obj = NULL;

	if (unlikely(!slot))
		return NULL;

	struct sheaf *s = &slot->region->sheaf[class];

	uint32_t top = s->top;

	if (likely(top > s->begin)) {
		top -= (uint32_t)sizeof(void *);
		obj = *region_at(slot->region, top);
		WRITE_ONCE(s->top, top);
	}
	WRITE_ONCE(slot->allocs, slot->allocs + 1);
	slot_leave(slot);
	return obj;
}

bool slot_push(unsigned class, void *obj, bool quiet)
{
	struct slot *slot = slot_enter_how(!quiet);
	bool ok;

	if (unlikely(!slot))
		return false;

	struct sheaf *s = &slot->region->sheaf[class];

	uint32_t top = s->top;

	ok = top < slot->region->end[class];
	if (likely(ok)) {
		*region_at(slot->region, top) = obj;
		WRITE_ONCE(s->top, top + (uint32_t)sizeof(void *));
		WRITE_ONCE(slot->frees, slot->frees + 1);
	}
	slot_leave(slot);
	return ok;
}

size_t slot_push_batch(unsigned class, void *const *objs, size_t n)
{
	struct slot *slot = slot_enter();

	if (!slot)
		return 0;

	struct sheaf *s = &slot->region->sheaf[class];
	uint32_t end = slot->region->end[class];
	size_t room = end > s->top ? (end - s->top) / sizeof(void *) : 0;

	room = MIN(room, n);
	memcpy(region_at(slot->region, s->top), objs + n - room, room * sizeof(void *));
	WRITE_ONCE(s->top, s->top + (uint32_t)(room * sizeof(void *)));
	slot_leave(slot);
	return room;
}

size_t slot_pop_batch(unsigned class, void **objs, size_t n)
{
	struct slot *slot = slot_enter();

	if (!slot)
		return 0;

	struct sheaf *s = &slot->region->sheaf[class];

	n = MIN(n, (s->top - s->begin) / sizeof(void *));
	WRITE_ONCE(s->top, s->top - (uint32_t)(n * sizeof(void *)));
	memcpy(objs, region_at(slot->region, s->top), n * sizeof(void *));
	slot_leave(slot);
	return n;
}

size_t slot_refill_size(unsigned class)
{
	struct slot *slot = slot_enter();
	size_t half;

	if (!slot)
		return 1;
	half = region_half(slot->region, class);
	slot_leave(slot);
	return half;
}

size_t slot_slice_size(unsigned class)
{
	struct slot *slot = slot_enter();
	size_t n;

	if (!slot)
		return 1;
	n = region_slice(slot->region, class);
	slot_leave(slot);
	return n;
}

/* To a place further up; the objects move along. */
static void move_sheaf(struct region *r, unsigned class, uint32_t to)
{
	struct sheaf *s = &r->sheaf[class];
	uint32_t used = s->top - s->begin;

	memcpy(region_at(r, to), region_at(r, s->begin), used);
	WRITE_ONCE(s->begin, to);
	WRITE_ONCE(s->top, to + used);
}

bool slot_grow(unsigned class)
{
	struct slot *slot = slot_enter();
	bool grown = false;

	if (!slot)
		return false;

	struct region *r = slot->region;
	uint32_t cap = r->end[class] - r->sheaf[class].begin, max = sheaf_limit(class);

	/* One that is closed stays so. */
	if (r->sheaf[class].begin && cap < max && region_should_grow(r, class, cap)) {
		cap = MIN(2 * cap, max);
		if (r->sheaf[class].begin != sheaf_place(class, cap))
			move_sheaf(r, class, sheaf_place(class, cap));
		r->end[class] = r->sheaf[class].begin + cap;
		grown = true;
	}
	slot_leave(slot);
	return grown;
}

/* Wait for a slot: only where no answer but this one will do. */
static void slot_wait(struct slot *s)
{
	while (!slot_try(s))
		os_yield();
}

void slot_open_all(void)
{
	for (unsigned i = 0; i <= slot_mask; i++) {
		slot_wait(&slots[i]);
		if (!slots[i].region)
			store_release(&slots[i].region, region_create());
		slot_leave(&slots[i]);
	}
}

void slot_open_class(unsigned class)
{
	for (unsigned i = 0; i <= slot_mask; i++) {
		slot_wait(&slots[i]);
		if (slots[i].region)
			region_open_class(slots[i].region, class);
		slot_leave(&slots[i]);
	}
}

/* What is taken is out of the sheaf before the flag drops. */
static size_t slot_take(struct slot *slot, unsigned class, void **objs, size_t n)
{
	struct sheaf *s;

	slot_wait(slot);
	s = &slot->region->sheaf[class];
	n = MIN(n, (s->top - s->begin) / sizeof(void *));
	WRITE_ONCE(s->top, s->top - (uint32_t)(n * sizeof(void *)));
	memcpy(objs, region_at(slot->region, s->top), n * sizeof(void *));
	slot_leave(slot);
	return n;
}

void slot_drain(void)
{
	void *objs[256];
	size_t n;

	for_each_cache_pinned(c) {
		for (unsigned i = 0; i <= slot_mask; i++) {
			if (!load_acquire(&slots[i].region))
				continue;
			while ((n = slot_take(&slots[i], c->class, objs, ARRAY_SIZE(objs)))) {
				slab_free_keep(c, objs, n);
				track_forget(objs, n);
			}
		}
	}
}

void slot_close_class(unsigned class)
{
	void *objs[EXTRA_SLOTS];

	for (unsigned i = 0; i <= slot_mask; i++) {
		size_t n = 0;

		slot_wait(&slots[i]);
		if (slots[i].region) {
			struct sheaf *s = &slots[i].region->sheaf[class];

			n = (s->top - s->begin) / sizeof(void *);
			memcpy(objs, region_at(slots[i].region, s->begin), n * sizeof(void *));
			region_close_class(slots[i].region, class);
		}
		slot_leave(&slots[i]);
		if (n)
			slab_free_keep(&kmem_caches[class], objs, n);
		track_forget(objs, n);
	}
}

size_t slot_count(unsigned class)
{
	size_t n = 0;

	for (unsigned i = 0; i <= slot_mask; i++) {
		struct region *r = load_acquire(&slots[i].region);

		if (r)
			n += (READ_ONCE(r->sheaf[class].top) -
			      READ_ONCE(r->sheaf[class].begin)) / sizeof(void *);
	}
	return n;
}

void slot_stats(struct percpu_stats *st)
{
	for (unsigned i = 0; i <= slot_mask; i++) {
		st->allocs += READ_ONCE(slots[i].allocs);
		st->frees += READ_ONCE(slots[i].frees);
		st->regions += READ_ONCE(slots[i].region) != NULL;
	}
}

void slot_fork_prepare(void)
{
	for (unsigned i = 0; i <= slot_mask; i++)
		slot_wait(&slots[i]);
}

void slot_fork_done(void)
{
	for (unsigned i = 0; i <= slot_mask; i++)
		slot_leave(&slots[i]);
}
