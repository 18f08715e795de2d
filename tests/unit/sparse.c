/* SPDX-License-Identifier: MIT */
/* lib/page/page.c: runs and tables of which few pages are used. */
#include "common.h"

#include "page/zone.h"
#include "tune/tune.h"

static struct zone *const z = &zones[ZONE_BRK];

static char *get(size_t npages, size_t align)
{
	struct page *page = NULL;
	char *p = page_alloc(npages, align, &page);

	must(p != NULL);
	return p;
}

/* An array of @n pages is used at one page in 64, from @first on, and freed. */
static void use_sparsely(size_t n, size_t first)
{
	char *p = get(n, fake.page_size / PAGE_SIZE);

	page_zero(p, n);
	for (size_t i = first; i < n; i += 64) {
		must(!p[i * PAGE_SIZE]);
		p[i * PAGE_SIZE] = 1;
	}
	page_free_sparse(p, n, true);
}

/* Sparse arrays do not fill the heap with pages that were used once. */
static void sparse_moves(size_t page_size)
{
	const size_t unit = page_size / PAGE_SIZE;

	fake_boot();
	fake.page_size = page_size;
	get(1, 1);
	for (size_t i = 0; i < 64; i++) {
		use_sparsely(2000, i);
		ck_assert_uint_le(z->free_touched, 256 + 2000 / 64 * unit + unit);
	}
	ck_assert_uint_gt(fake.calls[FAKE_PURGE], 0);
	ck_assert_uint_eq(z->nr_purge, fake.calls[FAKE_PURGE]);
	zones_hold();
}

START_TEST(sparse_moves_4k) { sparse_moves(4096); }
END_TEST
START_TEST(sparse_moves_16k) { sparse_moves(16384); }
END_TEST

/* What is used again at the same places stays in memory, however often. */
START_TEST(sparse_stays)
{
	fake_boot();
	for (size_t i = 0; i < 1000; i++) {
		use_sparsely(2000, 7);
		ck_assert_uint_eq(z->free_touched, (2000 - 7 + 63) / 64);
	}
	ck_assert_uint_eq(fake.calls[FAKE_PURGE], 0);
}
END_TEST

/* Arrays in full use are no matter of this. */
START_TEST(sparse_full)
{
	fake_boot();
	for (size_t i = 0; i < 4; i++) {
		char *p = get(2000, 1);

		memset(p, 0xee, 2000 / 3 * PAGE_SIZE);
		page_free_sparse(p, 2000, true);
		ck_assert_uint_eq(z->free_touched, 2000 / 3);
	}
	ck_assert_uint_eq(fake.calls[FAKE_PURGE], 0);
}
END_TEST

/* What the system does not give back is not taken for zero. */
START_TEST(sparse_refused)
{
	fake_boot();
	fake_fail(FAKE_PURGE, 0, FAKE_ALWAYS, EINVAL);
	for (size_t i = 0; i < 64; i++)
		use_sparsely(2000, i);
	ck_assert_uint_gt(fake.calls[FAKE_PURGE], 0);
	ck_assert_uint_eq(z->free_touched, 2000);
	zones_hold();
}
END_TEST

/* A small array is asked after only if the next one is likely to be zeroed too. */
START_TEST(sparse_zeroed)
{
	char *p;

	fake_boot();
	p = get(100, 1);
	p[50 * PAGE_SIZE] = 1;
	page_free_sparse(p, 100, true);
	ck_assert_uint_eq(z->free_touched, 1);
	p = get(100, 1);
	page_free_sparse(p, 100, false);
	ck_assert_uint_eq(z->free_touched, 100);
	zones_hold();
}
END_TEST

/* With something in swap, before or after, no page is known to be zero. */
static void swapped(unsigned from, unsigned asked, size_t touched)
{
	fake_boot();
	fake.swap_from = from;
	use_sparsely(5000, 8);
	must_eq(fake.swap_asked, asked);
	must_eq(z->free_touched, touched);
	zones_hold();
}

START_TEST(swapped_before) { swapped(1, 1, 5000); }
END_TEST
START_TEST(swapped_meanwhile) { swapped(2, 2, 5000); }
END_TEST
/* Two questions, however long the run is. */
START_TEST(swapped_later) { swapped(3, 2, 5000 / 64); }
END_TEST

/* Runs of any length, below what the system is asked of at once and above. */
START_TEST(sparse_lengths)
{
	fake_boot();
	for (size_t n = 2045; n <= 2064; n++) {
		char *p = get(n, 1);

		p[0] = p[9 * PAGE_SIZE] = p[15 * PAGE_SIZE] = p[(n - 1) * PAGE_SIZE] = 1;
		page_free_sparse(p, n, true);
		must_eq(z->free_touched, 3 + n - 2044);
	}
	zones_hold();
}
END_TEST

/* A table takes no page that is in memory away from others. */
static void tables(size_t page_size, bool refused)
{
	const size_t n = 64;
	char *p, *q;

	fake_boot();
	fake.page_size = page_size;
	p = get(n, n);
	memset(p, 0xee, n * PAGE_SIZE);
	while (z->free)
		get(1, 1);
	page_free(p, n, n);
	if (refused)
		fake_fail(FAKE_PURGE, 0, FAKE_ALWAYS, EINVAL);
	q = page_alloc_table(n);
	ck_assert_ptr_eq(p, q);
	ck_assert_uint_eq(page_touched(q, n), refused ? ~0ull : 0);
	ck_assert_uint_eq(fake.calls[FAKE_PURGE], 1);
	ck_assert(all_zero(q, n * PAGE_SIZE));
	page_free_meta(q, n);
	ck_assert_uint_eq(z->free_touched, n);
	zones_hold();
}

START_TEST(tables_4k) { tables(4096, false); }
END_TEST
START_TEST(tables_16k) { tables(16384, false); }
END_TEST
START_TEST(tables_refused) { tables(4096, true); }
END_TEST

/* Who sets parameters counts on no call. */
START_TEST(tables_without_calls)
{
	char *p;

	fake_boot();
	p = get(64, 1);
	memset(p, 0xee, 64 * PAGE_SIZE);
	page_free(p, 64, 64);
	ck_assert_int_eq(tune_mallopt(-2, 1 << 20), 1);
	ck_assert_ptr_eq(page_alloc_table(64), p);
	ck_assert(all_zero(p, 64 * PAGE_SIZE));
	ck_assert_uint_eq(fake.calls[FAKE_PURGE], 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		sparse_moves_4k, sparse_moves_16k, sparse_stays, sparse_full, sparse_refused,
		sparse_zeroed, swapped_before, swapped_meanwhile, swapped_later, sparse_lengths,
		tables_4k, tables_16k, tables_refused, tables_without_calls,
	};

	return unit_run("sparse", tests, ARRAY_SIZE(tests));
}
