/* SPDX-License-Identifier: MIT */
/*
 * What bounds the heap and gives it back: lib/page/limit.c, thp.c and reclaim.c, slab_purge.c and
 * the report of oom.c.
 */
#include "common.h"

#include "page/limit.h"
#include "page/reclaim.h"
#include "page/reserve.h"
#include "page/thp.h"
#include "page/vmalloc.h"
#include "page/zone.h"
#include "slab/kmalloc.h"
#include "slab/oom.h"
#include "slab/slab.h"
#include "tune/tune.h"

#define MIB (1ul << 20)
#define MANY 20000

static void *blocks[MANY];

static void set(enum tune_id id, uint64_t value)
{
	ck_assert(tune_set(id, value, TUNE_CONF));
}

/* What is charged is what there is. */
static void charged(void)
{
	must_eq(limit_used(), ((zones[ZONE_BRK].present + zones[ZONE_MMAP].present) << PAGE_SHIFT) +
			      vmalloc_stats().bytes);
}

START_TEST(charge)
{
	set(TUNE_ID_limit, 10000);
	ck_assert(limit_charge(6000));
	ck_assert(!limit_charge(4001));
	ck_assert(limit_charge(4000));
	ck_assert(!limit_charge(1));
	ck_assert(limit_charge(0));
	ck_assert(!limit_charge(SIZE_MAX));
	limit_uncharge(10000);
	ck_assert_uint_eq(limit_used(), 0);
	/* a limit that is lowered lets nothing more in */
	ck_assert(limit_charge(8000));
	set(TUNE_ID_limit, 5000);
	ck_assert(!limit_charge(1));
}
END_TEST

/* Growth of both zones and of mappings, failures of each included, leave the sum right. */
START_TEST(charges_hold)
{
	struct rng r = { 5 };

	unit_boot();
	set(TUNE_ID_limit, 48 * MIB);
	for (unsigned round = 0; round < 20000; round++) {
		size_t i = rng_below(&r, 300);

		if (round % 7 == 0)
			fake_fail((enum fake_call)rng_below(&r, FAKE_PURGE), 0, 1, ENOMEM);
		if (blocks[i] && round % 3)
			blocks[i] = krealloc(blocks[i], rng_size(&r, 2 * MIB)) ?: blocks[i];
		kfree(blocks[i]);
		blocks[i] = kmalloc(rng_size(&r, 2 * MIB));
		must(limit_used() <= 48 * MIB);
		charged();
	}
	for (size_t i = 0; i < 300; i++)
		kfree(blocks[i]);
}
END_TEST

START_TEST(limit_fails_late)
{
	size_t n = 0;
	void *big;

	unit_boot();
	set(TUNE_ID_limit, 32 * MIB);
	while (n < MANY && (blocks[n] = kmalloc(3000)))
		n++;
	ck_assert_uint_gt(n, 28 * MIB / 3072);
	ck_assert_uint_lt(n, 32 * MIB / 3072);
	charged();
	while (n)
		kfree(blocks[--n]);
	/* not in one piece before the heap was trimmed for it */
	big = kmalloc(28 * MIB);
	ck_assert_ptr_nonnull(big);
	charged();
	ck_assert_ptr_null(kmalloc(8 * MIB));
	kfree(big);
	charged();
}
END_TEST

static unsigned advised(bool huge)
{
	return fake.calls[huge ? FAKE_ADVISE_HUGE : FAKE_ADVISE_SMALL];
}

START_TEST(thp_system)
{
	unit_boot();
	for (size_t i = 0; i < 50; i++)
		kfree(kmalloc(i * 100000));
	ck_assert_uint_eq(advised(true) + advised(false), 0);
}
END_TEST

START_TEST(thp_all)
{
	unit_boot();
	set(TUNE_ID_thp, THP_ALWAYS);
	blocks[0] = kmalloc(10 * MIB);
	ck_assert(IS_ALIGNED((uintptr_t)blocks[0], HUGE_SIZE));
	/* the heap grew for the table of mappings */
	ck_assert_uint_eq(advised(true), 2);
	set(TUNE_ID_mmap_max, 0);
	blocks[1] = kmalloc(10 * MIB);
	ck_assert(IS_ALIGNED(fake.brk, HUGE_SIZE));
	ck_assert_uint_eq(advised(true), 3);
	ck_assert(IS_ALIGNED(fake.last[FAKE_ADVISE_HUGE].addr, HUGE_SIZE));
	kfree(blocks[1]);
	reclaim_all(0);
	ck_assert(IS_ALIGNED(fake.brk, HUGE_SIZE));
	zones_hold();
	/* a break that can hardly move is used to its end */
	fake_fail(FAKE_BRK_GROW, 0, 1, ENOMEM);
	ck_assert_ptr_nonnull(kmalloc(3 * MIB));
}
END_TEST

