/* SPDX-License-Identifier: MIT */
/* The end of memory, and every single refusal of the system on the way there. */
#include "common.h"

#include "page/reclaim.h"
#include "page/vmalloc.h"
#include "page/zone.h"
#include "slab/kmalloc.h"
#include "tune/tune.h"

#define MIB	(1ul << 20)
#define BLOCKS	200000

static char *blocks[BLOCKS];
static size_t sizes[BLOCKS];

static size_t head(size_t size)
{
	return MIN(size, 200ul);
}

/* Allocate until the first NULL; returns the number of blocks. */
static size_t fill(struct rng *r, size_t max, bool realloc_too)
{
	size_t n = 0;

	for (; n < BLOCKS; n++) {
		size_t size = rng_size(r, max);
		char *p, *q;

		errno = 0;
		p = kmalloc(size);
		if (!p)
			break;
		pattern_fill(p, head(size), n);
		if (realloc_too && n % 4 == 0) {
			q = krealloc(p, 2 * size);
			must(q || errno == ENOMEM);
			p = q ? q : p;
			must(pattern_holds(p, head(size), n));
		}
		blocks[n] = p;
		sizes[n] = size;
	}
	must(n < BLOCKS);
	must_eq(errno, ENOMEM);
	return n;
}

static void empty(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		must(pattern_holds(blocks[i], head(sizes[i]), i));
		kfree(blocks[i]);
	}
}

static void nothing_left(void)
{
	struct kmalloc_usage u = kmalloc_usage();

	must_eq(u.slab_blocks, 0);
	must_eq(u.large_blocks, 0);
	must_eq(vmalloc_stats().count, 0);
	zones_hold();
}

/* Full, then free, again and again: as much fits the last time as the first. */
static void to_the_end(size_t max, bool realloc_too)
{
	size_t first = 0, base = 0;

	unit_boot();
	fake.limit = 40 * MIB;
	for (int round = 0; round < 5; round++) {
		struct rng r = { 77 };
		size_t n = fill(&r, max, realloc_too);

		ck_assert_ptr_null(kzalloc(39 * MIB));
		ck_assert_ptr_null(kmalloc_aligned(39 * MIB, MIB));
		empty(n);
		nothing_left();
		kmalloc_drain();
		reclaim_all(0);
		nothing_left();
		if (!round) {
			first = n;
			base = zones_used();
		}
		ck_assert_uint_ge(n, first - first / 10);
		ck_assert_uint_le(zones_used(), base + 64);
		/* Memory is whole again, but for what caches keep for themselves. */
		blocks[0] = kzalloc(4 * MIB);
		ck_assert_ptr_nonnull(blocks[0]);
		kfree(blocks[0]);
	}
}

START_TEST(small_blocks) { to_the_end(2000, false); }
END_TEST
START_TEST(medium_blocks) { to_the_end(100000, true); }
END_TEST
START_TEST(large_blocks) { to_the_end(8 * MIB, true); }
END_TEST

/* No mappings, and no break: the one must do for the other. */
START_TEST(only_the_break)
{
	struct rng r = { 1 };
	size_t n;

	unit_boot();
	fake_map_area(FAKE_MIDDLE, FAKE_MIDDLE);
	fake.limit = 64 * MIB;
	n = fill(&r, MIB, true);
	ck_assert_uint_ge(zones[ZONE_BRK].present, 56 * MIB >> PAGE_SHIFT);
	empty(n);
	nothing_left();
}
END_TEST

START_TEST(only_mappings)
{
	struct rng r = { 1 };
	size_t n;

	unit_boot();
	fake_break(MIB, 0);
	fake.limit = 64 * MIB;
	n = fill(&r, MIB, true);
	ck_assert_uint_ge(fake.mapped, 48 * MIB);
	empty(n);
	nothing_left();
}
END_TEST

