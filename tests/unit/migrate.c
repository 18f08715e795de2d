/* SPDX-License-Identifier: MIT */
/* lib/page/migrate.c: free memory that comes to where it is wanted. */
#include "common.h"

#include "os/vm.h"
#include "page/migrate.h"
#include "page/thp.h"
#include "page/zone.h"
#include "slab/large.h"
#include "tune/tune.h"

#define REGIONS	8

static struct zone *const z = &zones[ZONE_BRK];
static char *kept[REGIONS];

static char *get(size_t npages, size_t align)
{
	struct page *page = NULL;
	char *p = page_alloc(npages, align, &page);

	must(p != NULL);
	return p;
}

/* Regions that lie free and touched, with one in use after each. */
static void scatter(void)
{
	char *p[REGIONS];

	for (size_t i = 0; i < REGIONS; i++) {
		p[i] = get(HUGE_PAGES, HUGE_PAGES);
		kept[i] = get(HUGE_PAGES, HUGE_PAGES);
		memset(p[i], 0xee, HUGE_SIZE);
		memset(kept[i], (int)i + 1, HUGE_SIZE);
	}
	/* What lies between them is no place for a run. */
	while (z->free)
		get(1, 1);
	for (size_t i = 0; i < REGIONS; i++)
		page_free(p[i], HUGE_PAGES, HUGE_PAGES);
	must_eq(z->free_touched, REGIONS * HUGE_PAGES);
}

/* Up to 32 MiB zones serve what is asked for. */
static void boot_empty(void)
{
	unit_boot();
	fake.can_move = true;
	tune_note_unmap(TUNE_DYNAMIC_MAX);
}

static void boot(void)
{
	boot_empty();
	scatter();
}

static void all_kept(void)
{
	for (size_t i = 0; i < REGIONS; i++)
		must(kept[i][0] == (char)i + 1 && kept[i][HUGE_SIZE - 1] == (char)i + 1);
	zones_hold();
}

/* How many pages of a run hold something. */
static size_t filled(const char *p, size_t npages)
{
	size_t n = 0;

	for (size_t i = 0; i < npages; i++)
		n += p[i * PAGE_SIZE] != 0;
	return n;
}

/* A run that lies in no free place gets what is there, whole regions of it. */
START_TEST(comes)
{
	const size_t n = 4 * HUGE_PAGES + 100;
	size_t moves;
	char *p;

	boot();
	p = large_alloc(n * PAGE_SIZE, PAGE_SIZE, false, ALLOC_NORMAL);
	moves = fake.calls[FAKE_MOVE];
	ck_assert_uint_ge(moves, 3);
	ck_assert_uint_eq(filled(p, n), moves * HUGE_PAGES);
	ck_assert_uint_eq(z->free_touched, (REGIONS - moves) * HUGE_PAGES);
	all_kept();
	/* It is known to be touched: who asks for zeros gets them. */
	large_free(p);
	ck_assert_uint_eq(z->free_touched, (REGIONS - moves) * HUGE_PAGES + n);
	p = large_alloc(n * PAGE_SIZE, PAGE_SIZE, true, ALLOC_NORMAL);
	ck_assert_uint_eq(filled(p, n), 0);
	ck_assert_uint_eq(fake.calls[FAKE_MOVE], moves);
	all_kept();
}
END_TEST

/* Where what is there will do, nothing is moved; nor for what has no whole region. */
START_TEST(stays)
{
	boot();
	large_alloc(HUGE_SIZE, PAGE_SIZE, false, ALLOC_NORMAL);
	ck_assert_uint_eq(fake.calls[FAKE_MOVE], 0);
	large_alloc(HUGE_SIZE - PAGE_SIZE, HUGE_SIZE, false, ALLOC_NORMAL);
	ck_assert_uint_eq(fake.calls[FAKE_MOVE], 0);
	all_kept();
}
END_TEST

/* Who may not enter the kernel, who has set a parameter, where there is no such call. */
static void never(unsigned how)
{
	must(large_alloc(4 * HUGE_SIZE, PAGE_SIZE, false, how) || !(how & ALLOC_GROW));
	ck_assert_uint_eq(fake.calls[FAKE_MOVE], 0);
	all_kept();
}

START_TEST(never_quietly)
{
	char *p;

	boot();
	p = get(4 * HUGE_PAGES, 1);
	page_free(p, 4 * HUGE_PAGES, 0);
	never(ALLOC_WAIT);
}
END_TEST

START_TEST(never_with_parameters)
{
	boot();
	ck_assert_int_eq(tune_mallopt(-2, 1 << 20), 1);
	ck_assert_int_eq(tune_mallopt(-3, 1 << 30), 1);
	never(ALLOC_NORMAL);
}
END_TEST

START_TEST(never_without)
{
	boot();
	fake.can_move = false;
	never(ALLOC_NORMAL);
}
END_TEST

