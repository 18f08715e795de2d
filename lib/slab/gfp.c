/* SPDX-License-Identifier: MIT */
/*
 * Requests with flags.
 *
 *	1 an attempt, as far as the flags go
 *	2 who may not wait: that was all, the reserve included
 *	3 rounds of freeing memory (pressure.c), an attempt after each
 *	4 who may use the reserve: an attempt with it
 *	5 NOFAIL: the program is asked what to do, and 3 again, for ever
 *	6 a line that says so, ENOMEM
 *
 * Locking: none; the nofail callback and its datum are two words, set together
 * under no lock but read in the order that makes a pair of them.
 */
#include "slab/gfp.h"

#include <errno.h>
#include <string.h>

#include "base/fmt.h"
#include "os/bug.h"
#include "os/foreign.h"
#include "os/os.h"
#include "page/page.h"
#include "page/task.h"
#include "slab/budget.h"
#include "slab/kmalloc.h"
#include "slab/mirror.h"
#include "slab/percpu.h"
#include "slab/pressure.h"
#include "slab/slab.h"
#include "slab/tracked.h"

#define ROUNDS_MAX	16	/* without NOFAIL */
#define IDLE_MAX	4	/* of these, rounds in a row that RETRY_MAYFAIL may gain nothing */
#define REST_US		1000u	/* until memory may have been freed */
#define REST_MAX_US	100000u
#define STALL_ROUNDS	1000
#define WARNINGS_MAX	10	/* then only every power of two */

static stele_nofail_fn nofail_fn;
static void *nofail_data;
static uint64_t failures;

unsigned gfp_how(stele_gfp_t gfp)
{
	unsigned how = 0;

	if (gfp & STELE_GFP_DIRECT_RECLAIM)
		how |= ALLOC_NORMAL;
	if (gfp & STELE_GFP_NOMEMALLOC)
		return how;
	if (gfp & STELE_GFP_HIGH)
		how |= how & ALLOC_WAIT ? ALLOC_HIGH : ALLOC_HARDER;
	if (gfp & STELE_GFP_MEMALLOC)
		how |= ALLOC_RESERVE;
	return how;
}

void gfp_set_nofail(stele_nofail_fn fn, void *data)
{
	store_release(&nofail_fn, NULL);
	WRITE_ONCE(nofail_data, data);
	store_release(&nofail_fn, fn);		/* pairs with ask_nofail() */
}

/* The flags by name, the largest combination first. */
static void print_flags(char *buf, size_t size, stele_gfp_t gfp)
{
	static const struct {
		stele_gfp_t bits;
		const char *name;
	} names[] = {
		{ STELE_GFP_KERNEL, "GFP_KERNEL" }, { STELE_GFP_NOFS, "GFP_NOFS" },
		{ STELE_GFP_NOIO, "GFP_NOIO" }, { STELE_GFP_ATOMIC, "GFP_ATOMIC" },
		{ STELE_GFP_NOWAIT, "GFP_NOWAIT" },
		{ STELE_GFP_DIRECT_RECLAIM, "__GFP_DIRECT_RECLAIM" },
		{ STELE_GFP_KSWAPD_RECLAIM, "__GFP_KSWAPD_RECLAIM" },
		{ STELE_GFP_IO, "__GFP_IO" }, { STELE_GFP_FS, "__GFP_FS" },
		{ STELE_GFP_HIGH, "__GFP_HIGH" }, { STELE_GFP_MEMALLOC, "__GFP_MEMALLOC" },
		{ STELE_GFP_NOMEMALLOC, "__GFP_NOMEMALLOC" },
		{ STELE_GFP_NORETRY, "__GFP_NORETRY" },
		{ STELE_GFP_RETRY_MAYFAIL, "__GFP_RETRY_MAYFAIL" },
		{ STELE_GFP_NOFAIL, "__GFP_NOFAIL" }, { STELE_GFP_ZERO, "__GFP_ZERO" },
		{ STELE_GFP_NOWARN, "__GFP_NOWARN" }, { STELE_GFP_COLD, "__GFP_COLD" },
		{ STELE_GFP_ACCOUNT, "__GFP_ACCOUNT" },
		{ STELE_GFP_DMA, "GFP_DMA" }, { STELE_GFP_DMA32, "GFP_DMA32" },
	};
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if ((gfp & names[i].bits) != names[i].bits)
			continue;
		n += fmt_print(buf + n, size - n, n ? "|%s" : "%s", names[i].name);
		gfp &= ~names[i].bits;
	}
}

