/* SPDX-License-Identifier: MIT */
/* lib/page/zone*.c: growth, tables, trims, foreign moves of the break, chunks. */
#include "common.h"

#include "page/reclaim.h"
#include "page/zone.h"
#include "tune/tune.h"

#define MIB (1ul << 20)

static struct zone *const z = &zones[ZONE_BRK];
static struct zone *const m = &zones[ZONE_MMAP];

static void boot(size_t page_size)
{
	fake_boot();
	fake.page_size = page_size;
}

/* From here on thresholds and pads are as given. */
static void set_pads(uint64_t trim_threshold, uint64_t top_pad)
{
	ck_assert(tune_set(TUNE_ID_trim_threshold, trim_threshold, TUNE_MALLOPT));
	ck_assert(tune_set(TUNE_ID_top_pad, top_pad, TUNE_MALLOPT));
}

static char *get(size_t npages)
{
	struct page *page;
	char *p = page_alloc(npages, 1, &page);

	must(p != NULL);
	return p;
}

static void zone_ends_with_break(void)
{
	ck_assert_uint_eq(z->brk, fake.brk);
	ck_assert_uint_eq(z->end << PAGE_SHIFT, fake.brk);
	ck_assert(IS_ALIGNED(fake.brk, fake.page_size));
}

static void growth(size_t page_size, size_t offset)
{
	size_t taken = 0;

	boot(page_size);
	fake_break(offset, 1ul << 30);
	for (size_t n = 1; n < 3000; n = n * 3 / 2 + 1) {
		char *p = get(n);

		ck_assert_uint_ge((uintptr_t)p, fake.brk_start);
		ck_assert_uint_le((uintptr_t)p + n * PAGE_SIZE, fake.brk);
		pattern_fill(p, n * PAGE_SIZE, n);
		taken += n;
		ck_assert_uint_eq(z->present, z->free + z->meta + taken);
		zone_ends_with_break();
		zones_hold();
	}
	ck_assert_uint_eq(z->nr_grow, fake.calls[FAKE_BRK_GROW]);
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 0);
	/* The break was moved up only, and only for what became present. */
	ck_assert_uint_eq(z->present << PAGE_SHIFT,
			  fake.brk - ALIGN_UP(fake.brk_start, page_size));
	/* Tables are a small part. */
	ck_assert_uint_le(z->meta, 1024);
}

START_TEST(growth_4k) { growth(4096, MIB); }
END_TEST
START_TEST(growth_4k_unaligned) { growth(4096, MIB + 0x123); }
END_TEST
START_TEST(growth_16k) { growth(16384, MIB + 4096); }
END_TEST
START_TEST(growth_64k) { growth(65536, MIB + 4097); }
END_TEST

/* malloc(3): each growth asks for M_TOP_PAD bytes more, and not less. */
START_TEST(top_pad)
{
	uintptr_t end;
	char *p;

	boot(4096);
	set_pads(128 << 10, 0);
	get(1);
	while (z->free)
		get(1);
	end = fake.brk;
	p = get(10);
	ck_assert_uint_eq((uintptr_t)p, end);
	ck_assert_uint_eq(fake.brk, end + 10 * PAGE_SIZE);
	set_pads(128 << 10, 77 * PAGE_SIZE + 1);
	end = fake.brk;
	p = get(10);
	ck_assert_uint_eq((uintptr_t)p, end);
	ck_assert_uint_eq(fake.brk, end + 88 * PAGE_SIZE);
	/* What is free at the top counts: only the missing rest is asked for. */
	set_pads(128 << 10, 0);
	p = get(100);
	ck_assert_uint_eq((uintptr_t)p, end + 10 * PAGE_SIZE);
	ck_assert_uint_eq(fake.brk, end + 110 * PAGE_SIZE);
	zones_hold();
}
END_TEST

START_TEST(fewer_calls_while_dynamic)
{
	boot(4096);
	for (int i = 0; i < 2048; i++)
		get(1);
	ck_assert_uint_le(fake.calls[FAKE_BRK_GROW], 12);
}
END_TEST

