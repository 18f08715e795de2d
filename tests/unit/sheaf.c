/* SPDX-License-Identifier: MIT */
/* When sheaves and barns grow (lib/slab/percpu_region.c, barn.c): on locked slots, by a fake clock. */
#include "common.h"
#include "page/hit.h"
#include "page/zone.h"
#include "slab/barn.h"
#include "slab/kmalloc.h"
#include "slab/percpu.h"

#define MANY 4096

static void *objs[MANY], *out[MANY];

static struct kmem_cache *cache_of(size_t size)
{
	struct kmem_cache *c = &kmem_caches[size_class(size)];

	must_eq(slab_alloc(c, objs, MANY / 2, ALLOC_NORMAL), MANY / 2);
	return c;
}

/* Pushes until the sheaf is full; how many it holds then. */
static size_t fill(struct kmem_cache *c)
{
	size_t n = percpu_count(c->class);

	while (percpu_push(c->class, objs[n]))
		n++;
	return n;
}

/* Misses until it holds more, at most @most. */
static unsigned misses_to_grow(struct kmem_cache *c, unsigned most)
{
	unsigned n = 1;

	while (n <= most && !percpu_grow(c->class))
		n++;
	return n;
}

/* One that misses now and then, for however long, stays as it is. */
START_TEST(rare_misses)
{
	struct kmem_cache *c;

	unit_boot();
	c = cache_of(256);
	must_eq(fill(c), SMALL_SLOTS);
	for (int i = 0; i < 100000; i++) {
		fake.clock += 1;
		must(!percpu_grow(c->class));
	}
	must_eq(fill(c), SMALL_SLOTS);
	/* Nor do a few at once, again and again. */
	for (int i = 0; i < 1000; i++) {
		for (int k = 0; k < 5; k++)
			must(!percpu_grow(c->class));
		fake.clock += 50;
	}
	must_eq(fill(c), SMALL_SLOTS);
}
END_TEST

/* Where they come thick it grows to its limit; what it holds stays, in order. */
START_TEST(thick_misses)
{
	static const size_t sizes[] = { 64, 512, 1024, 2048, 4096 };

	unit_boot();
	for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
		struct kmem_cache *c = cache_of(sizes[k]);
		size_t cap = fill(c), next;

		while (cap < c->sheaf_max) {
			ck_assert_uint_le(misses_to_grow(c, 100), 100);
			next = fill(c);
			must_eq(next, MIN(2 * cap, c->sheaf_max));
			cap = next;
		}
		ck_assert_uint_gt(misses_to_grow(c, 1000), 1000);
		for (size_t i = cap; i-- > 0;)
			must(percpu_pop(c->class) == objs[i]);
		must(!percpu_pop(c->class));
	}
}
END_TEST

/* The more memory it would take, the more of them it takes. */
START_TEST(larger_ones_later)
{
	unsigned small, large, larger;
	struct kmem_cache *c;

	unit_boot();
	small = misses_to_grow(cache_of(16), 100);
	c = cache_of(1024);
	large = misses_to_grow(c, 100);
	larger = misses_to_grow(c, 100);
	ck_assert_uint_gt(small, 2);
	ck_assert_uint_gt(large, small);
	ck_assert_uint_gt(larger, large);
	ck_assert_uint_le(larger, 100);
}
END_TEST

static struct kmem_cache *full_sheaf(size_t size)
{
	struct kmem_cache *c = cache_of(size);

	while (fill(c) < c->sheaf_max)
		percpu_grow(c->class);
	return c;
}

static void slices_of(size_t size, size_t first, size_t most)
{
	struct kmem_cache *c;
	size_t n, half;

	unit_boot();
	c = full_sheaf(size);
	half = percpu_refill_size(c->class);
	most = MIN(half, most);
	must_eq(percpu_slice_size(c->class), first);
	for (n = first; n < most; n = MIN(2 * n, most)) {
		must_eq(percpu_pop_batch(c->class, out, n), n);
		must_eq(percpu_push_batch(c->class, out, n), n);
		must_eq(percpu_slice_size(c->class), MIN(2 * n, most));
	}
	/* As many taken as freed: no other object is where it was. */
	must_eq(percpu_pop_batch(c->class, out, most), most);
	must_eq(percpu_push_batch(c->class, out, most), most);
	must_eq(percpu_slice_size(c->class), most);
	/* One more, and another in its place. */
	must_eq(percpu_pop_batch(c->class, out, most + 1), most + 1);
	must(percpu_push(c->class, out[most]));
	must_eq(percpu_push_batch(c->class, out, most), most);
	must_eq(percpu_slice_size(c->class), first);
}

/*
 * Slices of a full sheaf double while nothing but frees come, and are small again after; of large
 * objects they are small.
 */
START_TEST(slices)
{
	slices_of(256, 4, SIZE_MAX);
}
END_TEST