/* Each that is refused leaves all as it was, and in the end none is tried. */
START_TEST(refused)
{
	unsigned calls;

	boot();
	fake_fail(FAKE_MOVE, 0, FAKE_ALWAYS, EINVAL);
	for (size_t i = 0; i < 100; i++)
		ck_assert(migrate_in(get(4 * HUGE_PAGES, HUGE_PAGES), 4 * HUGE_PAGES));
	calls = fake.calls[FAKE_MOVE];
	ck_assert_uint_gt(calls, 32);
	ck_assert_uint_le(calls, 64);
	ck_assert_uint_eq(z->free_touched, REGIONS * HUGE_PAGES);
	all_kept();
}
END_TEST

/* A run of which a part is gone is handed to nobody; the request is served all the same. */
START_TEST(lost)
{
	char *p;

	boot();
	fake_fail(FAKE_MOVE, 1, 1, -OS_LOST);
	ck_assert_ptr_nonnull(large_alloc(4 * HUGE_SIZE, HUGE_SIZE, false, ALLOC_NORMAL));
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 1);
	ck_assert_uint_eq(fake.calls[FAKE_MOVE], 2);
	p = large_alloc(4 * HUGE_SIZE, HUGE_SIZE, false, ALLOC_NORMAL);
	ck_assert_ptr_nonnull(p);
	memset(p, 1, 4 * HUGE_SIZE);
	ck_assert_uint_eq(fake.calls[FAKE_MOVE], 2);
	all_kept();
}
END_TEST

/* Blocks above the dynamic threshold: by where their pages are. */
START_TEST(instead_of_mappings)
{
	const size_t size = 40ul << 20;

	boot_empty();
	ck_assert_ptr_nonnull(large_alloc(size, PAGE_SIZE, false, ALLOC_NORMAL));
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 1);
	/* More than a quarter of one is in memory now, free. */
	scatter();
	ck_assert_ptr_nonnull(large_alloc(size, PAGE_SIZE, true, ALLOC_NORMAL));
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 2);
	ck_assert_ptr_nonnull(large_alloc(size, PAGE_SIZE, false, ALLOC_NORMAL | ALLOC_MOVES));
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 3);
	ck_assert_ptr_nonnull(large_alloc(2 * size, PAGE_SIZE, false, ALLOC_NORMAL));
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 4);
	ck_assert_ptr_nonnull(large_alloc(size, PAGE_SIZE, false, ALLOC_NORMAL));
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 4);
	all_kept();
}
END_TEST

/* Shorter ones too, as soon as a quarter is in memory; for these nothing is moved. */
START_TEST(instead_of_short_mappings)
{
	const size_t npages = 64, size = npages * PAGE_SIZE;
	char *quarter, *piece;

	unit_boot();
	fake.can_move = false;
	quarter = get(npages / 4, 1);
	get(1, 1);
	/* The first is written down in a page of the heap. */
	ck_assert_ptr_nonnull(large_alloc(size, PAGE_SIZE, false, ALLOC_NORMAL));
	page_free(quarter, npages / 4 - 1, npages / 4 - 1);
	ck_assert_ptr_nonnull(large_alloc(size, PAGE_SIZE, false, ALLOC_NORMAL));
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 2);
	page_free(quarter + (npages / 4 - 1) * PAGE_SIZE, 1, 1);
	ck_assert_ptr_nonnull(large_alloc(size, PAGE_SIZE, true, ALLOC_NORMAL));
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 3);
	ck_assert_ptr_nonnull(large_alloc(size, PAGE_SIZE, false, ALLOC_NORMAL | ALLOC_MOVES));
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 4);
	ck_assert_ptr_nonnull(large_alloc(size, PAGE_SIZE, false, ALLOC_NORMAL));
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 4);
	ck_assert_uint_eq(fake.calls[FAKE_MOVE], 0);
	zones_hold();
	/* The heap does not grow for one: where no free run will do, it is mapped. */
	piece = get(npages / 2, 1);
	while (z->free)
		get(1, 1);
	page_free(piece, npages / 2, npages / 2);
	ck_assert_ptr_nonnull(large_alloc(size, PAGE_SIZE, false, ALLOC_NORMAL));
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 5);
	/* Where a region would have to be moved, and cannot be, nothing changes. */
	page_free(get(HUGE_PAGES, 1), HUGE_PAGES, HUGE_PAGES);
	ck_assert_ptr_nonnull(large_alloc(HUGE_SIZE, PAGE_SIZE, false, ALLOC_NORMAL));
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 6);
	/* Nor once a parameter is set. */
	ck_assert_int_eq(tune_mallopt(-2, 1 << 20), 1);
	ck_assert_ptr_nonnull(large_alloc(size, PAGE_SIZE, false, ALLOC_NORMAL));
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 7);
}
END_TEST

/* What lies above the break is forgotten. */
START_TEST(forgotten)
{
	size_t n = 4 * HUGE_PAGES;
	struct section *s;
	char *p;

	boot();
	p = get(n, HUGE_PAGES);
	ck_assert(migrate_in(p, n));
	s = section_of(addr_pfn(p));
	ck_assert_uint_ne(s->moved, 0);
	migrate_forget(s, 0, SECTION_PAGES);
	ck_assert_uint_eq(s->moved, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		comes, stays, never_quietly, never_with_parameters, never_without, refused, lost,
		instead_of_mappings, instead_of_short_mappings, forgotten,
	};

	return unit_run("migrate", tests, ARRAY_SIZE(tests));
}