/* Give back all that is free at the top, and have it again. */
static void trim_and_regrow(size_t page_size, size_t total)
{
	size_t base, base_meta, given, n = total / PAGE_SIZE;
	uintptr_t brk;
	char *q;

	boot(page_size);
	set_pads(UINT64_MAX, 0);
	get(1);
	base = z->present;
	base_meta = z->meta;
	for (int round = 0; round < 3; round++) {
		q = get(n);
		pattern_fill(q, total, (uint64_t)round);
		page_free(q, n, n);
		ck_assert_uint_ge(zone_brk_excess(z), total);
		brk = fake.brk;
		given = zone_brk_trim(z, 0);
		ck_assert_uint_eq(brk - fake.brk, given << PAGE_SHIFT);
		ck_assert_uint_ge(given, n - page_size / PAGE_SIZE);
		zone_ends_with_break();
		/* A carve with a larger map for the window stays, once. */
		if (!round && total > 256 * MIB)
			base = z->present;
		ck_assert_uint_ge(z->present, base - page_size / PAGE_SIZE);
		ck_assert_uint_le(z->present, base + page_size / PAGE_SIZE);
		zones_hold();
		ck_assert_uint_eq(zone_brk_trim(z, 0), 0);
	}
	/* Tables of what is gone went along with it. */
	if (total < 100 * MIB)
		ck_assert_uint_eq(z->meta, base_meta);
	q = get(n);
	page_zero(q, n);
	ck_assert(all_zero(q, total));
	ck_assert_uint_eq(z->nr_trim, 3);
}

START_TEST(trim_small) { trim_and_regrow(4096, MIB); }
END_TEST
START_TEST(trim_over_carves) { trim_and_regrow(4096, 90 * MIB); }
END_TEST
START_TEST(trim_over_sections) { trim_and_regrow(4096, 500 * MIB); }
END_TEST
START_TEST(trim_16k) { trim_and_regrow(16384, 40 * MIB); }
END_TEST
START_TEST(trim_64k) { trim_and_regrow(65536, 200 * MIB); }
END_TEST

/* Many carves stacked, freed from below: nothing is given before the top is. */
START_TEST(trim_many_carves)
{
	char *runs[60];
	size_t n = 8 * MIB / PAGE_SIZE, first, meta;

	boot(4096);
	set_pads(UINT64_MAX, 0);
	get(1);
	first = z->present;
	meta = z->meta;
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
		runs[i] = get(n);
	for (size_t i = 0; i + 1 < ARRAY_SIZE(runs); i++) {
		page_free(runs[i], n, 0);
		ck_assert_uint_eq(zone_brk_trim(z, 0), 0);
	}
	page_free(runs[ARRAY_SIZE(runs) - 1], n, 0);
	ck_assert_uint_ge(zone_brk_trim(z, 0), 59 * n / 2);
	zones_hold();
	zone_ends_with_break();
	/* All but what a pinned carve (the window's second map) keeps. */
	ck_assert_uint_lt(z->present, first + 40 * n);
	ck_assert_uint_ge(z->meta, meta);
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
		runs[i] = get(n);
	zones_hold();
}
END_TEST

/* A pad of every size, also one that ends inside of a carve. */
START_TEST(trim_pads)
{
	boot(4096);
	set_pads(UINT64_MAX, 0);
	get(1);
	for (size_t pad = 0; pad < 80 * MIB; pad = pad * 5 / 4 + 1000) {
		char *p = get(60 * MIB / PAGE_SIZE);
		size_t excess, left;

		page_free(p, 60 * MIB / PAGE_SIZE, 0);
		excess = zone_brk_excess(z);
		zone_brk_trim(z, pad);
		left = zone_brk_excess(z);
		must(left >= MIN(pad, excess));
		/* No more than the pad, a page's rest and a carve's length. */
		must(left <= ALIGN_UP(pad, PAGE_SIZE) + 4 * MIB);
		zones_hold();
	}
}
END_TEST