START_TEST(thp_none)
{
	unit_boot();
	set(TUNE_ID_thp, THP_NEVER);
	/* hugetlb=1 is the same wish as thp=always, and less explicit */
	set(TUNE_ID_hugetlb, 1);
	blocks[0] = kmalloc(10 * MIB);
	blocks[1] = kmalloc(1000);
	ck_assert_uint_eq(advised(true), 0);
	ck_assert_uint_eq(advised(false), 2);
}
END_TEST

/* A purge of parts of a region holds it, once; the zone counts in how many pieces. */
START_TEST(thp_holds)
{
	struct page *page;
	char *p;

	unit_boot();
	set(TUNE_ID_mmap_max, 0);
	p = page_alloc(8 * HUGE_PAGES, HUGE_PAGES, &page);
	ck_assert_ptr_nonnull(p);
	memset(p, 1, 8 * HUGE_SIZE);
	/* every second region, in two parts of it */
	for (size_t i = 0; i < 8; i += 2) {
		page_free(p + i * HUGE_SIZE + MIB, 16, 16);
		page_free(p + i * HUGE_SIZE + MIB / 2, 16, 16);
	}
	reclaim_all(0);
	ck_assert_uint_eq(advised(false), 4);
	ck_assert_uint_eq(fake.last[FAKE_ADVISE_SMALL].len, HUGE_SIZE);
	ck_assert_int_eq(zones[ZONE_BRK].held_runs, 4);
	/* the next ones join them */
	page_free(p + HUGE_SIZE, 16, 16);
	page_free(p + 3 * HUGE_SIZE, 16, 16);
	reclaim_all(0);
	ck_assert_uint_eq(advised(false), 6);
	ck_assert_int_eq(zones[ZONE_BRK].held_runs, 2);
	/* whole regions are not held, nor is one that was dropped with the break */
	page_free(p + 7 * HUGE_SIZE, HUGE_PAGES, HUGE_PAGES);
	reclaim_all(0);
	ck_assert_uint_eq(advised(false), 6);
	zones_hold();
}
END_TEST

START_TEST(pool)
{
	struct vmalloc_stats st;
	char *p, *q;

	unit_boot();
	set(TUNE_ID_hugetlb, 2);
	fake.pool = 8 * MIB;
	p = kmalloc(3 * MIB);
	ck_assert_uint_eq(fake.calls[FAKE_MAP_HUGE], 1);
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 0);
	ck_assert_uint_eq(ksize(p), 4 * MIB);
	charged();
	/* too small for it, and then too much */
	q = kmalloc(MIB);
	ck_assert_uint_eq(fake.calls[FAKE_MAP_HUGE], 1);
	kfree(q);
	q = kmalloc(6 * MIB);
	ck_assert_uint_eq(fake.calls[FAKE_MAP_HUGE], 2);
	ck_assert_uint_eq(ksize(q), 6 * MIB);
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 2);
	kfree(q);
	/* it moves as a copy, and shrinks in place */
	pattern_fill(p, 3 * MIB, 7);
	p = krealloc(p, 9 * MIB);
	ck_assert_ptr_nonnull(p);
	ck_assert(pattern_holds(p, 3 * MIB, 7));
	ck_assert_uint_eq(fake.calls[FAKE_REMAP], 0);
	kfree(p);
	st = vmalloc_stats();
	ck_assert_uint_eq(st.count, 0);
	ck_assert_uint_eq(st.bytes, 0);
	charged();
}
END_TEST

