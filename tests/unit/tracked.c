/* SPDX-License-Identifier: MIT */
/*
 * lib/slab/tracked.c and blocks.c with leak=on: every block has a record, every
 * address finds its block, and nothing else does.
 */
#include "common.h"

#include "debug/capture.h"
#include "debug/track.h"
#include "page/vmalloc.h"
#include "page/zone.h"
#include "slab/blocks.h"
#include "slab/kmalloc.h"
#include "slab/large.h"
#include "slab/page_run.h"
#include "slab/percpu.h"
#include "slab/slab.h"
#include "slab/tracked.h"
#include "slab/units.h"
#include "tune/tune.h"

static void boot(void)
{
	fake_boot();
	fake.clock = 1000;
	tune.leak = LEAK_ON;
	tune.unwind = UNWIND_NONE;
	track_init();
	unit_start();
	tracked_init();
}

struct known {
	char *p;
	size_t size;
};

#define MANY	4000
static struct known known[MANY];
static size_t nr_known;

static bool visit(const struct block *b, void *arg)
{
	must(b->rec && b->rec->stack == STACK_UNKNOWN && b->size <= b->usable);
	must_eq(b->rec->mark, 0);
	++*(size_t *)arg;
	for (size_t i = 0; i < nr_known; i++) {
		if (known[i].p == b->addr) {
			must_eq(known[i].size, b->size);
			return true;
		}
	}
	ck_abort_msg("%p is no block of ours", b->addr);
}

static void walk_holds(size_t blocks)
{
	size_t n = 0;

	must(blocks_walk(visit, &n));
	must_eq(n, blocks);
}

static void finds(const void *at, const struct known *k)
{
	struct block b;

	if (!k) {
		must(!block_find(at, &b));
		return;
	}
	must(block_find(at, &b));
	must(b.addr == k->p);
	must_eq(b.size, k->size);
	must_eq(b.usable, ksize(k->p));
}

/* Where each block begins and ends, and just outside. */
static void index_holds(void)
{
	must(blocks_index(unit_index_memory));
	for (size_t i = 0; i < nr_known; i++) {
		const struct known *k = &known[i];
		size_t usable = k->p ? ksize(k->p) : 0;
		struct block b;

		if (!k->p)
			continue;
		finds(k->p, k);
		finds(k->p + usable / 2, k);
		finds(k->p + usable - 1, k);
		must(!block_find(k->p + usable, &b) || b.addr == k->p + usable);
		must(!block_find(k->p - 1, &b) || b.addr != k->p);
	}
	finds(NULL, NULL);
	finds(&nr_known, NULL);
	finds((void *)~0ul, NULL);
	blocks_unindex();
}

static size_t some_size(struct rng *r)
{
	return rng_size(r, rng_below(r, 20) ? 30000 : 3 << 20);
}

/* Everything that allocates, resizes and frees; what is left is known exactly. */
START_TEST(every_way)
{
	struct rng r = { 42 };
	size_t live = 0;

	boot();
	nr_known = MANY;
	for (size_t i = 0; i < 60000; i++) {
		struct known *k = &known[rng_below(&r, MANY)];
		size_t size = some_size(&r);

		if (!k->p) {
			unsigned way = (unsigned)rng_below(&r, 3);

			k->p = way == 0 ? tracked_malloc(size) :
			       way == 1 ? tracked_calloc(size) :
					  tracked_aligned(size, 1ul << rng_below(&r, 14));
			must(k->p);
			k->size = size;
			live++;
		} else if (rng_below(&r, 2)) {
			k->p = tracked_realloc(k->p, size);
			must(k->p);
			k->size = size;
		} else {
			kfree(k->p);
			k->p = NULL;
			live--;
		}
	}
	walk_holds(live);
	index_holds();
	for (size_t i = 0; i < MANY; i++) {
		kfree(known[i].p);
		known[i].p = NULL;
	}
	walk_holds(0);
	zones_hold();
}
END_TEST

START_TEST(sizes)
{
	static const size_t wanted[] = { 0, 1, 16, 17, 1000, 32768, 32769, 100000, 200000, 1 << 20,
					 5 << 20 };

	boot();
	nr_known = ARRAY_SIZE(wanted);
	for (size_t i = 0; i < nr_known; i++)
		known[i] = (struct known){ tracked_malloc(wanted[i]), wanted[i] };
	walk_holds(nr_known);
	index_holds();
	/* Shrunk and grown in place as well as moved. */
	for (size_t i = 0; i < nr_known; i++) {
		known[i].size = known[i].size * 9 / 10 + 1;
		known[i].p = tracked_realloc(known[i].p, known[i].size);
	}
	walk_holds(nr_known);
	index_holds();
}
END_TEST

