/* SPDX-License-Identifier: MIT */
/* lib/page/page.c, reclaim.c, boot.c: runs of pages, touched bits, purges. */
#include "common.h"

#include "page/boot.h"
#include "page/reclaim.h"
#include "page/zone.h"
#include "tune/tune.h"

#define MIB (1ul << 20)

static struct zone *const z = &zones[ZONE_BRK];

static char *get(size_t npages, size_t align)
{
	struct page *page = NULL;
	char *p = page_alloc(npages, align, &page);

	must(p != NULL);
	must(page == page_of(addr_pfn(p)));
	must_eq(page->npages, npages);
	must(IS_ALIGNED((uintptr_t)p, align << PAGE_SHIFT));
	return p;
}

START_TEST(alignments)
{
	fake_boot();
	for (size_t align = 1; align <= 8 * MAX_BLOCK; align *= 2) {
		for (size_t n = 1; n <= 3000; n = 3 * n + 1)
			pattern_fill(get(n, align), 64, n);
	}
	zones_hold();
}
END_TEST

START_TEST(alignments_mmap)
{
	fake_boot();
	fake_break(MIB, 0);
	for (size_t align = 1; align <= 8 * MAX_BLOCK; align *= 2) {
		for (size_t n = 1; n <= 3000; n = 3 * n + 1)
			pattern_fill(get(n, align), 64, n);
	}
	zones_hold();
}
END_TEST

START_TEST(impossible_sizes)
{
	static struct zone before[NR_ZONES];
	struct page *page = NULL;

	fake_boot();
	get(10, 1);
	memcpy(before, zones, sizeof(before));
	for (unsigned k = 0; k < 64; k++) {
		if (k == 0 || k >= 24)
			ck_assert_ptr_null(page_alloc(k ? 1ul << k : 0, 1, &page));
		if (k >= 35)
			ck_assert_ptr_null(page_alloc(1, 1ul << k, &page));
	}
	ck_assert_ptr_null(page_alloc(SIZE_MAX, 1, &page));
	ck_assert_ptr_null(page_alloc(SIZE_MAX, SIZE_MAX / 2 + 1, &page));
	ck_assert_ptr_null(page);
	ck_assert_int_eq(memcmp(before, zones, sizeof(before)), 0);
}
END_TEST

/* No memory: not a bit of the zones has changed. */
START_TEST(failure_changes_nothing)
{
	static struct zone before[NR_ZONES];
	struct page *page = NULL;
	uintptr_t brk;
	char *p;

	fake_boot();
	p = get(100, 1);
	page_free(p + 40 * PAGE_SIZE, 10, 10);
	for (size_t n = 1; n < 1 << 20; n *= 2) {
		fake_fail_all(true);
		memcpy(before, zones, sizeof(before));
		brk = fake.brk;
		p = page_alloc(n, 1, &page);
		if (!p) {
			ck_assert_int_eq(memcmp(before, zones, sizeof(before)), 0);
			ck_assert_uint_eq(fake.brk, brk);
		}
		fake_fail_all(false);
		ck_assert_ptr_nonnull(page_alloc(n, 1, &page));
	}
	zones_hold();
}
END_TEST

/* The calls of a growth fail one after the other; the next way is taken. */
START_TEST(fallbacks)
{
	char *p;

	fake_boot();
	get(1, 1);
	/* The padded growth fails, the exact one succeeds. */
	fake_fail(FAKE_BRK_GROW, 0, 1, ENOMEM);
	p = get(5000, 1);
	ck_assert_uint_lt((uintptr_t)p, fake.brk);
	fake_fail(FAKE_BRK_GROW, 0, 2, ENOMEM);
	p = get(5000, 1);
	ck_assert_uint_ge((uintptr_t)p, fake.map_low);
	/* A large chunk fails, one of the very size succeeds. */
	fake_fail(FAKE_BRK_GROW, 0, 2, ENOMEM);
	fake_fail(FAKE_MAP, 0, 1, ENOMEM);
	p = get(1000, 1);
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 3);
	fake_fail(FAKE_SBRK_QUERY, 0, FAKE_ALWAYS, ENOMEM);
	p = get(50000, 1);
	ck_assert_uint_ge((uintptr_t)p, fake.map_low);
	zones_hold();
}
END_TEST

