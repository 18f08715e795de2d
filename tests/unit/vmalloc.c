/* SPDX-License-Identifier: MIT */
/* lib/page/vmalloc.c: blocks with mappings of their own, and their table. */
#include "common.h"

#include "page/vmalloc.h"
#include "page/zone.h"
#include "tune/tune.h"

#define MIB (1ul << 20)

static void holds(size_t count, size_t bytes)
{
	struct vmalloc_stats st = vmalloc_stats();

	must_eq(st.count, count);
	must_eq(st.bytes, bytes);
}

START_TEST(one_block)
{
	struct vm_tag tag;
	char *p;
	size_t size = 0;

	fake_boot();
	ck_assert_uint_eq(vmalloc_size(&size), 0);
	ck_assert(!vmalloc_free(&size));
	ck_assert_ptr_null(vmalloc_resize(&size, 1000));
	p = vmalloc_alloc(200001, 1);
	ck_assert(all_zero(p, 200001));
	ck_assert_uint_eq(vmalloc_size(p), 200704);
	ck_assert_uint_eq(vmalloc_size(p + 1), 0);
	ck_assert_uint_eq(vmalloc_size(p + 4096), 0);
	ck_assert_ptr_eq(vmalloc_block_of(p + 200703, &size), p);
	ck_assert_uint_eq(size, 200704);
	ck_assert_ptr_null(vmalloc_block_of(p + 200704, &size));
	ck_assert_ptr_null(vmalloc_block_of(p - 1, &size));
	holds(1, 200704);
	ck_assert(!vmalloc_free(p + 4096));
	ck_assert(!vmalloc_was_freed(p, &tag));
	ck_assert(vmalloc_free(p));
	ck_assert(!fake_is_mapped(p) && !fake_is_mapped(p + 200703));
	ck_assert(vmalloc_was_freed(p, &tag));
	ck_assert(!vmalloc_was_freed(NULL, &tag));
	ck_assert(!vmalloc_free(p));
	holds(0, 0);
	ck_assert_uint_eq(vmalloc_stats().max_count, 1);
	ck_assert_uint_eq(vmalloc_stats().max_bytes, 200704);
}
END_TEST

#define MANY 100000

/* Shuffled, so that chains in the table are cut in every way. */
static void shuffle(char **blocks, size_t *index, size_t n)
{
	struct rng r = { 9 };

	for (size_t i = n; i-- > 1;) {
		size_t k = rng_below(&r, i + 1), t = index[i];
		char *b = blocks[i];

		blocks[i] = blocks[k];
		blocks[k] = b;
		index[i] = index[k];
		index[k] = t;
	}
}

static size_t len_of(size_t i)
{
	return (1 + i % 3) * 4096;
}

START_TEST(many_blocks)
{
	static char *blocks[MANY];
	static size_t index[MANY];
	size_t bytes = 0, used;

	fake_boot();
	used = zones_used();
	for (size_t i = 0; i < MANY; i++) {
		blocks[i] = vmalloc_alloc(len_of(i), 1);
		index[i] = i;
		must(blocks[i] != NULL);
		bytes += len_of(i);
	}
	holds(MANY, bytes);
	shuffle(blocks, index, MANY);
	for (size_t i = 0; i < MANY; i++) {
		must_eq(vmalloc_size(blocks[i]), len_of(index[i]));
		/* As it goes out, its neighbours in the table must stay. */
		must(vmalloc_free(blocks[i]));
		must_eq(vmalloc_size(blocks[i]), 0);
		bytes -= len_of(index[i]);
		if (i % 1000 == 0) {
			holds(MANY - 1 - i, bytes);
			for (size_t k = i + 1; k < MANY; k += 17)
				must_eq(vmalloc_size(blocks[k]), len_of(index[k]));
		}
	}
	holds(0, 0);
	ck_assert_uint_eq(vmalloc_stats().max_count, MANY);
	/* The tables it has outgrown went back to the zone: one is left. */
	ck_assert_uint_le(zones_used() - used, 2 * MANY * 16 * 4 / 3 / PAGE_SIZE);
	zones_hold();
}
END_TEST