__cold_path void *gfp_invalid(const struct request *r, const char *what)
{
	warn("%s: %s%s%s, called from %pS", r->call, what, r->cache ? ", cache " : "",
	     r->cache ? r->cache->name : "", r->caller);
	errno = EINVAL;
	return NULL;
}

/* An object that the program's own init() refused: its error, and no reclaim helps. */
static bool was_refused(const struct request *r)
{
	return r->cache && current_task.make_error;
}

static __cold_path void *fail(const struct request *r, stele_gfp_t gfp)
{
	uint64_t n = __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
	const stele_gfp_t writes = STELE_GFP_DIRECT_RECLAIM | STELE_GFP_IO;
	char flags[160];

	if (was_refused(r)) {
		errno = current_task.make_error;
		return NULL;
	}
	if (!(gfp & STELE_GFP_NOWARN) && (gfp & writes) == writes &&
	    (n <= WARNINGS_MAX || !(n & (n - 1)))) {
		print_flags(flags, sizeof(flags), gfp);
		warn("%s: allocation failure: %lu bytes%s%s, mode:%x(%s), called from %pS",
		     r->call, (unsigned long)r->size, r->cache ? ", cache " : "",
		     r->cache ? r->cache->name : "", gfp, flags, r->caller);
	}
	errno = ENOMEM;
	return NULL;
}

__cold_path bool slab_fails(size_t size, bool wait)
{
	if (!fault_decide(STELE_FAILSLAB, size))
		return false;
	/* The only one to fail has: malloc may hit again. */
	if (wait && !READ_ONCE(fault_armed))
		percpu_update_hit();
	return true;
}

static void *attempt(const struct request *r, stele_gfp_t gfp, unsigned how)
{
	void *p;

	current_task.make_error = 0;
	if (r->ops)
		return r->ops->attempt(r, gfp, how);
	if (r->cache && gfp & STELE_GFP_COLD)
		return slab_alloc(r->cache, &p, 1, how) ? p : NULL;
	if (r->cache)
		return class_try(r->cache->class, how);
	if (gfp & STELE_GFP_COLD)
		return kmalloc_try_cold(r->size, r->align, gfp & STELE_GFP_ZERO, how);
	return kmalloc_try(r->size, r->align, gfp & STELE_GFP_ZERO, how);
}

static void ask_nofail(const struct request *r, stele_gfp_t gfp, unsigned long round)
{
	stele_nofail_fn fn = load_acquire(&nofail_fn);

	if (fn) {
		if (fn(r->size, gfp, round, READ_ONCE(nofail_data)) == STELE_NOFAIL_RETRY)
			return;
		bug("%s: no memory for %lu bytes that must not fail, called from %pS", r->call,
		    (unsigned long)r->size, r->caller);
	}
	if (round % STALL_ROUNDS == 0)
		warn("%s: %lu bytes that must not fail: no memory for %lu rounds, called from %pS",
		     r->call, (unsigned long)r->size, round, r->caller);
	os_nap(round > REST_MAX_US / REST_US ? REST_MAX_US : (unsigned)round * REST_US);
}

/* Rounds of freeing, an attempt after each; NULL: as many as the flags want failed. */
static void *rounds(const struct request *r, stele_gfp_t gfp)
{
	unsigned how = gfp_how(gfp & ~(STELE_GFP_HIGH | STELE_GFP_MEMALLOC)), idle = 0;

	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		void *p;

		if (!pressure_relieve(gfp, round)) {
			if (!(gfp & STELE_GFP_RETRY_MAYFAIL) || ++idle > IDLE_MAX)
				break;
			/* Others may free something meanwhile. */
			os_nap(REST_US);
		}
		p = attempt(r, gfp, how);
		if (p || was_refused(r))
			return p;
	}
	return NULL;
}

