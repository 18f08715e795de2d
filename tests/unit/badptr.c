/* SPDX-License-Identifier: MIT */
/* Bad pointers handed to free, realloc and usable_size: what is said of each. */
#include "common.h"

#include "page/boot.h"
#include "page/zone.h"
#include "slab/kmalloc.h"
#include "slab/slab.h"
#include "tune/tune.h"

#define MIB (1ul << 20)

static void call_free(void *p)
{
	kfree(p);
}

static void call_realloc(void *p)
{
	krealloc(p, 100);
}

static void call_size(void *p)
{
	ksize(p);
}

static void call_drain(void *p __unused_arg)
{
	kmalloc_drain();
}

/* @fn on @p must end the program with one line that has all of the words. */
static void dies(void (*fn)(void *), void *p, const char *words, const char *more)
{
	char address[32];
	const char *line;

	fake_text_clear();
	ck_assert_msg(fake_aborts(fn, p), "survived: %s", words);
	line = fake_text();
	must_say("stele: ");
	must_say(words);
	must_say(more);
	snprintf(address, sizeof(address), "%p", p);
	if (fn != call_drain)
		must_say(address);
	ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
}

START_TEST(small_inside)
{
	char *p;

	unit_boot();
	p = kmalloc(100);
	dies(call_free, p + 1, "invalid free", "kmalloc-112");
	dies(call_free, p + 16, "invalid free", "inside of an object");
	dies(call_realloc, p + 8, "realloc: invalid", "kmalloc-112");
	kfree(p);
}
END_TEST

/* Caught at the latest when the sheaf is emptied. */
START_TEST(small_twice)
{
	char *p;

	unit_boot();
	p = kmalloc(100);
	kfree(p);
	kfree(p);
	dies(call_drain, NULL, "double free of ", "kmalloc-112");
}
END_TEST

START_TEST(large_inside)
{
	char *p;

	unit_boot();
	p = kmalloc(100000);
	ck_assert_uint_eq(class_of(p), CLASS_LARGE);
	dies(call_free, p + 8, "invalid free", "inside of the block");
	dies(call_free, p + 4096, "inside of the block of 102400 bytes", "zone BRK");
	dies(call_free, p + 20 * 4096 + 16, "inside of the block of 102400 bytes", "zone BRK");
	dies(call_realloc, p + 8192, "realloc: invalid", "inside of the block");
	dies(call_realloc, p + 16, "realloc: invalid", "inside of the block");
	dies(call_size, p + 8192, "malloc_usable_size: invalid", "inside of the block");
	kfree(p);
}
END_TEST

START_TEST(large_twice)
{
	char *p;

	unit_boot();
	p = kmalloc(100000);
	kfree(p);
	dies(call_free, p, "double free", "zone BRK");
}
END_TEST

START_TEST(tables)
{
	unit_boot();
	kfree(kmalloc(100));
	dies(call_free, page_of(zones[ZONE_BRK].end - 1), "not a block", "zone BRK");
	dies(call_realloc, *zone_section(&zones[ZONE_BRK], 0), "not a block", "zone BRK");
}
END_TEST

START_TEST(mapped_inside)
{
	char *p;

	unit_boot();
	p = kmalloc(5 * MIB);
	dies(call_free, p + 4096, "inside of the mapped block of 5242880 bytes", "invalid free");
	dies(call_free, p + 17, "inside of the mapped block of 5242880 bytes", "invalid free");
	dies(call_realloc, p + 65536, "realloc: invalid", "mapped block");
	kfree(p);
}
END_TEST

START_TEST(mapped_twice)
{
	char *p;

	unit_boot();
	p = kmalloc(40 * MIB);
	kfree(p);
	dies(call_free, p, "double free", "mapped block was freed already");
}
END_TEST

START_TEST(wild)
{
	static long local[64];

	unit_boot();
	kfree(kmalloc(1));
	dies(call_free, (void *)(fake.base + FAKE_SPAN / 2 - 4096), "wild pointer", "no zone");
	dies(call_free, (void *)32, "wild pointer", "no zone");
	dies(call_free, (void *)~15ul, "wild pointer", "no zone");
	dies(call_free, (void *)(1ul << 62), "wild pointer", "no zone");
	dies(call_free, &local[32], "wild pointer", "not of libc");
	dies(call_realloc, &local[32], "realloc: wild pointer", "no zone");
	dies(call_size, &local[32], "malloc_usable_size: wild pointer", "no zone");
}
END_TEST