/* Half of what lay free in each round, then nothing but what is to stay. */
START_TEST(idle)
{
	struct page *page;
	uint32_t awake = 1;
	size_t was, now;
	char *p;

	unit_boot();
	p = page_alloc(128 * MIB >> PAGE_SHIFT, 1, &page);
	memset(p, 1, 100 * MIB);
	page_free(p, 48 * MIB >> PAGE_SHIFT, 48 * MIB >> PAGE_SHIFT);
	ck_assert(!reclaim_sleep(MIB, false, &awake));
	/* free since just now: not idle before the second look */
	ck_assert(reclaim_idle(MIB));
	was = zones[ZONE_BRK].free_touched;
	ck_assert_uint_ge(was, 48 * MIB >> PAGE_SHIFT);
	while (zones[ZONE_BRK].free_touched > MIB >> PAGE_SHIFT) {
		now = zones[ZONE_BRK].free_touched;
		ck_assert(reclaim_idle(MIB));
		ck_assert_uint_lt(zones[ZONE_BRK].free_touched, now);
		ck_assert_uint_ge(zones[ZONE_BRK].free_touched, now / 2 < was / 3 ? 0 : now / 2);
	}
	ck_assert(reclaim_sleep(MIB, false, &awake));
	ck_assert_uint_eq(awake, 0);
	ck_assert_uint_eq(kswapd_mark, MIB >> PAGE_SHIFT);
	zones_hold();
}
END_TEST

/* What is taken and freed between two looks is in use. */
START_TEST(not_idle)
{
	struct page *page;
	char *p;
	unsigned calls;

	unit_boot();
	for (unsigned round = 0; round < 10; round++) {
		p = page_alloc(32 * MIB >> PAGE_SHIFT, 1, &page);
		memset(p, 1, 32 * MIB);
		page_free(p, 32 * MIB >> PAGE_SHIFT, 32 * MIB >> PAGE_SHIFT);
		calls = fake.calls[FAKE_PURGE];
		ck_assert(reclaim_idle(0));
		ck_assert_uint_eq(fake.calls[FAKE_PURGE], calls);
	}
}
END_TEST

/* Locked memory: nothing goes back, and kswapd waits for twice as much. */
START_TEST(refused)
{
	struct page *page;
	uint32_t awake = 1;
	size_t most;
	char *p;

	unit_boot();
	p = page_alloc(32 * MIB >> PAGE_SHIFT, 1, &page);
	page_free(p, 32 * MIB >> PAGE_SHIFT, 32 * MIB >> PAGE_SHIFT);
	reclaim_idle(0);
	fake_fail(FAKE_PURGE, 0, FAKE_ALWAYS, EINVAL);
	ck_assert(!reclaim_idle(0));
	most = zones[ZONE_BRK].free_touched;
	ck_assert_uint_ge(most, 32 * MIB >> PAGE_SHIFT);
	ck_assert(reclaim_sleep(0, true, &awake));
	ck_assert_uint_eq(kswapd_mark, 2 * most);
	zones_hold();
}
END_TEST

/* -1 and 0 forbid it. */
START_TEST(forbidden)
{
	unit_boot();
	ck_assert(reclaim_allowed());
	ck_assert_int_eq(tune_mallopt(-1, -1), 1);
	ck_assert(!reclaim_allowed());
	ck_assert_int_eq(tune_mallopt(-1, 1 << 20), 1);
	ck_assert(reclaim_allowed());
	ck_assert_int_eq(tune_mallopt(-4, 0), 1);
	ck_assert(!reclaim_allowed());
	ck_assert_uint_eq(reclaim_excess(1ul << 30, 0), 0);
}
END_TEST

static size_t purged_pages(size_t size)
{
	return kmem_caches[size_class(size)].nr_purged;
}

/* Pages of slabs between survivors, counted until they are used again or their slab dies. */
static void purge_between(size_t size, size_t keep)
{
	size_t n = 8 * MIB / size, gone;

	for (size_t i = 0; i < n; i++)
		blocks[i] = memset(kmalloc(size), (int)i | 1, size);
	for (size_t i = 0; i < n; i++)
		if (i % keep)
			kfree(blocks[i]);
	kmalloc_drain();
	gone = kmalloc_purge();
	must(gone > 0);
	must_eq(purged_pages(size), gone);
	must_eq(kmalloc_purge(), 0);
	for (size_t i = 0; i < n; i++) {
		const unsigned char *p = blocks[i];

		if (i % keep)
			blocks[i] = memset(kmalloc(size), 1, size);
		else
			must(p[0] == (unsigned char)(i | 1) && p[size - 1] == p[0]);
	}
	must(purged_pages(size) < gone);
	for (size_t i = 0; i < n; i += 2)
		kfree(blocks[i]);
	kmalloc_drain();
	kmalloc_purge();
	for (size_t i = 1; i < n; i += 2)
		kfree(blocks[i]);
	kmalloc_drain();
	must_eq(purged_pages(size), 0);
	zones_hold();
	/* what the zones believe to be zero is zero */
	for (size_t i = 0; i < 8; i++) {
		blocks[i] = kzalloc(MIB);
		must(all_zero(blocks[i], MIB));
	}
	for (size_t i = 0; i < 8; i++)
		kfree(blocks[i]);
}

