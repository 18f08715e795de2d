/* SPDX-License-Identifier: MIT */
/* lib/slab/slab.c and barn.c: bitmaps, lists by fullness, bad frees, batches. */
#include "common.h"

#include "page/zone.h"
#include "slab/barn.h"
#include "slab/kmalloc.h"
#include "slab/percpu.h"
#include "slab/slab.h"
#include "tune/tune.h"

#define MAX_OBJS 20000

static void *objs[MAX_OBJS];

static struct kmem_cache *cache_of(size_t size)
{
	return &kmem_caches[size_class(size)];
}

/* By rising address: what is to be handed out first comes first. */
static size_t get(struct kmem_cache *c, size_t n)
{
	size_t got;

	must(n <= MAX_OBJS);
	got = slab_alloc(c, objs, n, ALLOC_NORMAL);
	must_eq(got, n);
	for (size_t i = 0; i < n / 2; i++) {
		void *t = objs[i];

		objs[i] = objs[n - 1 - i];
		objs[n - 1 - i] = t;
	}
	return got;
}

static void slab_holds(struct kmem_cache *c, struct slab *s, unsigned bucket)
{
	size_t words = (c->objects + 63) / 64;
	size_t set = bits_count(slab_bitmap(s), 0, c->objects);

	must_eq(s->inuse, set);
	must_eq(s->bucket, bucket);
	must_eq(s->state, PG_SLAB);
	must(s->cache == c);
	must(s->fresh <= c->objects && s->fresh >= s->inuse);
	must_eq(bits_next(slab_bitmap(s), s->fresh, c->objects, true), c->objects);
	/* Bits for no object look taken; words below scan are full. */
	must_eq(bits_count(slab_bitmap(s), c->objects, words * 64), words * 64 - c->objects);
	must_eq(bits_next(slab_bitmap(s), 0, s->scan * 64ul, false), s->scan * 64ul);
	must_eq(class_of(s->base), c->class);
	must_eq(class_of((char *)s->base + (PAGE_SIZE << c->order) - 1), c->class);
	must(slab_of((char *)s->base + (PAGE_SIZE << c->order) - 1, c->class) == s);
}

/* The lists say what the counters say; returns how many slabs are on lists. */
static size_t lists_hold(struct kmem_cache *c)
{
	size_t n = 0, inuse = 0, empty = 0;

	for (unsigned b = 0; b < NR_BUCKETS; b++) {
		must_eq(c->bucket_mask >> b & 1, !list_empty(&c->partial[b]));
		for (struct list *l = c->partial[b].next; l != &c->partial[b]; l = l->next) {
			struct slab *s = list_entry(l, struct slab, node);
			size_t exact = (size_t)s->inuse * NR_BUCKETS / c->objects;

			slab_holds(c, s, b);
			must(s->inuse > 0 && s->inuse < c->objects);
			/* The reciprocal may be one off, downwards. */
			must(b == exact || b + 1 == exact);
			inuse += s->inuse;
			n++;
		}
	}
	for (struct list *l = c->empty.next; l != &c->empty; l = l->next, empty++) {
		struct slab *s = list_entry(l, struct slab, node);

		slab_holds(c, s, BUCKET_EMPTY);
		must_eq(s->inuse, 0);
	}
	must_eq(empty, c->nr_empty);
	must_eq((c->nr_slabs - n - empty) * c->objects + inuse, c->nr_inuse);
	return n + empty;
}