/* Fresh pages read as zero; used ones are zeroed, and only these. */
START_TEST(touched)
{
	char *p, *q;

	fake_boot();
	p = get(64, 64);
	ck_assert(all_zero(p, 64 * PAGE_SIZE));
	memset(p, 0xff, 10 * PAGE_SIZE);
	page_free(p, 64, 10);
	ck_assert_uint_eq(z->free_touched, 10);
	q = get(64, 64);
	ck_assert_ptr_eq(p, q);
	ck_assert_uint_eq(z->free_touched, 0);
	/* Behind the written ones there is a mark that a zeroing would wipe out. */
	p[20 * PAGE_SIZE] = 1;
	page_zero(p, 64);
	ck_assert(all_zero(p, 10 * PAGE_SIZE));
	ck_assert_int_eq(p[20 * PAGE_SIZE], 1);
	page_free(p, 64, 64);
	ck_assert_uint_eq(z->free_touched, 64);
	/* The bits stay with the pages, however they are handed out. */
	q = get(32, 32);
	page_zero(q, 32);
	ck_assert(all_zero(q, 32 * PAGE_SIZE));
	page_free(q, 32, 0);
	ck_assert_uint_eq(z->free_touched, 64);
	zones_hold();
}
END_TEST

START_TEST(zero_over_sections)
{
	const size_t n = SECTION_PAGES + 100;
	char *p;

	fake_boot();
	fake_break(120 * MIB, 4ul << 30);
	p = get(n, 1);
	for (size_t i = 0; i < n; i += 777)
		memset(p + i * PAGE_SIZE, 0xee, PAGE_SIZE);
	page_free(p, n, n);
	p = get(n, 1);
	page_zero(p, n);
	for (size_t i = 0; i < n; i += 777)
		must(all_zero(p + i * PAGE_SIZE, PAGE_SIZE));
	ck_assert(page_of(addr_pfn(p))->npages == n);
}
END_TEST

START_TEST(meta_is_zeroed)
{
	char *p;

	fake_boot();
	p = get(16, 1);
	memset(p, 0xff, 16 * PAGE_SIZE);
	page_free(p, 16, 16);
	for (int i = 0; i < 8; i++) {
		p = page_alloc_meta(3);
		ck_assert(all_zero(p, 3 * PAGE_SIZE));
		ck_assert_uint_eq(class_of(p), CLASS_NONE);
		ck_assert_int_eq(page_of(addr_pfn(p))->state, PG_META);
		memset(p, 0xff, 3 * PAGE_SIZE);
		if (i % 2)
			page_free_meta(p, 3);
	}
	zones_hold();
}
END_TEST

/* In place over free pages, over the top of the heap, not over others. */
START_TEST(extend)
{
	char *p, *q;
	size_t free;

	fake_boot();
	p = get(64, 64);
	free = z->free;
	ck_assert(page_extend(p, 64, 100));
	ck_assert_uint_eq(z->free, free - 36);
	page_free(p + 20 * PAGE_SIZE, 80, 0);
	q = get(1, 1);
	ck_assert_uint_eq((uintptr_t)q % PAGE_SIZE, 0);
	zones_hold();

	/* A neighbour stands in the way: nothing is taken. */
	p = get(16, 16);
	q = get(16, 16);
	while ((uintptr_t)q != (uintptr_t)p + 16 * PAGE_SIZE) {
		p = q;
		q = get(16, 16);
	}
	free = z->free;
	ck_assert(!page_extend(p, 16, 17));
	ck_assert(!page_extend(p, 16, 100000));
	ck_assert_uint_eq(z->free, free);
	zones_hold();
}
END_TEST

START_TEST(extend_at_the_top)
{
	size_t n = 100, present;
	char *p, *theirs;

	fake_boot();
	p = get(n, 1);
	/* Tables in between may stop it now and then; else the break moves. */
	for (int i = 0, moved = 0; i < 40; i++) {
		present = z->present;
		if (page_extend(p, n, n + 700)) {
			n += 700;
			moved += z->present > present;
			pattern_fill(p + (n - 1) * PAGE_SIZE, PAGE_SIZE, n);
		} else {
			n = 100;
			p = get(n, 1);
		}
		if (i == 39)
			ck_assert_int_ge(moved, 10);
		zones_hold();
	}
	/* Another's break behind us: not in place, and nothing of theirs. */
	theirs = fake_foreign_sbrk(5000);
	memset(theirs, 9, 5000);
	present = (size_t)(z->end - addr_pfn(p));
	ck_assert(!page_extend(p, n, present + 1));
	for (int i = 0; i < 5000; i++)
		must_eq(theirs[i], 9);
	zones_hold();
}
END_TEST

