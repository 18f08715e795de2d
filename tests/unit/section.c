/* SPDX-License-Identifier: MIT */
/* lib/page/section.c: descriptors, the class map, its window. */
#include "common.h"

#include "page/reclaim.h"
#include "page/zone.h"

#define MIB (1ul << 20)
#define GIB (1ul << 30)

static char *pages(size_t npages, struct page **page)
{
	return page_alloc(npages, 1, page);
}

START_TEST(nothing_yet)
{
	int local;

	fake_boot();
	ck_assert_ptr_null(section_of(0));
	ck_assert_ptr_null(page_of(addr_pfn(&local)));
	ck_assert_ptr_null(page_of(~(pfn_t)0));
	ck_assert_uint_eq(class_of(NULL), CLASS_NONE);
	ck_assert_uint_eq(class_of(&local), CLASS_NONE);
	ck_assert_uint_eq(class_of((void *)~0ul), CLASS_NONE);
	ck_assert_uint_eq(class_of((void *)(1ul << 47)), CLASS_NONE);
}
END_TEST

/* Each page has a descriptor of its own, in a row, and not inside of the run. */
START_TEST(descriptors)
{
	struct page *first, *prev = NULL;
	char *p;

	fake_boot();
	p = pages(5000, &first);
	ck_assert_ptr_eq(page_of(addr_pfn(p)), first);
	for (size_t i = 0; i < 5000; i++) {
		struct page *page = page_of(addr_pfn(p) + i);

		must(page != NULL && IS_ALIGNED((uintptr_t)page, sizeof(*page)));
		must((char *)page + sizeof(*page) <= p || (char *)page >= p + (5000ul << 12));
		/* A slab's run lies inside of one block: its descriptors are one array. */
		if (prev && (addr_pfn(p) + i) % SUB_PAGES)
			must(page == prev + 1);
		prev = page;
	}
	ck_assert_ptr_eq(page_of(addr_pfn(p + 4095)), first);
	ck_assert_ptr_null(page_of(zones[ZONE_BRK].end));
	ck_assert_ptr_null(page_of(addr_pfn((void *)fake.base)));
}
END_TEST

/* Whatever is near is what page_of() says, wherever a run lies. */
static void near_holds(const char *p, size_t npages)
{
	for (size_t i = 0; i < npages; i++) {
		struct page *page = page_of(addr_pfn(p) + i), *near = page_near(p + i * PAGE_SIZE);

		must(page && (!near || near == page));
		must(page_in_use(p + i * PAGE_SIZE) == page);
	}
}

/* More subsections than are near; then the break goes down, with their tables, and up. */
START_TEST(descriptors_near)
{
	size_t npages = 3 * NEAR_MEMMAPS * SUB_PAGES, more = 77 * SUB_PAGES;
	struct page *page;
	char *low, *high;

	fake_boot();
	low = pages(1, &page);
	ck_assert_ptr_nonnull(page_near(low));
	high = pages(npages, &page);
	near_holds(high, npages);
	ck_assert_ptr_null(page_near(high + (npages - 1) * PAGE_SIZE));
	page_free(high, npages, 0);
	ck_assert(reclaim_all(0));
	ck_assert_ptr_null(page_near(high + npages / 2 * PAGE_SIZE));
	near_holds(low, 1);

	/* Elsewhere, so that tables come to lie in other places. */
	fake_foreign_sbrk(5 * MIB);
	ck_assert_ptr_nonnull(pages(3, &page));
	high = pages(more, &page);
	near_holds(high, more);
	ck_assert_ptr_nonnull(page_near(high));
}
END_TEST