/* Each class: all objects of three slabs, lowest first, and back. */
START_TEST(fill_and_empty)
{
	unit_boot();
	for (unsigned class = 1; class <= NR_SIZE_CLASSES; class++) {
		struct kmem_cache *c = &kmem_caches[class];
		size_t n = 3 * c->objects, used = zones_used();

		ck_assert_uint_eq(get(c, n), n);
		ck_assert_uint_eq(c->nr_slabs, 3);
		ck_assert_uint_eq(c->nr_inuse, n);
		ck_assert_uint_eq(lists_hold(c), 0);
		for (size_t i = 0; i < n; i++) {
			must_eq(slab_index(c, objs[i]), i % c->objects);
			must(i % c->objects == 0 ||
			     (char *)objs[i] == (char *)objs[i - 1] + c->size);
			must_eq(class_of(objs[i]), class);
			pattern_fill(objs[i], c->size, (uintptr_t)objs[i]);
		}
		for (size_t i = 0; i < n; i++)
			must(pattern_holds(objs[i], c->size, (uintptr_t)objs[i]));
		slab_free(c, objs, n);
		ck_assert_uint_eq(c->nr_inuse, 0);
		ck_assert_uint_eq(lists_hold(c), c->nr_empty);
		ck_assert_uint_le(c->nr_empty, 1);
		slab_shrink(c);
		ck_assert_uint_eq(c->nr_slabs, 0);
		ck_assert_uint_eq(zones_used(), used);
		ck_assert_uint_eq(class_of(objs[0]), CLASS_NONE);
		zones_hold();
	}
}
END_TEST

/* What a page's descriptor was used for before does not shine through. */
START_TEST(stale_descriptors)
{
	struct kmem_cache *c = cache_of(16);
	struct page *page;
	char *p;

	unit_boot();
	p = page_alloc(1024, 1024, &page);
	page_free(p, 1024, 0);
	/* Each page is a run of its own once. */
	while (zones[ZONE_BRK].free)
		page_alloc(1, 1, &page);
	for (size_t i = 0; i < 1024; i++)
		page_free(p + i * PAGE_SIZE, 1, 0);
	for (int round = 0; round < 4; round++) {
		size_t got = get(c, c->objects);

		ck_assert_uint_eq(got, c->objects);
		for (size_t i = 0; i < got; i++)
			must_eq(slab_index(c, objs[i]), i);
		ck_assert_uint_eq(lists_hold(c), 0);
	}
}
END_TEST

/* From the fullest list, the lowest free object of one of its slabs. */
START_TEST(fullest_first)
{
	static uint64_t before[40][64];
	struct kmem_cache *c = cache_of(512);
	struct rng r = { 2 };
	uint8_t bucket[40];
	void *base[40];
	size_t n;

	unit_boot();
	n = get(c, ARRAY_SIZE(base) * c->objects);
	for (size_t i = 0; i < ARRAY_SIZE(base); i++)
		base[i] = slab_base(c, objs[i * c->objects]);
	/* Free at random, most of some slabs, little of others. */
	for (size_t i = 0; i < n; i++) {
		if (rng_below(&r, ARRAY_SIZE(base)) >= i / c->objects)
			slab_free(c, &objs[i], 1);
	}
	lists_hold(c);
	for (int k = 0; k < 2000 && c->bucket_mask; k++) {
		unsigned top = bit_last(c->bucket_mask);
		void *obj;

		for (size_t i = 0; i < ARRAY_SIZE(base); i++) {
			struct slab *s = slab_of(base[i], c->class);

			bucket[i] = s->bucket;
			memcpy(before[i], slab_bitmap(s), (c->objects + 63) / 64 * 8);
		}
		must_eq(slab_alloc(c, &obj, 1, ALLOC_NORMAL), 1);
		for (size_t i = 0; i < ARRAY_SIZE(base); i++) {
			if (base[i] != slab_base(c, obj))
				continue;
			must_eq(bucket[i], top);
			must_eq(bits_next(before[i], 0, c->objects, false), slab_index(c, obj));
		}
		lists_hold(c);
	}
}
END_TEST

START_TEST(random_life)
{
	struct rng r = { 6 };
	size_t used;

	unit_boot();
	used = zones_used();
	for (size_t size = 16; size <= 16384; size *= 2) {
		struct kmem_cache *c = cache_of(size + size / 4);
		size_t n = 0, limit = MIN(12ul * c->objects, (size_t)MAX_OBJS);

		for (int i = 0; i < 3000; i++) {
			size_t k = 1 + rng_below(&r, c->batch);
			bool grow = rng_below(&r, 1000) < (i / 500 % 2 ? 300u : 700u);

			if (grow && n + k <= limit) {
				must_eq(slab_alloc(c, objs + n, k, ALLOC_NORMAL), k);
				n += k;
			} else if (!grow && n >= k) {
				/* The batch to free is drawn from all over. */
				for (size_t j = 0; j < k; j++) {
					size_t pick = rng_below(&r, n - j);
					void *t = objs[pick];

					objs[pick] = objs[n - 1 - j];
					objs[n - 1 - j] = t;
				}
				n -= k;
				slab_free(c, objs + n, k);
			}
			must_eq(c->nr_inuse, n);
			must(c->nr_empty <= CLAMP(c->nr_slabs / 8, 1, 16) + 1);
			if (i % 50 == 0)
				lists_hold(c);
		}
		slab_free(c, objs, n);
		lists_hold(c);
		slab_shrink(c);
		ck_assert_uint_eq(c->nr_slabs, 0);
	}
	ck_assert_uint_eq(zones_used(), used);
	zones_hold();
}
END_TEST

