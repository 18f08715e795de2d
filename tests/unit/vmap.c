/* SPDX-License-Identifier: MIT */
/* lib/page/vmap.c and the tree under it: areas, their freeing in batches, failures. */
#include "common.h"

#include "base/treap.h"
#include "page/vmap.h"
#include "page/zone.h"

#define MIB (1ul << 20)

static const void *const me = (const void *)0x1234;

/* The tree against an array: both find the same neighbours of any key. */
START_TEST(tree)
{
	static struct treap_node nodes[500];
	static bool in[500];
	struct rng r = { 1 };
	struct treap t = { NULL };

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		nodes[i].key = 10 * i + 5;
	for (int step = 0; step < 100000; step++) {
		size_t i = rng_below(&r, ARRAY_SIZE(nodes)), low = i, high = i;
		struct treap_node *n;

		if (in[i])
			treap_erase(&t, &nodes[i]);
		else
			treap_insert(&t, &nodes[i]);
		in[i] = !in[i];
		i = rng_below(&r, ARRAY_SIZE(nodes));
		for (low = i; low && !in[low]; low--)
			;
		for (high = i; high < ARRAY_SIZE(nodes) - 1 && !in[high]; high++)
			;
		n = treap_at_or_below(&t, 10 * i + 7);
		must(n == (in[low] ? &nodes[low] : NULL));
		n = treap_at_or_above(&t, 10 * i + 3);
		must(n == (in[high] ? &nodes[high] : NULL));
	}
}
END_TEST

static void *area(size_t size)
{
	void *p;

	must_eq(vmap_alloc(size, false, me, &p), 0);
	return p;
}

static void release(void *p)
{
	struct vmap_area a;

	must_eq(vmap_free(p, VMAP_ALLOC, me, &a), VMAP_OK);
}

/* What is mapped, but for the zone and the tables. */
static size_t mapped(void)
{
	return fake.mapped - ((zones[ZONE_BRK].present + zones[ZONE_MMAP].present) << PAGE_SHIFT);
}

START_TEST(one_area)
{
	struct vmap_area a;
	char *p;

	fake_boot();
	p = area(3 * 4096 + 1);
	ck_assert(all_zero(p, 4 * 4096));
	ck_assert_uint_eq(mapped(), 5 * 4096);
	ck_assert(vmap_find(p + 3 * 4096, &a));
	ck_assert_uint_eq(a.addr, (uintptr_t)p);
	ck_assert_uint_eq(a.size, 3 * 4096 + 1);
	ck_assert_ptr_eq(a.caller, me);
	ck_assert(!vmap_find(p - 1, &a));
	ck_assert(!vmap_find(p + 5 * 4096, &a));
	ck_assert_uint_eq(vmap_stats().bytes[VMAP_ALLOC], 4 * 4096);
	ck_assert_int_eq(vmap_free(p + 1, VMAP_ALLOC, me, &a), VMAP_INSIDE);
	ck_assert_int_eq(vmap_free(p, VMAP_PINNED, me, &a), VMAP_OTHER_KIND);
	ck_assert_int_eq(vmap_free(p - 1, VMAP_ALLOC, me, &a), VMAP_UNKNOWN);
	release(p);
	ck_assert_int_eq(vmap_free(p, VMAP_ALLOC, me, &a), VMAP_FREED);
	ck_assert_uint_eq(vmap_stats().count[VMAP_ALLOC], 0);
	ck_assert_uint_eq(vmap_stats().freed_bytes, 5 * 4096);
	ck_assert_uint_eq(mapped(), 5 * 4096);
	vmap_purge();
	ck_assert_uint_eq(vmap_stats().freed_count, 0);
	ck_assert_uint_eq(mapped(), 0);
	ck_assert_int_eq(vmap_free(p, VMAP_ALLOC, me, &a), VMAP_UNKNOWN);
}
END_TEST