static bool is_possible(const struct request *r)
{
	return r->size <= PTRDIFF_MAX - PAGE_SIZE;
}

static __cold_path void *reclaim_and_retry(const struct request *r, stele_gfp_t gfp)
{
	void *p = NULL;

	for (unsigned long round = 1; is_possible(r); round++) {
		p = rounds(r, gfp);
		if (!p)
			p = attempt(r, gfp, gfp_how(gfp));
		if (p || !(gfp & STELE_GFP_NOFAIL))
			break;
		ask_nofail(r, gfp, round);
	}
	return p ? p : fail(r, gfp);
}

static void *alloc_unrecorded(const struct request *r, stele_gfp_t gfp)
{
	void *p;

	if (unlikely(gfp & ~STELE_GFP_ALL))
		return gfp_invalid(r, "unknown flags");
	if (unlikely(gfp & (STELE_GFP_DMA | STELE_GFP_DMA32)) && !(r->ops && r->ops->low))
		return gfp_invalid(r, "only pages are to be had below 4 GiB");
	if (unlikely(gfp & STELE_GFP_NOFAIL && !(gfp & STELE_GFP_DIRECT_RECLAIM)))
		return gfp_invalid(r, "__GFP_NOFAIL by who may not wait");
	/* libc knows no flags but one, and neither pages nor areas: those are ours as ever. */
	if (unlikely(foreign_all)) {
		if (!r->ops)
			return foreign_alloc(r->size, r->align, gfp & STELE_GFP_ZERO);
		p = attempt(r, gfp, gfp_how(gfp));
		return p ? p : fail(r, gfp);
	}
	gfp = gfp_in_scope(gfp);
	if (!(gfp & STELE_GFP_NOFAIL) && !r->ops &&
	    slab_should_fail(r->size, gfp & STELE_GFP_DIRECT_RECLAIM))
		return fail(r, gfp);
	if (!(gfp & STELE_GFP_DIRECT_RECLAIM)) {
		p = attempt(r, gfp, gfp_how(gfp));
		return likely(p) ? p : fail(r, gfp);
	}
	p = is_possible(r) ? attempt(r, gfp, ALLOC_NORMAL) : NULL;
	if (likely(p))
		return p;
	if (was_refused(r) && !(gfp & STELE_GFP_NOFAIL))
		return fail(r, gfp);
	return reclaim_and_retry(r, gfp);
}

/*
 * profile=: a block that stands for others lies where its record is. Who may not wait is
 * not sampled, as the first look at a stack may take locks; objects have their own caches.
 */
static bool is_sample(const struct request *r, stele_gfp_t gfp)
{
	return !r->cache && !r->ops && gfp & STELE_GFP_DIRECT_RECLAIM && !foreign_all &&
	       sample_due(r->size);
}

static __noinline void *alloc_sample(const struct request *asked, stele_gfp_t gfp)
{
	struct request r = *asked;
	void *p;

	r.cache = mirror_for(r.size, r.align);
	p = alloc_unrecorded(&r, r.cache ? gfp & ~STELE_GFP_ZERO : gfp);
	if (!p)
		return NULL;
	if (r.cache && gfp & STELE_GFP_ZERO)
		memset(p, 0, r.size);
	tracked_sample(p, r.size);
	return p;
}

void *gfp_alloc_plain(const struct request *r, stele_gfp_t gfp)
{
	void *p;

	if (unlikely(track_sampling) && is_sample(r, gfp))
		return alloc_sample(r, gfp);
	p = alloc_unrecorded(r, gfp);
	/* A block of kmalloc's: malloc's way is not the only one to them. */
	if (unlikely(track_on) && p && !r->cache && !r->ops)
		tracked_record(p, r->size, gfp & STELE_GFP_DIRECT_RECLAIM);
	return p;
}

void *gfp_alloc(const struct request *r, stele_gfp_t gfp)
{
	if (unlikely(gfp & STELE_GFP_ACCOUNT) && current_task.budget)
		return budget_alloc(r, gfp);
	return gfp_alloc_plain(r, gfp);
}
