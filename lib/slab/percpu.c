/* SPDX-License-Identifier: MIT */
/*
 * Sheaves per CPU: which way in, the regions, and stopping other CPUs.
 *
 * 1. Modes. With restartable sequences (glibc's registration, or one of our
 *    own where libc has none) each CPU number has a region. A thread without a
 *    registration, an aborted sequence that keeps being aborted, and all
 *    threads while a vfork child is alive use the locked slots. Both ways work
 *    on objects of the same slabs, so a block may go in by one and out by the
 *    other.
 *
 * 2. Regions are created when a number first misses, and stay.
 *
 * 3. Stopping (drain, fork): under regions_lock, put the empty region in every
 *    hit.region[], then fence. Now no sequence is inside a region and none will
 *    enter: the regions are ours. Threads meanwhile see "empty" and "full" and
 *    go to the barn. Then put the regions back.
 *
 *	hit.region[n]	what sequences see; regions_lock to write
 *	stopped[n]	the region of n, from the first stop on; ditto
 *
 * Locking: regions_lock for the tables. Lock order: see os/lock.h.
 */
#include "slab/percpu.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "debug/track.h"
#include "os/os.h"
#include "page/section.h"
#include "slab/gfp.h"
#include "slab/percpu_ops.h"
#include "slab/percpu_rseq.h"
#include "tune/tune.h"

#define TRIES		3	/* of an aborted sequence */

static struct region empty __cacheline;
static struct region *stopped[MAX_CPU_IDS];
static bool all_stopped __initdata, ever_stopped __initdata;

static unsigned nr_numbers __initdata;	/* entries of both tables in use */

static struct lock regions_lock = LOCK_INIT(RANK_PERCPU);

static bool by_rseq __initdata;		/* constant after percpu_init */
static bool by_mm_cid __initdata;	/* ditto: the hit path may be open */
static bool own_area __initdata;	/* ditto: threads register with us */
static uint32_t vfork_depth __initdata;	/* hit_lock: vfork children alive */
static int owner __initdata;		/* pid of the process whose memory this is */

/* May this process use sequences? Sets hit.area and hit.number if so. */
static bool find_rseq(void)
{
#ifdef HAVE_RSEQ
	ptrdiff_t area;
	bool mm_cid;

	if (tune.percpu == PERCPU_LOCKED || (tune.stats != STATS_OFF && tune.percpu == PERCPU_AUTO))
		return false;
	own_area = !os_rseq_area(&area, &mm_cid);
	if (own_area && os_rseq_declined() && tune.percpu != PERCPU_RSEQ)
		return false;
	if (own_area && !os_rseq_own(&area, &mm_cid))
		return false;
	if (!os_cpu_ids() || os_cpu_ids() > MAX_CPU_IDS)
		return false;
	/* Without the fence nobody could ever be stopped. */
	if (os_fence_init())
		return false;
	hit.area = area;
	hit.number = area + (mm_cid ? RSEQ_MM_CID : RSEQ_CPU_ID);
	by_mm_cid = mm_cid;
	return true;
#else
	return false;
#endif
}

__setup void percpu_init(void)
{
	owner = os_pid();
	slot_init();
	for (size_t n = 0; n <= HIT_SIZES; n++)
		hit.class[n] = (uint8_t)size_class(n);
	by_rseq = find_rseq();
	region_set_layout();
	if (by_rseq) {
		nr_numbers = os_cpu_ids();
		for (unsigned i = 0; i < nr_numbers; i++)
			hit.region[i] = &empty;
		/* What the hit paths find must be there for all who see them open. */
		if (!os_single_threaded())
			os_fence(-1);
	}
	percpu_update_hit();
}