/* A break that was moved by others: a hole that is not ours. */
START_TEST(foreign_between)
{
	char *a, *theirs, *b;
	size_t given;

	boot(4096);
	set_pads(UINT64_MAX, 0);
	a = get(100);
	theirs = fake_foreign_sbrk(10000);
	memset(theirs, 0x77, 10000);
	/* The top is not ours now. */
	page_free(a, 100, 100);
	ck_assert_uint_eq(zone_brk_trim(z, 0), 0);
	b = get(5000);
	ck_assert(b >= theirs + 10000);
	memset(b, 1, 5000 * PAGE_SIZE);
	zone_ends_with_break();
	page_free(b, 5000, 5000);
	given = zone_brk_trim(z, 0);
	ck_assert_uint_ge(given, 5000);
	ck_assert_uint_ge(fake.brk, (uintptr_t)theirs + 10000);
	for (size_t i = 0; i < 10000; i++)
		must_eq(theirs[i], 0x77);
	zones_hold();
}
END_TEST

START_TEST(foreign_every_growth)
{
	struct rng r = { 5 };
	char *theirs[64];
	size_t lens[64];

	boot(4096);
	for (size_t i = 0; i < 64; i++) {
		char *p = get(1 + rng_below(&r, 600));

		pattern_fill(p, PAGE_SIZE, i);
		lens[i] = 1 + rng_below(&r, 20000);
		theirs[i] = fake_foreign_sbrk((intptr_t)lens[i]);
		memset(theirs[i], (int)i, lens[i]);
	}
	for (size_t i = 0; i < 64; i++) {
		for (size_t k = 0; k < lens[i]; k++)
			must_eq(theirs[i][k], (char)i);
	}
	zones_hold();
}
END_TEST

static void foreign_move(intptr_t delta __unused_arg)
{
	fake_foreign_sbrk(4096 * 3 + 8);
}

/* Somebody's sbrk() between our look at the break and our move. */
START_TEST(foreign_race)
{
	uintptr_t before;
	char *p;

	boot(4096);
	get(10);
	before = fake.brk;
	fake.before_sbrk = foreign_move;
	p = get(4000);
	ck_assert_uint_ge((uintptr_t)p, before + 4096 * 3 + 8);
	zone_ends_with_break();
	zones_hold();
	ck_assert_ptr_null(page_of(before >> PAGE_SHIFT));
}
END_TEST

/* Somebody takes the break from under our pages: leave it alone for good. */
START_TEST(break_stolen)
{
	char *p, *q;

	boot(4096);
	p = get(10);
	ck_assert_ptr_nonnull(fake_foreign_sbrk(-4096));
	q = get(5000);
	ck_assert_uint_ge((uintptr_t)q, fake.map_low);
	ck_assert_uint_eq(zone_brk_trim(z, 0), 0);
	pattern_fill(p, 10 * PAGE_SIZE, 1);
	ck_assert_uint_eq(m->present, m->free + m->meta + 5000);
}
END_TEST

START_TEST(stuck_break)
{
	char *p;

	boot(4096);
	fake_break(MIB, 0);
	p = get(1);
	ck_assert_uint_ge((uintptr_t)p, fake.map_low);
	ck_assert_uint_eq(z->present, 0);
	for (int i = 0; i < 100; i++)
		get((size_t)i * 20 + 1);
	zones_hold();
	ck_assert_uint_eq(m->nr_grow, fake.calls[FAKE_MAP]);
	ck_assert_uint_le(m->nr_grow, 60);
	ck_assert_uint_eq(zone_brk_excess(z), 0);
	ck_assert_uint_eq(zone_brk_trim(z, 0), 0);
	ck_assert(!reclaim_all(0));
}
END_TEST

/* The break moves a little, then not any more. */
static void becomes_stuck(size_t page_size)
{
	size_t low = 0, high = 0;

	boot(page_size);
	fake_break(MIB + 12345, 20 * MIB);
	for (size_t i = 0; i < 200; i++) {
		char *p = get(64);

		pattern_fill(p, 64 * PAGE_SIZE, i);
		if ((uintptr_t)p < fake.break_limit)
			low++;
		else
			high++;
	}
	/* Nearly all of the room was used before a mapping was made. */
	ck_assert_uint_ge(low, 60);
	ck_assert_uint_ge(high, 100);
	zones_hold();
	zone_ends_with_break();
}