/* Before anything was allocated there is no table to look into. */
START_TEST(wild_first)
{
	static long local[64];

	unit_boot();
	dies(call_free, &local[32], "wild pointer", "not of libc");
}
END_TEST

/* A page between runs of others, free for some time. */
START_TEST(free_page)
{
	char *p, *q;

	unit_boot();
	p = kmalloc(100000);
	q = kmalloc(100000);
	kfree(p);
	dies(call_free, p + 8192, "double free", "its page is free already");
	kfree(q);
}
END_TEST

/* What a run's pages were before must not hide the run. */
START_TEST(inside_reused)
{
	char *p, *small;

	unit_boot();
	small = kmalloc(16);
	kfree(small);
	kmalloc_drain();
	p = kmalloc(120000);
	for (size_t i = 1; i < 29; i++)
		dies(call_free, p + i * 4096, "inside of the block", "zone BRK");
	kfree(p);
}
END_TEST

/* Tables that a trim gave back stand in the way of nobody. */
START_TEST(inside_regrown)
{
	struct page *page;
	char *p;

	unit_boot();
	tune_set(TUNE_ID_mmap_max, 0, TUNE_MALLOPT);
	tune_set(TUNE_ID_trim_threshold, UINT64_MAX, TUNE_MALLOPT);
	tune_set(TUNE_ID_top_pad, 0, TUNE_MALLOPT);
	kfree(kmalloc(40000));
	p = page_alloc(3 * MIB / 4096, 1, &page);
	page_free(p, 3 * MIB / 4096, 0);
	for (int i = 0; i < 20; i++) {
		/* Of another length each time, so that tables lie elsewhere. */
		p = kmalloc((40ul + 3 * (size_t)i) * MIB);
		for (size_t off = 4096; off < 40 * MIB; off += 997 * 4096)
			dies(call_free, p + off, "inside of the block", "zone BRK");
		kfree(p);
		ck_assert_uint_gt(zone_brk_trim(&zones[ZONE_BRK], (size_t)i * 100000), 0);
	}
}
END_TEST

static void call_free_sized(void *p)
{
	kfree_sized(p, 5000, 1);
}

START_TEST(sized)
{
	char *p;

	unit_boot();
	p = kmalloc(100);
	dies(call_free_sized, p, "size mismatch", "freed as 5000 bytes, the block has 112");
	kfree_sized(p, 100, 1);
	p = kmalloc(1000000);
	kfree_sized(p, 1000000, 1);
	p = kmalloc(50000);
	dies(call_free_sized, p, "size mismatch", "freed as 5000 bytes");
	kfree_sized(p, 50000, 1);
	kfree_sized(NULL, 10, 1);
}
END_TEST

/* Every way to get a block of a size is a way to free it with this size. */
START_TEST(sized_matches)
{
	unit_boot();
	for (size_t align = 1; align <= 1 << 16; align *= 2) {
		for (size_t size = 0; size < 300000; size = size * 5 / 4 + 1) {
			kfree_sized(kmalloc_aligned(size, align), size, align);
			kfree_sized(kzalloc(size), size, 1);
		}
	}
	for (size_t from = 1; from < 200000; from = from * 4 / 3 + 1) {
		for (size_t to = 1; to < 200000; to = to * 4 / 3 + 1)
			kfree_sized(krealloc(kmalloc(from), to), to, 1);
	}
}
END_TEST

START_TEST(boot_pointers)
{
	char *p, *q;

	unit_boot();
	p = boot_alloc(40, 1);
	pattern_fill(p, 40, 1);
	ck_assert_uint_eq(ksize(p), 40);
	q = krealloc(p, 100);
	ck_assert(!boot_owns(q) && pattern_holds(q, 40, 1));
	kfree(q);
	q = krealloc(p, 24);
	ck_assert(pattern_holds(q, 24, 1));
	kfree(q);
	kfree(p);
	kfree(NULL);
	ck_assert_uint_eq(ksize(NULL), 0);
	ck_assert_str_eq(fake_text(), "");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		small_inside, small_twice, large_inside, large_twice, tables, mapped_inside,
		mapped_twice, wild, wild_first, free_page, inside_reused, inside_regrown,
		sized, sized_matches, boot_pointers,
	};

	return unit_run("badptr", tests, ARRAY_SIZE(tests));
}