/* No memory in the middle of a batch: what was had is handed out. */
START_TEST(no_memory)
{
	struct kmem_cache *c = cache_of(1024);
	size_t n, more;

	unit_boot();
	n = get(c, c->objects / 2);
	fake_fail_all(true);
	/* What there is comes at the end of the array that was asked to be filled. */
	more = slab_alloc(c, objs + n, 8000, ALLOC_NORMAL);
	memmove(objs + n, objs + n + 8000 - more, more * sizeof(*objs));
	n += more;
	more = slab_alloc(c, objs + n, 1, ALLOC_NORMAL);
	ck_assert_uint_eq(more, 0);
	ck_assert_uint_eq(n % c->objects, 0);
	ck_assert_uint_eq(c->nr_inuse, n);
	lists_hold(c);
	fake_fail_all(false);
	ck_assert_uint_eq(slab_alloc(c, objs + n, 1, ALLOC_NORMAL), 1);
	slab_free(c, objs, n + 1);
	ck_assert_uint_eq(c->nr_inuse, 0);
}
END_TEST

struct bad {
	struct kmem_cache *c;
	void *obj;
};

static void free_one(void *arg)
{
	struct bad *b = arg;

	slab_free(b->c, &b->obj, 1);
}

START_TEST(double_free)
{
	struct bad b = { cache_of(100), NULL };
	char want[200];

	unit_boot();
	get(b.c, 100);
	b.obj = objs[42];
	ck_assert(!fake_aborts(free_one, &b));
	ck_assert(fake_aborts(free_one, &b));
	snprintf(want, sizeof(want),
		 "stele: double free of %p: object 42 of the slab at %p, cache kmalloc-112\n",
		 objs[42], slab_base(b.c, objs[42]));
	ck_assert_str_eq(fake_text(), want);
}
END_TEST

/* An object that was never handed out is no better than one freed twice. */
START_TEST(free_of_never_allocated)
{
	struct bad b = { cache_of(64), NULL };

	unit_boot();
	get(b.c, 10);
	b.obj = (char *)objs[9] + 64;
	ck_assert(fake_aborts(free_one, &b));
	must_say("stele: double free of ");
}
END_TEST

START_TEST(inside_free)
{
	unit_boot();
	for (unsigned class = 1; class <= NR_SIZE_CLASSES; class++) {
		struct bad b = { &kmem_caches[class], NULL };

		get(b.c, 5);
		for (int i = 0; i < 3; i++) {
			size_t off[] = { 1, b.c->size / 2, b.c->size - 1 };

			fake_text_clear();
			b.obj = (char *)objs[2] + off[i];
			ck_assert(fake_aborts(free_one, &b));
			must_say("stele: invalid free of ");
			must_say(b.c->name);
		}
		ck_assert_uint_eq(b.c->nr_inuse, 5);
	}
}
END_TEST

/* The tail of a slab behind its last object is no object. */
START_TEST(tail_free)
{
	unit_boot();
	for (unsigned class = 1; class <= NR_SIZE_CLASSES; class++) {
		struct bad b = { &kmem_caches[class], NULL };
		size_t end = (size_t)b.c->objects * b.c->size;

		get(b.c, 1);
		if (end == PAGE_SIZE << b.c->order)
			continue;
		b.obj = (char *)slab_base(b.c, objs[0]) + end;
		ck_assert(fake_aborts(free_one, &b));
		must_say("stele: invalid free of ");
	}
}
END_TEST