START_TEST(becomes_stuck_4k) { becomes_stuck(4096); }
END_TEST
START_TEST(becomes_stuck_16k) { becomes_stuck(16384); }
END_TEST
START_TEST(becomes_stuck_64k) { becomes_stuck(65536); }
END_TEST

/* A chunk describes its tables too, wherever it lies, and still holds the run. */
START_TEST(chunks_hold_their_tables)
{
	static const size_t runs[] = { 16400, 32200, 32640, 32700, 65300 };

	boot(4096);
	fake_break(MIB, 0);
	for (size_t i = 0; i < 60; i++) {
		size_t off = i * 512 * MIB + i / ARRAY_SIZE(runs) * 83 * PAGE_SIZE;

		fake_map_area(FAKE_MIDDLE, FAKE_SPAN - off);
		get(runs[i % ARRAY_SIZE(runs)]);
		ck_assert_uint_eq(m->nr_grow, i + 1);
	}
	zones_hold();
}
END_TEST

/* Chunks, side by side, merge as any pages do. */
START_TEST(chunks_merge)
{
	char *runs[16];
	const size_t n = 3 * MIB / PAGE_SIZE;

	boot(4096);
	fake_break(MIB, 0);
	for (size_t i = 0; i < 16; i++)
		runs[i] = get(n);
	for (size_t i = 0; i < 16; i++)
		page_free(runs[i], n, 0);
	ck_assert_uint_eq(m->free, m->present - m->meta);
	ck_assert_uint_eq(zones_used(), 0);
	ck_assert_uint_ge(m->nr_blocks[MAX_ORDER], 8);
	zones_hold();
}
END_TEST

/* Break and mappings meet in one section of 128 MiB. */
START_TEST(zones_share_section)
{
	struct rng r = { 11 };
	char *runs[64];
	size_t len[64];

	boot(4096);
	fake_break(128 * MIB + MIB, 40 * MIB);
	fake_map_area(128 * MIB + 48 * MIB, 128 * MIB + 250 * MIB);
	for (size_t i = 0; i < 64; i++) {
		len[i] = 1 + rng_below(&r, 600);
		if (i % 3 == 0)
			fake_fail(FAKE_BRK_GROW, 0, 2, ENOMEM);
		runs[i] = get(len[i]);
		fake_fail(FAKE_BRK_GROW, 0, 0, 0);
		page_set_class(runs[i], 1, 1 + i % 40);
	}
	ck_assert_uint_gt(z->present, 0);
	ck_assert_uint_gt(m->present, 0);
	for (size_t i = 0; i < 64; i++)
		ck_assert_uint_eq(class_of(runs[i]), 1 + i % 40);
	zones_hold();
	for (size_t i = 0; i < 64; i++) {
		page_set_class(runs[i], 1, CLASS_NONE);
		page_free(runs[i], len[i], 0);
	}
	zones_hold();
	ck_assert_uint_eq(zones_used(), 0);
	/* Free pages are counted with the zone that has the present ones. */
	ck_assert_uint_le(m->free, m->present);
	ck_assert_uint_le(z->free, z->present);
}
END_TEST

static char *get_low(size_t npages)
{
	struct page *page;
	char *p = page_alloc_class(npages, npages, CLASS_NONE, ALLOC_NORMAL | ALLOC_LOW, &page);

	must(p != NULL && (uintptr_t)p + npages * PAGE_SIZE <= fake.low_limit);
	return p;
}

/* Chunks of low pages and of others meet in one section: both are found again. */
static void low_shares_section(bool low_first)
{
	struct zone *low = &zones[ZONE_DMA32];
	size_t maps;

	boot(4096);
	fake_break(MIB, 0);
	fake.low_limit = fake.base + FAKE_MIDDLE;
	fake_map_area(128 * MIB, 250 * MIB);
	page_free(low_first ? get_low(64) : get(64), 64, 64);
	/* A second chunk below or in the rest of the same section. */
	if (low_first)
		page_free(get(1500), 1500, 1500);
	else
		page_free(get_low(1024), 1024, 1024);
	maps = fake.calls[FAKE_MAP];
	ck_assert_uint_eq(maps, 2);
	ck_assert_uint_eq(low->present == 0, !low_first);
	ck_assert_uint_eq(m->present == 0, low_first);
	for (size_t n = 1; n <= 512; n *= 2) {
		char *p = get_low(n), *q = get(n);

		page_free(q, n, n);
		page_free(p, n, n);
		zones_hold();
	}
	ck_assert_uint_eq(fake.calls[FAKE_MAP], maps);
	ck_assert_uint_eq(zones_used(), 0);
}