START_TEST(times)
{
	struct block b;
	void *p;

	boot();
	fake.clock = 5123;
	p = tracked_malloc(10);
	must(blocks_index(unit_index_memory) && block_find(p, &b));
	must_eq(b.rec->when, 4123);
	fake.clock = 6000;
	p = tracked_realloc(p, 12);
	must(block_find(p, &b));
	must_eq(b.rec->when, 5000);
}
END_TEST

/* A block that cannot be resized keeps its record. */
START_TEST(no_memory)
{
	boot();
	nr_known = 3;
	known[0] = (struct known){ tracked_malloc(100), 100 };
	known[1] = (struct known){ tracked_malloc(50000), 50000 };
	known[2] = (struct known){ tracked_malloc(1 << 20), 1 << 20 };
	fake_fail_all(true);
	for (size_t i = 0; i < 3; i++)
		must(!tracked_realloc(known[i].p, 1ul << 40));
	fake_fail_all(false);
	walk_holds(3);
	index_holds();
}
END_TEST

/* Pages, and objects of caches, are the program's too, but have no record. */
static bool unrecorded(const struct block *b, void *arg)
{
	must(!b->rec && b->size == b->usable);
	*(size_t *)arg += b->usable;
	return true;
}

START_TEST(without_records)
{
	struct kmem_cache *c;
	struct block b;
	void *obj;
	size_t bytes = 0;

	boot();
	c = cache_open("mine", 96, EXTRA_SLOTS, NULL, NULL);
	must(slab_alloc(c, &obj, 1, ALLOC_NORMAL));
	must(blocks_walk(unrecorded, &bytes));
	must_eq(bytes, 96);
	must(blocks_index(unit_index_memory));
	must(block_find((char *)obj + 95, &b) && b.addr == obj && !b.rec);
	must(!block_find((char *)obj + 96, &b));
}
END_TEST

static void free_it(void *p)
{
	kfree(p);
}

static void resize_it(void *p)
{
	tracked_realloc(p, 7);
}

START_TEST(double_free)
{
	void *small, *large;

	boot();
	small = tracked_malloc(100);
	kfree(small);
	must(fake_aborts(free_it, small));
	must_say("double free of");
	must_say("kmalloc-112");
	fake_text_clear();
	must(fake_aborts(resize_it, small));
	must_say("double free of");
	large = tracked_malloc(100000);
	kfree(large);
	must(fake_aborts(free_it, large));
}
END_TEST

static void add_range(uintptr_t start, uintptr_t end, void *arg)
{
	uintptr_t *want = arg;

	must(start < end);
	if (want[0] >= start && want[0] < end)
		want[1]++;
}

START_TEST(ranges)
{
	uintptr_t heap[2] = { 0, 0 }, mapped[2] = { 0, 0 }, other[2] = { (uintptr_t)&heap, 0 };

	boot();
	heap[0] = (uintptr_t)tracked_malloc(10);
	mapped[0] = (uintptr_t)tracked_malloc(1 << 20) + 5000;
	blocks_ranges(add_range, heap);
	blocks_ranges(add_range, mapped);
	blocks_ranges(add_range, other);
	must_eq(heap[1], 1);
	must_eq(mapped[1], 1);
	must_eq(other[1], 0);
}
END_TEST

/* The table of units leads to the records of the slabs that there are, and to no others. */
START_TEST(units)
{
	size_t gone = 0;

	boot();
	for (size_t i = 0; i < MANY; i++) {
		known[i].size = 1 + i * 37 % SIZE_MAX_SLAB;
		known[i].p = tracked_malloc(known[i].size);
	}
	for (size_t i = 0; i < MANY; i++) {
		uint64_t unit = unit_of(known[i].p);
		const struct kmem_cache *c = &kmem_caches[unit_class(unit)];
		struct track *t = unit_tracks(unit);

		must(unit && c->class == class_of(known[i].p));
		t += slab_index(c, known[i].p);
		must(t->stack == STACK_UNKNOWN && t->size_lo == known[i].size);
	}
	for (size_t i = 0; i < MANY; i++)
		kfree(known[i].p);
	kmalloc_drain();
	for (size_t i = 0; i < MANY; i++) {
		must(!unit_of(known[i].p) == !class_of(known[i].p));
		gone += !unit_of(known[i].p);
	}
	must(gone > MANY / 2);
}
END_TEST

START_TEST(quiet)
{
	void *p;

	boot();
	nr_known = 0;
	for (int i = 0; i < 5000; i++) {
		p = tracked_malloc(48);
		kfree_quiet(p);
	}
	p = tracked_malloc(100000);
	kfree_quiet(p);
	kmalloc_drain();
	walk_holds(0);
	must(fake_aborts(free_it, p));
}
END_TEST

int main(void)
{
	const TTest *tests[] = { every_way, sizes, times, no_memory, without_records, double_free,
				 ranges, units, quiet };

	return unit_run("tracked", tests, ARRAY_SIZE(tests));
}