START_TEST(extend_without_memory)
{
	static struct zone before;
	char *p;

	fake_boot();
	p = get(100, 1);
	fake_fail_all(true);
	before = *z;
	ck_assert(!page_extend(p, 100, 100000));
	ck_assert_int_eq(memcmp(&before, z, sizeof(before)), 0);
}
END_TEST

/* Once the program has set the threshold, the very free() that passes it trims. */
START_TEST(trim_threshold)
{
	char *a, *b;
	uintptr_t brk;

	fake_boot();
	ck_assert(tune_set(TUNE_ID_trim_threshold, MIB, TUNE_MALLOPT));
	ck_assert(tune_set(TUNE_ID_top_pad, 64 << 10, TUNE_MALLOPT));
	a = get(200, 1);
	b = get(300, 1);
	brk = fake.brk;
	page_free(b + 100 * PAGE_SIZE, 200, 200);
	ck_assert_uint_eq(fake.brk, brk);
	page_free(b, 100, 100);
	ck_assert_uint_lt(fake.brk, brk);
	ck_assert_uint_eq(fake.brk, (uintptr_t)a + 200 * PAGE_SIZE + (64 << 10));
	ck_assert_uint_eq(zone_brk_excess(z), 64 << 10);
	zones_hold();
	/* Not while the top is in use. */
	b = get(3000, 1);
	brk = fake.brk;
	page_free(a, 200, 200);
	ck_assert_uint_eq(fake.brk, brk);
	/* -1: never. */
	ck_assert(tune_set(TUNE_ID_trim_threshold, UINT64_MAX, TUNE_MALLOPT));
	page_free(b, 3000, 3000);
	ck_assert_uint_eq(fake.brk, brk);
	ck_assert_uint_eq(fake.calls[FAKE_PURGE], 0);
}
END_TEST

/* Free touched pages above the watermark go back to the system. */
static void purges(size_t page_size)
{
	const size_t n = 1024;
	char *runs[64];
	size_t most = 0;

	fake_boot();
	fake.page_size = page_size;
	for (size_t i = 0; i < 64; i++)
		runs[i] = get(n, 1);
	get(1, 1);
	for (size_t i = 0; i < 64; i++) {
		memset(runs[i], 0xdd, PAGE_SIZE);
		page_free(runs[i], n, n);
		most = MAX(most, z->free_touched);
	}
	ck_assert_uint_gt(fake.calls[FAKE_PURGE], 0);
	ck_assert_uint_eq(z->nr_purge, fake.calls[FAKE_PURGE]);
	ck_assert_uint_le(most, (64 * MIB >> PAGE_SHIFT) + n);
	zones_hold();
	/* What was purged is known to be zero, and is. */
	for (size_t i = 0; i < 64; i++) {
		char *p = get(n, 1);

		page_zero(p, n);
		for (size_t k = 0; k < n; k++)
			must(!p[k * PAGE_SIZE]);
	}
}

START_TEST(purges_4k) { purges(4096); }
END_TEST
START_TEST(purges_64k) { purges(65536); }
END_TEST

/* Locked memory refuses: no storm of calls, nothing believed to be zero. */
START_TEST(purge_refused)
{
	char *runs[100];

	fake_boot();
	fake_fail(FAKE_PURGE, 0, FAKE_ALWAYS, EINVAL);
	for (size_t i = 0; i < 100; i++)
		runs[i] = get(1024, 1);
	get(1, 1);
	for (size_t i = 0; i < 100; i++) {
		memset(runs[i], 0xdd, 64);
		page_free(runs[i], 1024, 1024);
	}
	ck_assert_uint_le(fake.calls[FAKE_PURGE], 64);
	for (size_t i = 0; i < 100; i++) {
		runs[i] = get(1024, 1);
		page_zero(runs[i], 1024);
		must(all_zero(runs[i], 64));
	}
	zones_hold();
}
END_TEST