START_TEST(survivors)
{
	static const size_t sizes[] = { 512, 1000, 3000, 5000, 20000, 32768 };

	unit_boot();
	set(TUNE_ID_mmap_threshold, 1ul << 30);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		purge_between(sizes[i], 8 * MIB / sizes[i] > 2000 ? 100 : 10);
}
END_TEST

/* On a system with large pages only whole ones of these are given back. */
START_TEST(survivors_large_pages)
{
	unit_boot();
	fake.page_size = 16384;
	set(TUNE_ID_mmap_threshold, 1ul << 30);
	purge_between(20000, 10);
}
END_TEST

START_TEST(reports)
{
	unit_boot();
	fake.clock = 100000;
	set(TUNE_ID_limit, 8 * MIB);
	blocks[0] = kmalloc(1000);
	ck_assert_ptr_null(kmalloc(9 * MIB));
	ck_assert_str_eq(fake_text(), "");
	set(TUNE_ID_oom, OOM_REPORT);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_ptr_null(kmalloc(9 * MIB + i));
	must_say("stele: out of memory: unit, pid ");
	must_say(", asked for 9437184 bytes, order 12\nMem-Info:\nused:");
	must_say("kB limit:8192kB\nzone BRK free:");
	must_say("\nkmalloc-1024 ");
	ck_assert_ptr_null(strstr(strstr(fake_text(), "Mem-Info") + 1, "Mem-Info"));
	/* later, another size: what was left out is told */
	fake_text_clear();
	ck_assert_ptr_null(kmalloc(90 * MIB));
	must_say("9 more failures were not reported\n");
	fake_text_clear();
	fake.clock += 9999;
	ck_assert_ptr_null(kmalloc(90 * MIB));
	ck_assert_str_eq(fake_text(), "");
	fake.clock += 1;
	ck_assert_ptr_null(kmalloc(90 * MIB));
	must_say("Mem-Info:");
	fake_text_clear();
	ck_assert_ptr_null(kmalloc(SIZE_MAX));
	ck_assert_str_eq(fake_text(), "");
}
END_TEST

static void fails(void *arg __unused_arg)
{
	kmalloc(90 * MIB);
}

START_TEST(aborts)
{
	unit_boot();
	set(TUNE_ID_limit, 8 * MIB);
	set(TUNE_ID_oom, OOM_ABORT);
	ck_assert(fake_aborts(fails, NULL));
	must_say("Mem-Info:");
	must_say("aborting, as oom=abort demands");
}
END_TEST

/* Pages of the reserve stay in memory, also under a slab that is nearly empty. */
START_TEST(purge_spares_reserve)
{
	struct kmem_cache *c;
	size_t reserved;
	void *p[32];

	unit_boot();
	c = &kmem_caches[size_class(4096)];
	ck_assert(reserve_fill(64));
	while (slab_alloc(c, p, 1, 0))
		;
	ck_assert_uint_eq(slab_alloc(c, p, 16, ALLOC_RESERVE), 16);
	reserved = 64 - reserve_available();
	ck_assert_uint_ge(reserved, 16);
	for (unsigned i = 0; i < 16; i++)
		memset(p[i], 1, 4096);
	slab_free_keep(c, p + 1, 15);
	fake.calls[FAKE_PURGE] = 0;
	ck_assert_uint_eq(slab_purge(c), 0);
	ck_assert_uint_eq(fake.calls[FAKE_PURGE], 0);
	/* The same of pages that are not the reserve's. */
	ck_assert_uint_eq(slab_alloc(c, p, 31, ALLOC_NORMAL), 31);
	for (unsigned i = 0; i < 31; i++)
		memset(p[i], 1, 4096);
	/* The first 16 are of a slab of their own. */
	slab_free_keep(c, p + 1, 15);
	ck_assert_uint_gt(slab_purge(c), 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		charge, charges_hold, limit_fails_late, thp_system, thp_all, thp_none, thp_holds,
		pool, idle, not_idle, refused, forbidden, survivors, survivors_large_pages,
		purge_spares_reserve,
		reports, aborts,
	};

	return unit_run("memory", tests, ARRAY_SIZE(tests));
}