START_TEST(classes)
{
	struct page *page;
	char *p;

	fake_boot();
	p = pages(64, &page);
	for (size_t i = 0; i < 64; i++)
		ck_assert_uint_eq(class_of(p + i * PAGE_SIZE), CLASS_NONE);
	page_set_class(p + 16 * PAGE_SIZE, 16, 7);
	page_set_class(p + 32 * PAGE_SIZE, 1, CLASS_LARGE);
	for (size_t i = 0; i < 64; i++) {
		unsigned want = i == 32 ? CLASS_LARGE : i / 16 == 1 ? 7 : CLASS_NONE;

		must_eq(class_of(p + i * PAGE_SIZE), want);
		must_eq(class_of(p + i * PAGE_SIZE + 4095), want);
	}
	page_set_class(p + 16 * PAGE_SIZE, 17, CLASS_NONE);
	for (size_t i = 0; i < 64; i++)
		must_eq(class_of(p + i * PAGE_SIZE), CLASS_NONE);
}
END_TEST

/* Runs over more than one section: every page gets its class. */
START_TEST(class_over_sections)
{
	const size_t n = 3 * SECTION_PAGES;
	struct page *page;
	char *p;

	fake_boot();
	p = pages(n, &page);
	ck_assert_ptr_nonnull(p);
	page_set_class(p, n, 9);
	for (size_t i = 0; i < n; i++)
		must_eq(class_of(p + i * PAGE_SIZE), 9);
	ck_assert_uint_eq(class_of(p - 1), CLASS_NONE);
	ck_assert_uint_eq(class_of(p + n * PAGE_SIZE), CLASS_NONE);
	page_set_class(p, n, CLASS_NONE);
	page_free(p, n, 0);
	zones_hold();
}
END_TEST

/* Find all runs again, whichever map is the window's now. */
static void check_marks(char **runs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		must_eq(class_of(runs[i]), 1 + i % 40);
		must_eq(class_of(runs[i] + PAGE_SIZE), CLASS_NONE);
	}
}

/* What hit paths read is the window, when they are open. */
static void hit_follows(void)
{
	ck_assert_uint_eq(hit.pages, window.pages);
	ck_assert_ptr_eq(hit.map, window.map);
	ck_assert_uint_eq(hit.base, window.base);
}

static void grow_window(size_t total, size_t step, size_t hole)
{
	char *runs[256];
	size_t n = 0, maps = 0;
	const uint8_t *old[8] = { NULL };
	struct page *page;

	window_close(false);
	while (zones[ZONE_BRK].present < total >> PAGE_SHIFT) {
		runs[n] = pages(step >> PAGE_SHIFT, &page);
		must(runs[n]);
		must(runs[n] + step <= (char *)zones[ZONE_BRK].brk);
		must_eq(page->npages, step >> PAGE_SHIFT);
		page_set_class(runs[n], 1, 1 + n % 40);
		n++;
		if (!maps || old[maps - 1] != window.map) {
			must(maps < ARRAY_SIZE(old));
			old[maps++] = window.map;
			check_marks(runs, n);
		}
		if (hole)
			must(fake_foreign_sbrk((intptr_t)hole));
	}
	ck_assert_uint_gt(maps, 1);
	check_marks(runs, n);
	ck_assert_uint_eq(zones[ZONE_MMAP].present, 0);
	/* A reader that was late still finds what it knew in the old map. */
	ck_assert_uint_eq(old[0][((uintptr_t)runs[0] - window.base) >> PAGE_SHIFT], 1);
	hit_follows();
	ck_assert_uint_le(window.pages, window.capacity);
	for (size_t i = 0; i < n; i++) {
		page_set_class(runs[i], 1, CLASS_NONE);
		page_free(runs[i], step >> PAGE_SHIFT, 0);
	}
	zones_hold();
}

START_TEST(window_5_gib)
{
	fake_boot();
	grow_window(5 * GIB, 40 * MIB, 0);
}
END_TEST

START_TEST(window_20_gib)
{
	fake_boot();
	grow_window(20 * GIB, 100 * MIB, 0);
}
END_TEST

/* With holes, also such that hide a whole section and more. */
START_TEST(window_holes)
{
	fake_boot();
	grow_window(5 * GIB, 40 * MIB, 12345);
}
END_TEST

START_TEST(window_wide_holes)
{
	fake_boot();
	grow_window(2 * GIB, 40 * MIB, 300 * MIB + 1);
}
END_TEST