/* Neighbours go in one call; what lives stays. */
START_TEST(purge_joins)
{
	char *p[100];
	unsigned calls;

	fake_boot();
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = area(4096);
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		if (i != 50)
			release(p[i]);
	}
	calls = fake.calls[FAKE_UNMAP];
	vmap_purge();
	ck_assert_uint_eq(fake.calls[FAKE_UNMAP] - calls, 2);
	ck_assert_uint_eq(mapped(), 2 * 4096);
	p[50][4095] = 1;
	release(p[50]);
	vmap_purge();
	ck_assert_uint_eq(mapped(), 0);
}
END_TEST

/* Above the bound the freed areas are unmapped by themselves. */
START_TEST(bounds)
{
	fake_boot();
	for (int i = 0; i < 100; i++) {
		release(area(4 * MIB));
		ck_assert_uint_le(vmap_stats().freed_bytes, 64 * MIB);
	}
	ck_assert_uint_ge(fake.calls[FAKE_UNMAP], 4);
	vmap_purge();
	for (int i = 0; i < 5000; i++) {
		release(area(4096));
		ck_assert_uint_le(vmap_stats().freed_count, 1024);
	}
}
END_TEST

/* unmap refused: the areas stay sealed, and go another time. */
START_TEST(unmap_refused)
{
	struct vmap_area a;
	char *p, *q;

	fake_boot();
	p = area(4096);
	q = area(8192);
	release(p);
	release(q);
	fake_fail(FAKE_UNMAP, 0, 1, ENOMEM);
	vmap_purge();
	ck_assert_uint_eq(vmap_stats().freed_count, 2);
	ck_assert_int_eq(vmap_free(p, VMAP_ALLOC, me, &a), VMAP_FREED);
	vmap_purge();
	ck_assert_uint_eq(vmap_stats().freed_count, 0);
	ck_assert_uint_eq(mapped(), 0);
}
END_TEST

/* Every call that may fail does: no area, and nothing is left. */
START_TEST(failures)
{
	struct vmap_area a;
	void *p = NULL, *q;
	int err;

	fake_boot();
	release(area(4096));
	vmap_purge();
	fake_fail(FAKE_MAP, 0, 1, ENOMEM);
	ck_assert_int_eq(vmap_alloc(MIB, false, me, &p), -ENOMEM);
	fake_fail(FAKE_SEAL, 0, 1, ENOMEM);
	ck_assert_int_eq(vmap_alloc(MIB, false, me, &p), -ENOMEM);
	fake_fail(FAKE_OPEN, 0, 1, ENOMEM);
	ck_assert_int_eq(vmap_pin(MIB, false, me, &p), -ENOMEM);
	fake_fail(FAKE_PIN, 0, 1, EPERM);
	ck_assert_int_eq(vmap_pin(MIB, true, me, &p), -EPERM);
	ck_assert_int_eq(vmap_map(0, 0, 1, me, &p), -EBADF);
	ck_assert_int_eq(vmap_alloc(SIZE_MAX, false, me, &p), -ENOMEM);
	ck_assert_int_eq(vmap_alloc(SIZE_MAX - 8191, false, me, &p), -ENOMEM);
	ck_assert_int_eq(vmap_pin(SIZE_MAX - 8191, true, me, &p), -ENOMEM);
	ck_assert_ptr_null(p);
	ck_assert_uint_eq(mapped(), 0);

	/* Freed areas hold the last addresses: they are given up first. */
	p = area(20 * MIB);
	release(p);
	fake.limit = fake.mapped;
	p = area(20 * MIB);
	fake_fail(FAKE_REMAP, 0, 1, ENOMEM);
	ck_assert_int_eq(vmap_resize(p, 30 * MIB, false, me, &q, &err, &a), VMAP_OK);
	ck_assert_int_eq(err, -ENOMEM);
	ck_assert(vmap_find(p, &a) && a.size == 20 * MIB);

	/* It cannot be sealed: then it is unmapped at once. */
	fake_fail(FAKE_SEAL, 0, 1, ENOMEM);
	release(p);
	ck_assert_uint_eq(mapped(), 0);
	ck_assert_uint_eq(vmap_stats().freed_count, 0);
}
END_TEST