/* Come and go at random against a model, with alignments and resizes. */
START_TEST(random_life)
{
	struct rng r = { 4 };
	char *blocks[200] = { NULL };
	size_t len[200], bytes = 0, count = 0;

	fake_boot();
	for (int i = 0; i < 20000; i++) {
		size_t k = rng_below(&r, 200), size = rng_size(&r, 4 * MIB);

		if (!blocks[k]) {
			size_t align = 1ul << rng_below(&r, 22);

			blocks[k] = vmalloc_alloc(size, align);
			must(blocks[k] && IS_ALIGNED((uintptr_t)blocks[k], align));
			len[k] = ALIGN_UP(size, 4096);
			count++;
			bytes += len[k];
			must(all_zero(blocks[k], 16));
			must(all_zero(blocks[k] + len[k] - 16, 16));
			pattern_fill(blocks[k], MIN(len[k], 5000ul), k);
		} else if (rng_below(&r, 3)) {
			size_t keep = MIN(MIN(len[k], size), 5000ul);

			fake.remap_moves = rng_below(&r, 2);
			bytes -= len[k];
			blocks[k] = vmalloc_resize(blocks[k], size);
			must(blocks[k] != NULL);
			len[k] = ALIGN_UP(size, 4096);
			bytes += len[k];
			must(pattern_holds(blocks[k], ALIGN_DOWN(keep, 8), k));
			pattern_fill(blocks[k], MIN(len[k], 5000ul), k);
		} else {
			must(pattern_holds(blocks[k], MIN(len[k], 5000ul), k));
			must(vmalloc_free(blocks[k]));
			blocks[k] = NULL;
			count--;
			bytes -= len[k];
		}
		holds(count, bytes);
	}
	/* Nothing is mapped but the blocks and the zone. */
	ck_assert_uint_eq(fake.mapped, bytes + (zones[ZONE_BRK].present << PAGE_SHIFT));
}
END_TEST

static void aligned_blocks(size_t page_size)
{
	fake_boot();
	fake.page_size = page_size;
	for (size_t align = 1; align <= 1ul << 30; align *= 2) {
		size_t before = fake.mapped;
		char *p = vmalloc_alloc(300000, align);

		ck_assert_ptr_nonnull(p);
		ck_assert(IS_ALIGNED((uintptr_t)p, align));
		ck_assert(IS_ALIGNED((uintptr_t)p, page_size));
		ck_assert_uint_eq(vmalloc_size(p), ALIGN_UP(300000, page_size));
		/* Both ends that were cut off are gone. */
		if (align > 1)
			ck_assert_uint_eq(fake.mapped, before + vmalloc_size(p));
		pattern_fill(p, 300000, align);
	}
}

START_TEST(aligned_4k) { aligned_blocks(4096); }
END_TEST
START_TEST(aligned_64k) { aligned_blocks(65536); }
END_TEST

START_TEST(mmap_max)
{
	char *p[4];

	fake_boot();
	ck_assert(vmalloc_allowed());
	tune_set(TUNE_ID_mmap_max, 3, TUNE_MALLOPT);
	for (int i = 0; i < 3; i++) {
		ck_assert(vmalloc_allowed());
		p[i] = vmalloc_alloc(MIB, 1);
	}
	ck_assert(!vmalloc_allowed());
	vmalloc_free(p[1]);
	ck_assert(vmalloc_allowed());
	tune_set(TUNE_ID_mmap_max, 0, TUNE_MALLOPT);
	ck_assert(!vmalloc_allowed());
	/* A block that is there may still change its size. */
	p[0] = vmalloc_resize(p[0], 3 * MIB);
	ck_assert_uint_eq(vmalloc_size(p[0]), 3 * MIB);
}
END_TEST