START_TEST(no_memory_at_all)
{
	unit_boot();
	fake.limit = 0;
	for (size_t size = 1; size < 100 * MIB; size = 3 * size + 1) {
		errno = 0;
		ck_assert_ptr_null(kmalloc(size));
		ck_assert_int_eq(errno, ENOMEM);
		ck_assert_ptr_null(kzalloc(size));
		ck_assert_ptr_null(kmalloc_aligned(size, 256));
	}
	kmalloc_drain();
	reclaim_all(0);
	nothing_left();
	fake.limit = SIZE_MAX;
	ck_assert_ptr_nonnull(kmalloc(1));
}
END_TEST

/*
 * A life in which the system refuses a call of one kind now and then: what is
 * refused is told, nothing else is lost.
 */
static void refusals(enum fake_call kind, uint64_t seed)
{
	struct rng r = { seed };
	char *p[128] = { NULL };
	size_t len[128];

	unit_boot();
	tune_set(TUNE_ID_trim_threshold, 256 << 10, TUNE_MALLOPT);
	for (int i = 0; i < 6000; i++) {
		size_t k = rng_below(&r, 128), size = rng_size(&r, 3 * MIB);
		char *q;

		if (i % 3 == 0)
			fake_fail(kind, (unsigned)rng_below(&r, 3),
				  1 + (unsigned)rng_below(&r, 3), ENOMEM);
		errno = 0;
		if (!p[k]) {
			q = rng_below(&r, 2) ? kzalloc(size) : kmalloc_aligned(size, 64);
			must(q || errno == ENOMEM);
		} else if (rng_below(&r, 2)) {
			must(pattern_holds(p[k], head(len[k]), k));
			kfree(p[k]);
			q = NULL;
		} else {
			q = krealloc(p[k], size);
			must(pattern_holds(q ? q : p[k],
					   ALIGN_DOWN(MIN(head(len[k]), q ? size : len[k]), 8), k));
			must(q || errno == ENOMEM);
			size = q ? size : len[k];
			q = q ? q : p[k];
		}
		p[k] = q;
		len[k] = size;
		if (q)
			pattern_fill(q, head(size), k);
		if (i % 500 == 0) {
			kmalloc_drain();
			reclaim_all(rng_size(&r, MIB));
			zones_hold();
		}
	}
	fake_fail(kind, 0, 0, 0);
	for (size_t k = 0; k < 128; k++)
		kfree(p[k]);
	nothing_left();
	p[0] = kmalloc(100 * MIB);
	ck_assert_ptr_nonnull(p[0]);
	kfree(p[0]);
	kmalloc_drain();
	nothing_left();
}

START_TEST(refused_query) { refusals(FAKE_SBRK_QUERY, 1); }
END_TEST
START_TEST(refused_growth) { refusals(FAKE_BRK_GROW, 2); }
END_TEST
START_TEST(refused_trim) { refusals(FAKE_BRK_TRIM, 3); }
END_TEST
START_TEST(refused_map) { refusals(FAKE_MAP, 4); }
END_TEST
START_TEST(refused_unmap) { refusals(FAKE_UNMAP, 5); }
END_TEST
START_TEST(refused_remap) { refusals(FAKE_REMAP, 6); }
END_TEST
START_TEST(refused_purge) { refusals(FAKE_PURGE, 7); }
END_TEST

/* A realloc that cannot have more leaves the block; one for less succeeds. */
START_TEST(shrink_without_memory)
{
	static const size_t from[] = { 32768, 100000, 120000, MIB, 8 * MIB };

	unit_boot();
	for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
		char *p = kmalloc(from[i]);

		pattern_fill(p, from[i], i);
		fake_fail_all(true);
		for (size_t size = from[i]; size > from[i] / 2; size -= from[i] / 9) {
			char *q = krealloc(p, size);

			must(q != NULL);
			must(pattern_holds(q, ALIGN_DOWN(size, 8), i));
			p = q;
		}
		fake_fail_all(false);
		kfree(p);
	}
	nothing_left();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		small_blocks, medium_blocks, large_blocks, only_the_break, only_mappings,
		no_memory_at_all, refused_query, refused_growth, refused_trim, refused_map,
		refused_unmap, refused_remap, refused_purge, shrink_without_memory,
	};

	return unit_run("exhaust", tests, ARRAY_SIZE(tests));
}