START_TEST(low_in_anothers_section) { low_shares_section(false); }
END_TEST
START_TEST(others_in_low_section) { low_shares_section(true); }
END_TEST

/* Of a break that has grown past the limit, what lies below it is low. */
START_TEST(low_end_of_the_break)
{
	char *p;

	boot(4096);
	fake.low_limit = fake.brk_start + 20 * MIB;
	p = get(50 * MIB / PAGE_SIZE);
	page_free(p, 50 * MIB / PAGE_SIZE, 0);
	ck_assert_uint_gt(z->end << PAGE_SHIFT, fake.low_limit);
	for (size_t n = 1; n <= 1024; n *= 2)
		get_low(n);
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 0);
	zones_hold();
}
END_TEST

/* A refused trim loses no book-keeping: growth goes on behind. */
START_TEST(trim_refused)
{
	char *p;

	boot(4096);
	set_pads(UINT64_MAX, 0);
	get(1);
	p = get(3000);
	page_free(p, 3000, 3000);
	fake_fail(FAKE_BRK_TRIM, 0, 1, ENOMEM);
	ck_assert_uint_eq(zone_brk_trim(z, 0), 0);
	zones_hold();
	p = get(3000);
	pattern_fill(p, 3000 * PAGE_SIZE, 1);
	zones_hold();
	zone_ends_with_break();
	page_free(p, 3000, 3000);
	ck_assert_uint_ge(zone_brk_trim(z, 0), 3000);
	zones_hold();
}
END_TEST

/* Everything grows, shrinks and meets others at random. */
static void random_life(size_t page_size, uint64_t seed)
{
	struct rng r = { seed };
	char *runs[128] = { NULL };
	size_t len[128];

	boot(page_size);
	fake_break(127 * MIB + 77, 4ul << 30);
	set_pads(UINT64_MAX, 128 << 10);
	for (int i = 0; i < 4000; i++) {
		size_t k = rng_below(&r, 128), what = rng_below(&r, 100);

		if (what == 0)
			fake_foreign_sbrk((intptr_t)rng_size(&r, 300000));
		else if (what < 4)
			zone_brk_trim(z, rng_below(&r, MIB));
		else if (what == 5)
			fake_fail(FAKE_BRK_GROW, rng_below(&r, 2), 2, ENOMEM);
		else if (runs[k]) {
			must(pattern_holds(runs[k], 64, k));
			page_free(runs[k], len[k], len[k]);
			runs[k] = NULL;
		} else {
			len[k] = rng_size(&r, 8000);
			runs[k] = get(len[k]);
			pattern_fill(runs[k], 64, k);
		}
		if (i % 100 == 0)
			zones_hold();
	}
	for (size_t k = 0; k < 128; k++) {
		if (runs[k])
			page_free(runs[k], len[k], len[k]);
	}
	zones_hold();
	ck_assert_uint_eq(zones_used(), 0);
}

START_TEST(random_4k) { random_life(4096, 1); }
END_TEST
START_TEST(random_16k) { random_life(16384, 2); }
END_TEST
START_TEST(random_64k) { random_life(65536, 3); }
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		growth_4k, growth_4k_unaligned, growth_16k, growth_64k, top_pad,
		fewer_calls_while_dynamic, trim_small, trim_over_carves, trim_over_sections,
		trim_16k, trim_64k, trim_many_carves, trim_pads, foreign_between,
		foreign_every_growth, foreign_race, break_stolen, stuck_break,
		becomes_stuck_4k, becomes_stuck_16k, becomes_stuck_64k,
		chunks_hold_their_tables, chunks_merge, zones_share_section,
		low_in_anothers_section, others_in_low_section, low_end_of_the_break,
		trim_refused, random_4k, random_16k, random_64k,
	};

	return unit_run("zone", tests, ARRAY_SIZE(tests));
}