/* No memory for a node. */
START_TEST(no_node)
{
	struct page *page;
	void *p = NULL;

	fake_boot();
	fake_fail(FAKE_BRK_GROW, 0, FAKE_ALWAYS, ENOMEM);
	fake_fail(FAKE_MAP, 1, FAKE_ALWAYS, ENOMEM);
	ck_assert_int_eq(vmap_alloc(MIB, false, me, &p), -ENOMEM);
	ck_assert_uint_eq(fake.mapped, 0);
	fake_fail(FAKE_BRK_GROW, 0, 0, 0);
	fake_fail(FAKE_MAP, 0, 0, 0);
	release(area(MIB));
	ck_assert_ptr_nonnull(page_alloc(1, 1, &page));
}
END_TEST

static void aligned_pinned(size_t page_size)
{
	struct vmap_area a;
	char *p;

	fake_boot();
	fake.page_size = page_size;
	ck_assert_int_eq(vmap_pin(page_size + 1, true, me, (void **)&p), 0);
	ck_assert(IS_ALIGNED((uintptr_t)p, page_size * (page_size / 8)));
	p[0] = p[2 * page_size - 1] = 1;
	ck_assert(vmap_find(p - 1, &a) && a.addr == (uintptr_t)p && a.huge == VMAP_THP);
	ck_assert_uint_eq(a.len, page_size * (page_size / 8) + 2 * page_size);
	ck_assert_int_eq(vmap_free(p, VMAP_PINNED, me, &a), VMAP_OK);
	vmap_purge();
	ck_assert_uint_eq(mapped(), 0);
}

START_TEST(pinned_4k) { aligned_pinned(4096); }
END_TEST
START_TEST(pinned_64k) { aligned_pinned(65536); }
END_TEST

/* Come, grow, shrink and go at random, against a model. */
static void random_life(size_t page_size, uint64_t seed)
{
	struct rng r = { seed };
	char *p[100] = { NULL };
	size_t len[100], count = 0;
	struct vmap_area a;
	int err;

	fake_boot();
	fake.page_size = page_size;
	for (int i = 0; i < 20000; i++) {
		size_t k = rng_below(&r, 100), size = rng_size(&r, 2 * MIB);

		if (!p[k]) {
			p[k] = area(size);
			must(all_zero(p[k], MIN(size, 3000ul)));
			len[k] = size;
			count++;
			pattern_fill(p[k], MIN(size, 5000ul), k);
		} else if (rng_below(&r, 3)) {
			size_t keep = MIN(MIN(len[k], size), 5000ul);
			void *q;

			if (!rng_below(&r, 4))
				fake_fail(FAKE_REMAP, 0, 1, EFAULT);
			must_eq(vmap_resize(p[k], size, true, me, &q, &err, &a), VMAP_OK);
			fake_fail(FAKE_REMAP, 0, 0, 0);
			must_eq(err, 0);
			p[k] = q;
			must(pattern_holds(p[k], keep, k));
			if (size > len[k])
				must(all_zero(p[k] + len[k], MIN(size - len[k], 5000ul)));
			memset(p[k], 0xff, size);
			pattern_fill(p[k], MIN(size, 5000ul), k);
			len[k] = size;
		} else {
			must(pattern_holds(p[k], MIN(len[k], 5000ul), k));
			release(p[k]);
			p[k] = NULL;
			count--;
		}
		must_eq(vmap_stats().count[VMAP_ALLOC], count);
	}
	for (size_t k = 0; k < 100; k++) {
		if (p[k])
			release(p[k]);
	}
	vmap_purge();
	must_eq(vmap_stats().bytes[VMAP_ALLOC], 0);
	must_eq(mapped(), 0);
}

START_TEST(random_4k) { random_life(4096, 5); }
END_TEST
START_TEST(random_64k) { random_life(65536, 6); }
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		tree, one_area, purge_joins, bounds, unmap_refused, failures, no_node,
		pinned_4k, pinned_64k, random_4k, random_64k,
	};

	return unit_run("vmap", tests, ARRAY_SIZE(tests));
}
