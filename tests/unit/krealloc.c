/* SPDX-License-Identifier: MIT */
/* krealloc() of lib/slab/kmalloc.c, and large.c: where a block stays, and where it goes. */
#include "common.h"

#include <errno.h>

#include "page/fault.h"
#include "page/vmalloc.h"
#include "page/zone.h"
#include "slab/kmalloc.h"
#include "slab/size_class.h"
#include "tune/tune.h"

#define MIB (1ul << 20)

static void no_mappings(void)
{
	tune_set(TUNE_ID_mmap_max, 0, TUNE_MALLOPT);
}

/* Contents survive every pair of sizes, over all kinds of blocks. */
START_TEST(realloc_contents)
{
	static const size_t sizes[] = {
		1, 15, 16, 17, 100, 128, 129, 1000, 4096, 5000, 20000, 32768, 32769,
		40000, 65536, 100000, 131071, 131072, 140000, 300000, MIB, 5 * MIB,
	};

	unit_boot();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
			size_t keep = MIN(sizes[i], sizes[k]);
			char *p = kmalloc(sizes[i]);

			pattern_fill(p, sizes[i], i);
			p = krealloc(p, sizes[k]);
			must(p && ksize(p) >= sizes[k]);
			must(pattern_holds(p, ALIGN_DOWN(keep, 8), i));
			pattern_fill(p, sizes[k], k);
			kfree(p);
		}
	}
	zones_hold();
}
END_TEST

START_TEST(realloc_in_place)
{
	char *p, *q;

	unit_boot();
	/* Within a class, and down to half of it. */
	p = kmalloc(1000);
	ck_assert_ptr_eq(krealloc(p, 1024), p);
	ck_assert_ptr_eq(krealloc(p, 512), p);
	p = krealloc(p, 100);
	ck_assert_uint_eq(ksize(p), 112);
	kfree(p);

	/* Pages: into free neighbours, over the top, and shrinking always. */
	no_mappings();
	p = kmalloc(100000);
	q = krealloc(p, 5 * MIB);
	ck_assert_uint_eq(ksize(q), 5 * MIB);
	ck_assert_ptr_eq(krealloc(q, MIB), q);
	ck_assert_uint_eq(ksize(q), MIB);
	ck_assert_ptr_eq(krealloc(q, 40000), q);
	ck_assert_uint_eq(ksize(q), 40960);
	ck_assert_ptr_eq(krealloc(q, 2 * MIB), q);
	kfree(q);
	zones_hold();
}
END_TEST

/* No copy where a block keeps its class. */
START_TEST(realloc_same_class)
{
	unit_boot();
	for (size_t size = 1; size <= 16; size++) {
		char *p = kmalloc(16);

		must(krealloc(p, size) == p);
		kfree(p);
	}
}
END_TEST

/* A large block grows by remapping, without a copy by us. */
START_TEST(realloc_mapped)
{
	char *p;

	unit_boot();
	p = kmalloc(MIB);
	pattern_fill(p, MIB, 1);
	for (size_t size = 2 * MIB; size <= 64 * MIB; size *= 2) {
		fake.remap_moves = size & 4 * MIB;
		p = krealloc(p, size);
		must_eq(vmalloc_size(p), size);
		must(pattern_holds(p, MIB, 1));
	}
	ck_assert_uint_eq(fake.calls[FAKE_REMAP], 6);
	p = krealloc(p, 1000);
	ck_assert_uint_eq(ksize(p), 1024);
	ck_assert(pattern_holds(p, 1000, 1));
	ck_assert_uint_eq(vmalloc_stats().count, 0);
	kfree(p);
}
END_TEST

/* Who grows in small steps gets pages with room, and stays there while it lasts. */
START_TEST(creeps_into_room)
{
	size_t size = 8192, have, moves = 0;
	char *p, *q;

	unit_boot();
	p = kmalloc(size);
	pattern_fill(p, size, 1);
	for (; size < 60000; size += 96) {
		q = krealloc(p, size + 96);
		must(q && pattern_holds(q, 8192, 1));
		moves += q != p;
		p = q;
		must(ksize(p) >= size + 96 && class_of(p) == CLASS_LARGE);
	}
	ck_assert_uint_le(moves, 20);
	kfree(p);

	/* No step within the room changes the block; the first one back takes it away. */
	p = krealloc(kmalloc(32768), 33000);
	have = ksize(p);
	ck_assert_uint_eq(have, ALIGN_UP(33000 + 33000 / 8, 4096));
	ck_assert_ptr_eq(krealloc(p, 33001), p);
	ck_assert_ptr_eq(krealloc(p, 36000), p);
	ck_assert_uint_eq(ksize(p), have);
	ck_assert_ptr_eq(krealloc(p, 33000), p);
	ck_assert_uint_eq(ksize(p), 36864);
	kfree(p);

	/* A large step is no creeping: exactly what was asked for. */
	p = krealloc(kmalloc(40000), 80000);
	ck_assert_uint_eq(ksize(p), 81920);
	kfree(p);
	zones_hold();
}
END_TEST