START_TEST(failures)
{
	char *p;

	fake_boot();
	fake_fail(FAKE_MAP, 0, 1, ENOMEM);
	ck_assert_ptr_null(vmalloc_alloc(MIB, 1));
	p = vmalloc_alloc(MIB, 1);
	pattern_fill(p, MIB, 1);
	fake_fail(FAKE_REMAP, 0, 2, ENOMEM);
	ck_assert_ptr_null(vmalloc_resize(p, 2 * MIB));
	ck_assert_ptr_null(vmalloc_resize(p, MIB / 2));
	ck_assert_uint_eq(vmalloc_size(p), MIB);
	ck_assert(pattern_holds(p, MIB, 1));
	holds(1, MIB);
	ck_assert_ptr_null(vmalloc_alloc(SIZE_MAX - 100, 1));
	ck_assert_ptr_null(vmalloc_alloc(PTRDIFF_MAX, 1ul << 62));
	ck_assert_ptr_null(vmalloc_resize(p, SIZE_MAX - 100));
	ck_assert_uint_eq(vmalloc_size(p), MIB);
	ck_assert_ptr_null(vmalloc_alloc(MIB, 1ul << 40));
}
END_TEST

/* The first table cannot be had: no block, and nothing stays mapped. */
START_TEST(no_table)
{
	fake_boot();
	fake_fail(FAKE_BRK_GROW, 0, FAKE_ALWAYS, ENOMEM);
	fake_fail(FAKE_MAP, 1, 2, ENOMEM);
	ck_assert_ptr_null(vmalloc_alloc(MIB, 1));
	ck_assert_uint_eq(fake.mapped, 0);
	holds(0, 0);
	ck_assert_ptr_nonnull(vmalloc_alloc(MIB, 1));
	holds(1, MIB);
}
END_TEST

/* A table that cannot grow any more serves until it is nearly full. */
START_TEST(table_cannot_grow)
{
	static char *blocks[400];
	struct page *page;
	size_t n = 0;

	fake_boot();
	blocks[n++] = vmalloc_alloc(4096, 1);
	while (zones[ZONE_BRK].free)
		page_alloc(1, 1, &page);
	fake_fail(FAKE_BRK_GROW, 0, FAKE_ALWAYS, ENOMEM);
	fake_map_area(FAKE_MIDDLE, FAKE_MIDDLE + 3 * MIB);
	while (n < ARRAY_SIZE(blocks) && (blocks[n] = vmalloc_alloc(4096, 1)))
		n++;
	ck_assert_uint_ge(n, 192);
	for (size_t i = 0; i < n; i++)
		ck_assert_uint_eq(vmalloc_size(blocks[i]), 4096);
	holds(n, n * 4096);
	/* What was refused is not mapped either. */
	ck_assert_uint_eq(fake.mapped, (zones[ZONE_BRK].present + zones[ZONE_MMAP].present + n)
					       << PAGE_SHIFT);
	for (size_t i = 0; i < n; i++)
		ck_assert(vmalloc_free(blocks[i]));
	holds(0, 0);
}
END_TEST

/* munmap refused (too many mappings): the block is gone, its memory too. */
START_TEST(unmap_refused)
{
	char *p;

	fake_boot();
	p = vmalloc_alloc(MIB, 1);
	memset(p, 1, MIB);
	fake_fail(FAKE_UNMAP, 0, 1, ENOMEM);
	ck_assert(vmalloc_free(p));
	ck_assert_uint_eq(fake.calls[FAKE_PURGE], 1);
	ck_assert(all_zero(p, MIB));
	ck_assert_uint_eq(vmalloc_size(p), 0);
	holds(0, 0);
}
END_TEST

/* Cutting an aligned block out is refused: the block itself is still good. */
START_TEST(cut_refused)
{
	char *p;

	fake_boot();
	fake_fail(FAKE_UNMAP, 0, FAKE_ALWAYS, ENOMEM);
	p = vmalloc_alloc(MIB, 4 * MIB);
	ck_assert(IS_ALIGNED((uintptr_t)p, 4 * MIB));
	ck_assert_uint_eq(vmalloc_size(p), MIB);
	pattern_fill(p, MIB, 1);
	fake_fail(FAKE_UNMAP, 0, 0, 0);
	ck_assert(vmalloc_free(p));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		one_block, many_blocks, random_life, aligned_4k, aligned_64k, mmap_max,
		failures, no_table, table_cannot_grow, unmap_refused, cut_refused,
	};

	return unit_run("vmalloc", tests, ARRAY_SIZE(tests));
}
