/* SPDX-License-Identifier: MIT */
/*
 * Out of memory: the Mem-Info.
 *
 * Printed after the manner of the kernel's show_mem(), by write(2) alone. It
 * takes no lock: whoever holds one may be the reason for the failure, and
 * counters that are read while they change are off by a little and no more.
 *
 * Failures come in bursts, as a program tries again or frees and goes on. So
 * each size (by powers of two) is reported once in REPORT_INTERVAL; the next
 * report says how many were left out.
 */
#include "slab/oom.h"

#include "base/bits.h"
#include "base/fmt.h"
#include "os/bug.h"
#include "os/os.h"
#include "page/limit.h"
#include "page/vmalloc.h"
#include "page/zone.h"
#include "slab/slab.h"
#include "tune/tune.h"

#define REPORT_INTERVAL	10000	/* milliseconds */
#define NR_LARGEST	8	/* caches that are listed */

/* By log2 of the size: when it was reported last, 0: never; failures left out. */
static uint64_t reported[64];
static uint32_t left_out;

static unsigned long kib(size_t pages)
{
	return (unsigned long)(pages << PAGE_SHIFT >> 10);
}

static bool may_report(size_t size)
{
	uint64_t *last = &reported[bit_last(size | 1)], then = READ_ONCE(*last);
	uint64_t now = MAX(os_clock(), (uint64_t)1);

	/* Of threads that fail together one reports. */
	if ((!then || now - then >= REPORT_INTERVAL) &&
	    __atomic_compare_exchange_n(last, &then, now, false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED))
		return true;
	__atomic_add_fetch(&left_out, 1, __ATOMIC_RELAXED);
	return false;
}

static void show_zone(const struct zone *z)
{
	char line[400];
	size_t n = 0, pages = 0;

	report("zone %s free:%lukB touched:%lukB present:%lukB tables:%lukB most:%lukB",
	       zone_name(z), kib(READ_ONCE(z->free)), kib(READ_ONCE(z->free_touched)),
	       kib(READ_ONCE(z->present)), kib(READ_ONCE(z->meta)),
	       kib(READ_ONCE(z->max_present)));
	for (unsigned o = 0; o < NR_ORDERS; o++) {
		size_t blocks = READ_ONCE(z->nr_blocks[o]);

		n += fmt_print(line + n, sizeof(line) - n, " %lu*%lukB", (unsigned long)blocks,
			       kib(1ul << o));
		pages += blocks << o;
	}
	report("zone %s:%s = %lukB", zone_name(z), line, kib(pages));
}

/* The cache with the most pages among those with fewer than @below, and the later of equals. */
static const struct kmem_cache *next_largest(size_t below, unsigned after)
{
	const struct kmem_cache *best = NULL;
	size_t most = 0;

	for_each_cache(c) {
		size_t pages = READ_ONCE(c->nr_slabs) << c->order;

		if (pages > below || (pages == below && c->class <= after))
			continue;
		if (pages > most) {
			most = pages;
			best = c;
		}
	}
	return best;
}

static void show_caches(void)
{
	const struct kmem_cache *c;
	size_t below = SIZE_MAX;
	unsigned after = 0;

	report("%-17s %11s %13s", "Name", "Used", "Total");
	for (unsigned n = 0; n < NR_LARGEST && (c = next_largest(below, after)); n++) {
		below = READ_ONCE(c->nr_slabs) << c->order;
		after = c->class;
		report("%-17s %9lukB %11lukB", c->name,
		       (unsigned long)(READ_ONCE(c->nr_inuse) * c->size) >> 10, kib(below));
	}
}

static void show_mem(void)
{
	struct vmalloc_stats v = vmalloc_stats_unlocked();

	report("Mem-Info:");
	if (limit_is_set())
		report("used:%lukB limit:%lukB", (unsigned long)limit_used() >> 10,
		       (unsigned long)tune.limit >> 10);
	else
		report("used:%lukB limit:none", (unsigned long)limit_used() >> 10);
	for (unsigned i = 0; i < NR_ZONES; i++) {
		if (READ_ONCE(zones[i].max_present))
			show_zone(&zones[i]);
	}
	report("vmalloc: %lukB in %lu mappings, most %lukB in %lu", (unsigned long)v.bytes >> 10,
	       (unsigned long)v.count, (unsigned long)v.max_bytes >> 10,
	       (unsigned long)v.max_count);
	show_caches();
}

__cold_path void oom_report(size_t size)
{
	uint64_t what = READ_ONCE(tune.oom);

	/* More than there can be is a mistake in the request, not a lack of memory. */
	if (what == OOM_NULL || size > PTRDIFF_MAX)
		return;
	if (what == OOM_REPORT && !may_report(size))
		return;
	warn("out of memory: %s, pid %d, asked for %lu bytes, order %u", os_program(), os_pid(),
	     (unsigned long)size, log2_ceil(bytes_pages(MAX(size, (size_t)1))));
	show_mem();

	uint32_t missed = __atomic_exchange_n(&left_out, 0, __ATOMIC_RELAXED);

	if (missed)
		report("%u more failures were not reported", missed);
	if (what == OOM_ABORT)
		bug("out of memory: aborting, as oom=abort demands");
}