START_TEST(hole_has_no_pages)
{
	struct page *page;
	char *before, *hole, *after;

	fake_boot();
	before = pages(100, &page);
	page_set_class(before, 100, 3);
	hole = fake_foreign_sbrk(400 * MIB);
	after = pages(1000, &page);
	page_set_class(after, 1000, 4);
	ck_assert(after >= hole + 400 * MIB);
	for (size_t i = 0; i < 400 * MIB; i += 64 << 10) {
		must_eq(class_of(hole + i), CLASS_NONE);
		must(page_of(addr_pfn(hole + i)) == NULL);
	}
	ck_assert_uint_eq(class_of(before), 3);
	ck_assert_uint_eq(class_of(after + 999 * PAGE_SIZE), 4);
}
END_TEST

/* The break crosses from one leaf of the tree (128 GiB) to the next. */
START_TEST(leaf_border)
{
	struct page *page;
	char *p, *border;

	fake_boot();
	fake_break(FAKE_LEAF - 3 * MIB, 2 * GIB);
	border = (char *)fake.base + FAKE_LEAF;
	p = pages(64 * MIB >> PAGE_SHIFT, &page);
	ck_assert(p <= border);
	ck_assert(p + 64 * MIB > border);
	page_set_class(p, 64 * MIB >> PAGE_SHIFT, 5);
	for (size_t i = 0; i < 64 * MIB; i += PAGE_SIZE)
		must_eq(class_of(p + i), 5);
	page_set_class(p, 64 * MIB >> PAGE_SHIFT, CLASS_NONE);
	page_free(p, 64 * MIB >> PAGE_SHIFT, 0);
	zones_hold();
}
END_TEST

START_TEST(window_closes)
{
	struct page *page;
	char *p;

	fake_boot();
	/* Closed until somebody opens it. */
	p = pages(10, &page);
	page_set_class(p, 1, 3);
	ck_assert_uint_eq(hit.pages, 0);
	window_close(false);
	hit_follows();
	window_close(true);
	ck_assert_uint_eq(hit.pages, 0);
	/* Growth while it is closed does not open it; slow paths go on. */
	ck_assert_ptr_nonnull(pages(300 * MIB >> PAGE_SHIFT, &page));
	ck_assert_uint_eq(hit.pages, 0);
	ck_assert_uint_eq(class_of(p), 3);
	window_close(false);
	hit_follows();
	ck_assert_uint_gt(window.pages, 300 * MIB >> PAGE_SHIFT);
}
END_TEST

/* Where arm64 has the break of a program, and its mappings. */
START_TEST(whole_address_space)
{
	static struct section sections[2], first;
	static uint64_t leaves[2][LEAF_PAGES * PAGE_SIZE / sizeof(uint64_t)];
	static struct page memmap[2] __attribute__((aligned(PAGE_SIZE)));
	const uintptr_t at[] = { 0xaaaac0000000, 0xfffff0000000 };

	fake_boot();
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		struct section *s = &sections[i];

		s->base = addr_pfn((void *)at[i]);
		/* It has the place among the few, so the other needs the tree. */
		first.base = s->base - NR_FEW * SECTION_PAGES;
		section_publish(&first);
		must(section_of(s->base) == NULL);
		must(section_leaf_missing(s->base, 0));
		section_set_leaf(s->base, leaves[i]);
		section_publish(s);
		must(section_of(s->base) == s);
		must(section_of(s->base + SECTION_PAGES - 1) == s);
		near_memmap_add(s->base / SUB_PAGES, memmap);
		must(page_near(pfn_addr(s->base + 1)) == memmap + 1);
		/* Nor is it found by half of its number. */
		must(!page_near((void *)(at[i] & ((1ul << (OS_ADDRESS_BITS - 1)) - 1))));
		section_unpublish(s);
		must(section_of(s->base) == NULL);
		must(!page_near(pfn_addr(s->base)));
		section_unpublish(&first);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		nothing_yet, descriptors, descriptors_near, classes, class_over_sections, window_5_gib,
		window_20_gib, window_holes, window_wide_holes, hole_has_no_pages,
		leaf_border, window_closes, whole_address_space,
	};

	return unit_run("section", tests, ARRAY_SIZE(tests));
}