START_TEST(slices_of_large)
{
	slices_of(512, 2, 8);
}
END_TEST

/* free() gives slices to the slabs, and halves to the barn. */
START_TEST(slices_of_free)
{
	struct kmem_cache *c;
	size_t out_of_slabs, n;

	unit_boot();
	c = full_sheaf(512);
	n = c->sheaf_max;
	must_eq(slab_alloc(c, out, MANY / 2, ALLOC_NORMAL), MANY / 2);
	barn_note_taker(c, percpu_self());
	out_of_slabs = c->nr_inuse;
	class_free(c->class, objs[n++]);
	must_eq(c->nr_inuse, out_of_slabs - 2);
	must_eq(percpu_count(c->class), c->sheaf_max - 2 + 1);
	must_eq(c->barn.count, 0);
	while (percpu_push(c->class, objs[n]))
		n++;
	barn_note_taker(c, percpu_self() + 1);
	class_free(c->class, objs[n++]);
	must_eq(c->nr_inuse, out_of_slabs - 2);
	must_eq(c->barn.count, percpu_refill_size(c->class));
	/* There is no room for a half: a slice again. */
	while (percpu_push(c->class, objs[n]))
		n++;
	c->barn.limit = c->barn.count;
	class_free(c->class, objs[n]);
	must_eq(c->nr_inuse, out_of_slabs - 2 - 2);
	must_eq(c->barn.count, c->barn.limit);
}
END_TEST

/* A barn that holds a few batches takes no page; what it holds moves with it. */
START_TEST(small_barn)
{
	struct kmem_cache *c;
	size_t used;

	unit_boot();
	c = cache_of(64);
	used = zones[ZONE_BRK].free;
	ck_assert(barn_put(c, objs, 100, true));
	ck_assert(barn_put(c, objs + 100, 20, true));
	must_eq(zones[ZONE_BRK].free, used);
	must_eq(c->barn.pages, 0);
	/* In its own array from here on. */
	ck_assert(barn_put(c, objs + 120, 200, true));
	ck_assert_uint_gt(c->barn.pages, 0);
	must_eq(barn_get(c, out, 320, true), 320);
	ck_assert_int_eq(memcmp(out, objs, 320 * sizeof(*out)), 0);
	ck_assert(barn_put(c, objs, 10, true));
	must_eq(c->barn.count, 10);
}
END_TEST

/* What fits in a cache goes into the barn; not the last of much, but in time what is little. */
START_TEST(barn_of_late)
{
	struct kmem_cache *c;
	size_t n = 0;

	unit_boot();
	c = cache_of(512);
	barn_note_taker(c, 1);
	ck_assert(!barn_is_for(c, 1));
	ck_assert(barn_is_for(c, 2));
	slab_free(c, objs, MANY / 2);
	must_eq(c->nr_inuse, 0);
	ck_assert(!barn_is_for(c, 1));
	ck_assert(barn_is_for(c, 2));
	for (; !barn_is_for(c, 1); n++)
		barn_note_spilt(c, 8);
	ck_assert_uint_gt(n * 8 * c->size, 1 << 20);
	ck_assert_uint_le(n * 8 * c->size, 32 << 20);
	ck_assert(barn_is_for(c, 1));
	must_eq(slab_alloc(c, objs, MANY, ALLOC_NORMAL), MANY);
	ck_assert(!barn_is_for(c, 1));
}
END_TEST

static bool meet(uint32_t place, uint32_t bytes, uintptr_t area)
{
	return (area - place) % PAGE_SIZE < bytes || (place - area) % PAGE_SIZE < 64;
}

/* No place that is no more than a page meets the line of the rseq area; none meets another. */
START_TEST(clear_of_the_area)
{
	uintptr_t tp = (uintptr_t)__builtin_thread_pointer();

	unit_boot();
	for (ptrdiff_t area = 0x20; area < 0x20 + (ptrdiff_t)PAGE_SIZE; area += 32) {
		uintptr_t line = (tp + (uintptr_t)area) / 64 * 64;
		uint32_t end = sizeof(struct region);

		hit.area = area;
		region_set_layout();
		for (unsigned c = 1; c <= NR_SIZE_CLASSES; c++) {
			uint32_t at = sheaf_places[c].small, bytes = MIN(SMALL_BYTES, sheaf_limit(c));

			must(at >= end && !meet(at, bytes, line));
			end = at + bytes;
		}
		for (unsigned c = 1; c <= NR_SIZE_CLASSES; c++) {
			uint32_t at = sheaf_places[c].medium, bytes = MIN(MEDIUM_BYTES, sheaf_limit(c));

			must(at >= end && !meet(at, bytes, line));
			end = at + bytes;
		}
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		rare_misses, thick_misses, larger_ones_later, slices, slices_of_large,
		slices_of_free, small_barn, barn_of_late, clear_of_the_area,
	};

	return unit_run("sheaf", tests, ARRAY_SIZE(tests));
}