/* With hit_lock held, or alone. */
static __setup void update_hit(void)
{
	bool calm = !tune.perturb && !READ_ONCE(fault_armed);
	bool quick = calm && by_mm_cid && !READ_ONCE(vfork_depth);
	bool open = quick && !track_on;
	bool plain = calm && !track_any;
	/* What mmap_threshold wants mapped must not hit. */
	uint64_t threshold = READ_ONCE(tune.mmap_threshold);

	WRITE_ONCE(hit.free_limit, open ? MIN((uint64_t)HIT_SIZES + 1, threshold) : 0);
	WRITE_ONCE(hit.size_limit, track_sampling ? 0 : hit.free_limit);
	WRITE_ONCE(hit.plain_limit, plain ? MIN((uint64_t)SIZE_MAX_SLAB + 1, threshold) : 0);
	WRITE_ONCE(hit.medium_limit, open ? hit.plain_limit : 0);
	WRITE_ONCE(hit.gfp_limit, open ? GFP_HIT + 1 : 0);
	WRITE_ONCE(hit.sample_limit,
		   track_sampling && open && threshold > SIZE_MAX_SLAB ? HIT_SIZES + 1 : 0);
	WRITE_ONCE(hit.tracking, track_on && quick && threshold > SIZE_MAX_SLAB);
	window_close(!open);
}

void percpu_update_hit(void)
{
	lock_acquire(&hit_lock);
	update_hit();
	lock_release(&hit_lock);
}

/* May the caller try a sequence? (Its own registration is tested inside.) */
static inline bool may_rseq(void)
{
	return by_rseq && likely(!READ_ONCE(vfork_depth));
}

/* The number this thread has now; only good as a hint. -1: none. */
static __force_inline long number_hint(void)
{
	char *tp = __builtin_thread_pointer();
	uint32_t n;

	if (*(volatile int32_t *)(tp + hit.area + RSEQ_CPU_ID) < 0)
		return -1;
	n = *(volatile uint32_t *)(tp + hit.number);
	return n < nr_numbers ? (long)n : -1;
}

/*
 * Where libc does not register threads, each registers itself on its first way
 * into the slow path. True: it has just done so.
 */
static __cold_path bool join(void)
{
	return own_area && number_hint() == -1 && os_rseq_join();
}

/* The region of a number, whether it is stopped or not; NULL: none yet. */
static struct region *region_of(unsigned n)
{
	struct region *r = load_acquire(&hit.region[n]);	/* pairs with stop_all, start_all */

	if (r != &empty)
		return r;
	return READ_ONCE(ever_stopped) ? READ_ONCE(stopped[n]) : NULL;
}

/* A number that has missed has no region yet: give it one. */
static __setup __noinline bool open_region(long n)
{
	struct region *r = NULL;

	lock_acquire(&regions_lock);
	if (!region_of((unsigned)n))
		r = region_create();
	/* Whoever sees the pointer must see what it points to. */
	if (r)
		store_release(&hit.region[n], r);
	lock_release(&regions_lock);
	return r;
}

void percpu_open_all(void)
{
	slot_open_all();
	for (unsigned n = 0; n < MIN(nr_numbers, os_cpus()); n++)
		open_region(n);
}

/* Registering is a system call, which a quiet caller does without. */
#define RETRY(op, done, miss, quiet) \
	do { \
		for (int try_ = 0; try_ < TRIES; try_++) { \
			enum rseq_result r_ = (op); \
			if (likely(r_ == RSEQ_DONE)) \
				return (done); \
			if (r_ == RSEQ_MISS) \
				return (miss); \
			if (!try_ && !(quiet)) \
				join(); \
		} \
	} while (0)

static __noinline void *pop_by_rseq(unsigned class, bool quiet)
{
	void *obj = NULL;

	RETRY(rseq_pop(class, &obj), obj, NULL, quiet);
	return slot_pop(class, quiet);
}

static __noinline bool push_by_rseq(unsigned class, void *obj, bool quiet)
{
	RETRY(rseq_push(class, obj), true, false, quiet);
	return slot_push(class, obj, quiet);
}

void *percpu_pop_how(unsigned class, bool quiet)
{
	return may_rseq() ? pop_by_rseq(class, quiet) : slot_pop(class, quiet);
}

bool percpu_push_how(unsigned class, void *obj, bool quiet)
{
	return may_rseq() ? push_by_rseq(class, obj, quiet) : slot_push(class, obj, quiet);
}