/* What is freed here is had there up to 8 KiB, four batches of it at least; above, by the slabs. */
START_TEST(barn_up_to_8k)
{
	struct kmem_cache *c = cache_of(8192), *large = cache_of(8193);

	unit_boot();
	get(c, 8);
	ck_assert_uint_ge(c->barn.limit, 4 * c->batch);
	ck_assert_uint_ge(c->sheaf_max, 2 * c->batch);
	ck_assert(barn_put(c, objs, 8, true));
	get(large, 1);
	ck_assert(!barn_put(large, objs, 1, true));
}
END_TEST

START_TEST(barn_is_a_stack)
{
	struct kmem_cache *c = cache_of(256);
	void *out[64];
	size_t n;

	unit_boot();
	ck_assert_uint_eq(barn_get(c, out, 64, true), 0);
	get(c, 300);
	ck_assert(barn_put(c, objs, 50, true));
	ck_assert(barn_put(c, objs + 50, 20, true));
	ck_assert_uint_eq(c->barn.count, 70);
	/* The batch put last, in its order; then what is below. */
	ck_assert_uint_eq(barn_get(c, out, 20, true), 20);
	ck_assert_int_eq(memcmp(out, objs + 50, 20 * sizeof(*out)), 0);
	ck_assert_uint_eq(barn_get(c, out, 64, true), 50);
	ck_assert_int_eq(memcmp(out, objs, 50 * sizeof(*out)), 0);
	ck_assert_uint_eq(barn_get(c, out, 1, true), 0);

	/* Up to its limit, in whole batches. */
	for (n = 0; barn_put(c, objs, c->batch, true); n++)
		;
	ck_assert_uint_eq(n * c->batch, c->barn.limit);
	ck_assert_uint_eq(c->barn.count, c->barn.limit);
	ck_assert(!barn_put(c, objs, 1, true));
	while (barn_get(c, out, 64, true))
		n = c->barn.count;
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(barn_without_memory)
{
	struct kmem_cache *c = cache_of(16);
	struct page *page;
	void *out;

	unit_boot();
	get(c, 210);
	while (zones[ZONE_BRK].free)
		page_alloc(1, 1, &page);
	fake_fail_all(true);
	/* A few go to the array that is there, more to one that is not. */
	ck_assert(barn_put(c, objs, 10, true));
	ck_assert(!barn_put(c, objs + 10, 200, true));
	fake_fail_all(false);
	ck_assert(barn_put(c, objs + 10, 200, true));
	ck_assert_uint_eq(barn_get(c, &out, 1, true), 1);
	ck_assert_ptr_eq(out, objs[209]);
	ck_assert_uint_eq(c->barn.count, 209);
}
END_TEST

/* A further cache lives like kmalloc's, and its class can be had again. */
START_TEST(further_cache)
{
	static const size_t sizes[] = { 16, 24, 200, 4096, 40000, 1ul << 20 };
	struct kmem_cache *c, *first = NULL;

	unit_boot();
	for (unsigned k = 0; k < ARRAY_SIZE(sizes); k++) {
		void *p, *q;

		c = cache_open("further", sizes[k], EXTRA_SLOTS, NULL, NULL);
		ck_assert_ptr_nonnull(c);
		ck_assert_uint_gt(c->class, NR_SIZE_CLASSES);
		ck_assert_uint_le(c->class, NR_SHEAF_CLASSES);
		ck_assert(!first || c == first);
		first = c;
		get(c, 100);
		for (size_t i = 0; i < 100; i++) {
			must_eq(class_of(objs[i]), c->class);
			must(slab_index(c, objs[i]) >= 0);
			must(slab_index(c, (char *)objs[i] + 8) < 0);
			must_eq(ksize(objs[i]), sizes[k]);
		}
		/* Through sheaf, barn and free(). */
		kfree(objs[0]);
		kfree(objs[1]);
		p = percpu_pop(c->class);
		q = percpu_pop(c->class);
		ck_assert_ptr_eq(p, objs[1]);
		ck_assert_ptr_eq(q, objs[0]);
		ck_assert(!cache_close(c));
		ck_assert(percpu_push(c->class, p));
		ck_assert(!cache_close(c));
		ck_assert_ptr_null(percpu_pop(c->class));
		ck_assert(percpu_push(c->class, q));
		slab_free(c, objs + 2, 98);
		ck_assert(cache_close(c));
		ck_assert_uint_eq(c->size, 0);
		ck_assert(!percpu_push(c->class, q));
	}
}
END_TEST

/* The limit of a cache holds in the sheaves that are there already. */
START_TEST(sheaf_slots)
{
	static const unsigned slots[] = { 2, 4, 100, EXTRA_SLOTS };

	unit_boot();
	kfree(kmalloc(16));
	for (unsigned k = 0; k < ARRAY_SIZE(slots); k++) {
		struct kmem_cache *c = cache_open("few", 64, slots[k], NULL, NULL);

		get(c, 1000);
		for (size_t i = 0; i < 1000; i++) {
			if (!percpu_push(c->class, objs[i]))
				percpu_grow(c->class);
		}
		must_eq(percpu_count(c->class), slots[k]);
		while (percpu_pop(c->class))
			;
		slab_free(c, objs, 1000);
		ck_assert(cache_close(c));
	}
}
END_TEST

START_TEST(every_class)
{
	struct kmem_cache *c, *with = NULL, *last = NULL;
	unsigned n = 0;

	unit_boot();
	while ((c = cache_open("one more", 64, EXTRA_SLOTS, NULL, NULL))) {
		void *p;

		n++;
		ck_assert_uint_eq(slab_alloc(c, &p, 1, ALLOC_NORMAL), 1);
		/* The first ones have sheaves. */
		ck_assert_uint_eq(percpu_push(c->class, p), c->class <= NR_SHEAF_CLASSES);
		if (c->class == NR_SHEAF_CLASSES)
			with = c;
		last = c;
		if (c->class > NR_SHEAF_CLASSES)
			slab_free(c, &p, 1);
	}
	ck_assert_uint_eq(n, CLASS_LARGE - 1 - NR_SIZE_CLASSES);
	ck_assert(cache_close(with));
	ck_assert(cache_close(last));
	ck_assert_ptr_eq(cache_open("again", 128, 0, NULL, NULL), last);
	ck_assert_ptr_eq(cache_open("again", 128, EXTRA_SLOTS, NULL, NULL), with);
	ck_assert_ptr_null(cache_open("again", 128, EXTRA_SLOTS, NULL, NULL));
}
END_TEST

static size_t nr_open(void)
{
	size_t n = 0;

	for_each_cache(c)
		n++;
	return n;
}

/* As a process has it: kmalloc's caches are opened by who first wants of them. */
START_TEST(opened_by_a_request)
{
	struct kmem_cache *c = cache_of(200);
	void *p, *q;

	fake_boot();
	tune_set(TUNE_ID_percpu, PERCPU_LOCKED, TUNE_DEFAULT);
	slab_init();
	percpu_init();
	ck_assert_uint_eq(nr_open(), 0);
	slab_reclaim(cache_of(16));
	p = kmalloc(100);
	must(p != NULL);
	ck_assert_uint_eq(nr_open(), 1);
	ck_assert_uint_eq(cache_of(100)->size, class_size(size_class(100)));
	/* Who may not wait does not get by others who open one. */
	lock_acquire(&caches_lock);
	ck_assert_uint_eq(slab_alloc(c, &q, 1, ALLOC_GROW), 0);
	lock_release(&caches_lock);
	ck_assert_uint_eq(slab_alloc(c, &q, 1, ALLOC_GROW), 1);
	ck_assert_str_eq(c->name, "kmalloc-224");
	ck_assert_uint_eq(nr_open(), 2);
	slab_free(c, &q, 1);
	kfree(p);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		fill_and_empty, stale_descriptors, fullest_first, random_life, no_memory,
		double_free, free_of_never_allocated, inside_free, tail_free,
		barn_up_to_8k, barn_is_a_stack, barn_without_memory, further_cache, sheaf_slots, every_class,
		opened_by_a_request,
	};

	return unit_run("slab", tests, ARRAY_SIZE(tests));
}