#define NR_BUFFERS 64

/* Many that grow side by side leave each other room, and need little more than they hold. */
START_TEST(creep_side_by_side)
{
	static char *buf[NR_BUFFERS];
	static size_t size[NR_BUFFERS];
	size_t moves = 0, started = 0, rng = 1;

	unit_boot();
	for (size_t i = 0; i < 400000; i++) {
		size_t k = (rng = rng * 6364136223846793005ul + 1442695040888963407ul) >> 58;
		char *p = krealloc(buf[k], size[k] + 104);

		must(p);
		moves += size[k] >= 8192 && p != buf[k];
		buf[k] = p;
		size[k] += 104;
		p[size[k] - 1] = 1;
		if (size[k] > 65536) {
			kfree(p);
			buf[k] = NULL;
			size[k] = 0;
			started++;
		}
	}
	ck_assert_uint_le(moves, 3 * started);
	for (size_t k = 0; k < NR_BUFFERS; k++)
		kfree(buf[k]);
	/* All that was ever in a run. */
	ck_assert_uint_le(zones[ZONE_BRK].free_touched, 1450);
	zones_hold();
}
END_TEST

#define NR_SINGLES 4000

/* Every page that can be had; pages[] are by address. */
static size_t take_all(char **pages)
{
	struct page *page;
	size_t n = 0;

	while (n < NR_SINGLES && (pages[n] = page_alloc(1, 1, &page)))
		n++;
	ck_assert_uint_lt(n, NR_SINGLES);
	return n;
}

/* No memory for the room: without it. No memory at all: the block is as it was. */
START_TEST(creeps_without_room)
{
	static char *pages[NR_SINGLES];
	char *p, *q;
	size_t n;

	unit_boot();
	no_mappings();
	p = kmalloc(60000);
	pattern_fill(p, 60000, 1);
	fake.limit = fake.mapped;
	n = take_all(pages);
	errno = 0;
	ck_assert_ptr_null(krealloc(p, 64000));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_uint_eq(ksize(p), 61440);
	ck_assert(pattern_holds(p, 60000, 1));
	/* As many pages in a row as it takes, and no more. */
	for (size_t i = n / 2; i < n / 2 + 16; i++) {
		must_eq(pages[i] - pages[n / 2], (long)(i - n / 2) * 4096);
		page_free(pages[i], 1, 1);
	}
	q = krealloc(p, 64000);
	ck_assert_ptr_eq(q, pages[n / 2]);
	ck_assert_uint_eq(ksize(q), 65536);
	ck_assert(pattern_holds(q, 60000, 1));
}
END_TEST

/* A fault on purpose fails the step that moves, once, and that alone. */
START_TEST(creep_fails_on_purpose)
{
	char *p;

	unit_boot();
	p = kmalloc(32768);
	pattern_fill(p, 32768, 1);
	fault_set_malloc(true);
	fault_set_nth(1);
	errno = 0;
	ck_assert_ptr_null(krealloc(p, 33000));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_uint_eq(fault_set_nth(0), 0);
	ck_assert_uint_eq(ksize(p), 32768);
	ck_assert(pattern_holds(p, 32768, 1));
	fault_set_malloc(false);
	p = krealloc(p, 33000);
	ck_assert(pattern_holds(p, 32768, 1));
	kfree(p);
}
END_TEST

/* At the top of the heap: what lies idle below comes before new memory. */
START_TEST(creeps_down)
{
	size_t size = 100000, grown;
	char *below, *p;

	unit_boot();
	no_mappings();
	tune_set(TUNE_ID_trim_threshold, UINT64_MAX, TUNE_MALLOPT);
	below = kmalloc(8 * MIB);
	memset(below, 1, 8 * MIB);
	p = kmalloc(size);
	kfree(below);
	grown = zones[ZONE_BRK].nr_grow;
	for (; size < 3 * MIB; size += size / 10) {
		p = krealloc(p, size + size / 10);
		must(p);
	}
	ck_assert_uint_eq(zones[ZONE_BRK].nr_grow, grown);
	ck_assert(p < below + 8 * MIB);
	/* Large steps move the break as ever, and nothing else. */
	below = kmalloc(100000);
	p = krealloc(p, 24 * MIB);
	ck_assert_uint_gt(zones[ZONE_BRK].nr_grow, grown);
	kfree(below);
	kfree(p);
	zones_hold();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		realloc_contents, realloc_in_place, realloc_same_class, realloc_mapped,
		creeps_into_room, creep_side_by_side, creeps_without_room, creep_fails_on_purpose, creeps_down,
	};

	return unit_run("krealloc", tests, ARRAY_SIZE(tests));
}