size_t percpu_push_batch(unsigned class, void *const *objs, size_t n)
{
	size_t bytes = n * sizeof(void *);

	if (!n)
		return 0;
	if (may_rseq())
		RETRY(rseq_push_batch(class, objs + n, &bytes), bytes / sizeof(void *), 0, false);
	return slot_push_batch(class, objs, n);
}

size_t percpu_pop_batch(unsigned class, void **objs, size_t n)
{
	size_t bytes = n * sizeof(void *);

	if (may_rseq())
		RETRY(rseq_pop_batch(class, objs, &bytes), bytes / sizeof(void *), 0, false);
	return slot_pop_batch(class, objs, n);
}

uint32_t percpu_self(void)
{
	long n = may_rseq() ? number_hint() : -1;

	return n >= 0 ? (uint32_t)n : slot_self();
}

size_t percpu_refill_size(unsigned class)
{
	long n = may_rseq() ? number_hint() : -1;

	return n >= 0 ? region_half(READ_ONCE(hit.region[n]), class) : slot_refill_size(class);
}

size_t percpu_slice_size(unsigned class)
{
	long n = may_rseq() ? number_hint() : -1;

	return n >= 0 ? region_slice(READ_ONCE(hit.region[n]), class) : slot_slice_size(class);
}

/* To a place further up, by way of the caller's stack. */
static __setup void move_region_sheaf(unsigned class, uint32_t from, uint32_t to)
{
	void *objs[MEDIUM_SLOTS];
	size_t n = percpu_pop_batch(class, objs, MEDIUM_SLOTS), kept;

	if (rseq_move(class, from, to) == RSEQ_DONE)
		rseq_set_end(class, to, to + sheaf_first_cap(class, to));
	kept = percpu_push_batch(class, objs, n);
	if (kept < n)
		slab_free_keep(&kmem_caches[class], objs, n - kept);
	track_forget(objs, n);
}

__setup bool percpu_grow(unsigned class)
{
	long n = may_rseq() ? number_hint() : -1;
	uint32_t begin, cap, to, max = sheaf_limit(class);
	struct region *r;

	if (n < 0)
		return slot_grow(class);
	r = READ_ONCE(hit.region[n]);
	/* Who has stopped it holds the lock, and may be who was interrupted. */
	if (r == &empty)
		return !READ_ONCE(all_stopped) && open_region(n);
	begin = READ_ONCE(r->sheaf[class].begin);
	/* Closed: only who closed it opens it, by a store that no sequence may overlap. */
	if (!begin)
		return false;
	/* It has begun there, or who moved it was interrupted between the two steps. */
	if (READ_ONCE(r->end[class]) < begin)
		return rseq_set_end(class, begin, begin + sheaf_first_cap(class, begin)) == RSEQ_DONE;
	cap = READ_ONCE(r->end[class]) - begin;
	if (cap >= max || !region_should_grow(r, class, cap))
		return false;
	cap = MIN(2 * cap, max);
	to = sheaf_place(class, cap);
	if (begin == to)
		return rseq_set_end(class, begin, begin + cap) == RSEQ_DONE;
	move_region_sheaf(class, begin, to);
	return true;
}

/* With regions_lock held: no sequence is inside a region from here on. */
static bool stop_all(void)
{
	int err;

	WRITE_ONCE(ever_stopped, true);
	WRITE_ONCE(all_stopped, true);
	for (unsigned i = 0; i < nr_numbers; i++) {
		if (hit.region[i] == &empty)
			continue;
		WRITE_ONCE(stopped[i], hit.region[i]);
		store_release(&hit.region[i], &empty);
	}
	err = os_fence(-1);
	/* A fork child may have lost the announcement. */
	if (err && !os_fence_init())
		err = os_fence(-1);
	return !err;
}

static void start_all(void)
{
	for (unsigned i = 0; i < nr_numbers; i++) {
		if (stopped[i])
			store_release(&hit.region[i], stopped[i]);
	}
	WRITE_ONCE(all_stopped, false);
}