/* malloc_trim: all that is free goes back, the pad stays. */
static void reclaims(size_t page_size)
{
	char *runs[50], *keep;
	size_t excess;
	size_t mapped, unit = page_size / PAGE_SIZE;

	fake_boot();
	fake.page_size = page_size;
	for (size_t i = 0; i < 50; i++) {
		runs[i] = get(100, unit);
		memset(runs[i], 0xdd, 100 * PAGE_SIZE);
		keep = get(1, 1);
		pattern_fill(keep, PAGE_SIZE, 1);
	}
	for (size_t i = 0; i < 49; i++)
		page_free(runs[i], 100, 100);
	mapped = fake.mapped;
	excess = zone_brk_excess(z);
	ck_assert(reclaim_all(0));
	ck_assert_uint_eq(fake.mapped, mapped - ALIGN_DOWN(excess, page_size));
	/* Only pieces of system pages are left touched. */
	ck_assert_uint_le(z->free_touched, 50 * 3 * (unit - 1));
	ck_assert(pattern_holds(keep, PAGE_SIZE, 1));
	zones_hold();
	ck_assert(!reclaim_all(0));
	for (size_t i = 0; i < 49; i++) {
		runs[i] = get(100, 1);
		page_zero(runs[i], 100);
		must(all_zero(runs[i], 100 * PAGE_SIZE));
	}
}

START_TEST(reclaims_4k) { reclaims(4096); }
END_TEST
START_TEST(reclaims_16k) { reclaims(16384); }
END_TEST

START_TEST(boot_blocks)
{
	char *p, *last = NULL;
	size_t n = 0, align = 1;

	while ((p = boot_alloc(n % 100, align))) {
		must(IS_ALIGNED((uintptr_t)p, MAX(align, (size_t)16)));
		must(boot_owns(p));
		must_eq(boot_size(p), n % 100);
		must(all_zero(p, n % 100));
		must(!last || p >= last);
		memset(p, 0xff, n % 100);
		last = p + n % 100;
		align = align == 256 ? 1 : 2 * align;
		n++;
	}
	ck_assert_uint_gt(n, 100);
	ck_assert(!boot_owns(&n) && !boot_owns(NULL));
	ck_assert_ptr_null(boot_alloc(1ul << 20, 1));
	ck_assert_ptr_null(boot_alloc(SIZE_MAX, 1));
	ck_assert_ptr_null(boot_alloc(1, 1ul << 40));
}
END_TEST

/* Four sections for one place among the few: the first has it, the others a leaf. */
START_TEST(sections_in_each_others_way)
{
	static struct section sections[4];
	static char leaf[LEAF_PAGES * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	const pfn_t low = 0, step = NR_FEW * SECTION_PAGES;

	for (size_t i = 0; i < 4; i++) {
		struct section *s = &sections[i];

		s->base = low + i * step;
		must(!section_of(s->base));
		/* Also where it is known beforehand that the place will be taken. */
		must(section_leaf_missing(s->base, s->base - low) == (i == 1));
		must(section_leaf_missing(s->base, 0) == (i == 1));
		if (i == 1)
			section_set_leaf(s->base, leaf);
		section_publish(s);
	}
	for (size_t i = 0; i < 4; i++) {
		must(section_of(low + i * step) == &sections[i]);
		must(section_of(low + i * step + SECTION_PAGES - 1) == &sections[i]);
		must(!section_of(low + i * step + SECTION_PAGES));
	}
	section_unpublish(&sections[0]);
	section_unpublish(&sections[2]);
	must(!section_of(low));
	must(section_of(low + step) == &sections[1]);
	must(!section_of(low + 2 * step));
	/* The place is free for any of them. */
	section_publish(&sections[2]);
	section_publish(&sections[0]);
	for (size_t i = 0; i < 4; i++)
		must(section_of(low + i * step) == &sections[i]);
	for (size_t i = 0; i < 4; i++) {
		section_unpublish(&sections[i]);
		must(!section_of(low + i * step));
	}
}
END_TEST

START_TEST(leaf_foreseen)
{
	/* Nothing is there yet, but the first of so many in a row will be. */
	must(!section_leaf_missing((NR_FEW - 1) * SECTION_PAGES, (NR_FEW - 1) * SECTION_PAGES));
	must(section_leaf_missing(NR_FEW * SECTION_PAGES, NR_FEW * SECTION_PAGES));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		alignments, alignments_mmap, impossible_sizes, failure_changes_nothing,
		fallbacks, touched, zero_over_sections, meta_is_zeroed, extend,
		extend_at_the_top, extend_without_memory, trim_threshold, purges_4k,
		purges_64k, purge_refused, reclaims_4k, reclaims_16k, boot_blocks,
		sections_in_each_others_way, leaf_foreseen,
	};

	return unit_run("page", tests, ARRAY_SIZE(tests));
}