/* The region is stopped. */
static void drain_sheaf(struct region *r, struct kmem_cache *c)
{
	struct sheaf *s = &r->sheaf[c->class];
	size_t n = (s->top - s->begin) / sizeof(void *);

	s->top = s->begin;
	if (n)
		slab_free_keep(c, region_at(r, s->begin), n);
}

static void drain_region(struct region *r)
{
	for_each_cache(c)
		drain_sheaf(r, c);
}

__far void percpu_open_class(unsigned class)
{
	slot_open_class(class);
	lock_acquire(&regions_lock);
	for (unsigned i = 0; i < nr_numbers; i++) {
		if (region_of(i))
			region_begin_class(region_of(i), class);
	}
	lock_release(&regions_lock);
}

__far void percpu_close_class(unsigned class)
{
	slot_close_class(class);
	if (!by_rseq)
		return;
	lock_acquire(&regions_lock);
	/* What cannot be stopped keeps its objects, and with them the cache. */
	if (stop_all()) {
		for (unsigned i = 0; i < nr_numbers; i++) {
			if (region_of(i)) {
				drain_sheaf(region_of(i), &kmem_caches[class]);
				region_close_class(region_of(i), class);
			}
		}
	}
	start_all();
	lock_release(&regions_lock);
}

__far void percpu_drain(void)
{
	slot_drain();
	if (!by_rseq)
		return;
	lock_acquire(&regions_lock);
	if (stop_all()) {
		for (unsigned i = 0; i < nr_numbers; i++) {
			if (region_of(i))
				drain_region(region_of(i));
		}
	}
	start_all();
	lock_release(&regions_lock);
}

size_t percpu_count(unsigned class)
{
	size_t n = slot_count(class);

	for (unsigned i = 0; i < nr_numbers; i++) {
		struct region *r = region_of(i);

		if (r)
			n += (READ_ONCE(r->sheaf[class].top) -
			      READ_ONCE(r->sheaf[class].begin)) / sizeof(void *);
	}
	return n;
}

struct percpu_stats percpu_stats(void)
{
	struct percpu_stats st = { .rseq = by_rseq };

	slot_stats(&st);
	for (unsigned i = 0; i < nr_numbers; i++)
		st.regions += region_of(i) != NULL;
	return st;
}

static bool stopped_for_fork;

void percpu_fork_child(void)
{
	int self = os_pid();

	/*
	 * vfork children of other threads were left behind. But one that forks has
	 * no registration to pass on: its pid never was the owner's.
	 */
	if (READ_ONCE(vfork_depth) && os_parent_pid() != owner)
		return;
	owner = self;
	if (!READ_ONCE(vfork_depth))
		return;
	lock_acquire(&hit_lock);
	WRITE_ONCE(vfork_depth, 0);
	update_hit();
	lock_release(&hit_lock);
}

void percpu_fork_prepare(void)
{
	slot_fork_prepare();
	lock_acquire_for_fork(&regions_lock);
	/* Memory is copied page by page: nobody may move objects meanwhile. */
	stopped_for_fork = by_rseq && stop_all();
}

void percpu_fork_done(bool child)
{
	/* What could not be stopped cannot be trusted in the copy: leave it. */
	if (child && by_rseq && !stopped_for_fork)
		memset(stopped, 0, nr_numbers * sizeof(stopped[0]));
	start_all();
	lock_after_fork(&regions_lock, child);
	slot_fork_done();
}

/*
 * A vfork child runs on its parent's memory and registration, which the kernel
 * has dropped for it. Until it is gone, nobody uses sequences; the locked slots
 * are right for the child and for everybody else.
 */
static void vfork_count(int by)
{
	lock_acquire(&hit_lock);
	WRITE_ONCE(vfork_depth, vfork_depth + (uint32_t)by);
	update_hit();
	lock_release(&hit_lock);
}

void vfork_begin(void)
{
	vfork_count(1);
}

int vfork_end(long ret)
{
	vfork_count(-1);
	if (ret < 0) {
		errno = (int)-ret;
		return -1;
	}
	return (int)ret;
}
