/* SPDX-License-Identifier: MIT */
/* lib/slab/size_class.h: every size, every alignment. */
#include "common.h"

#include "slab/size_class.h"
#include "slab/slab.h"

START_TEST(every_size)
{
	ck_assert_uint_eq(size_class(0), size_class(1));
	for (size_t size = 1; size <= SIZE_MAX_SLAB; size++) {
		unsigned class = size_class(size);

		must(class >= 1 && class <= NR_SIZE_CLASSES);
		must(class_size(class) >= size);
		/* The smallest that fits. */
		must(class == 1 || class_size(class - 1) < size);
		if (size <= SIZE_FINE)
			must(class_size(class) - size < SIZE_STEP);
		else
			must(5 * (class_size(class) - size) <= class_size(class));
	}
}
END_TEST

START_TEST(every_class)
{
	ck_assert_uint_eq(class_size(NR_SIZE_CLASSES), SIZE_MAX_SLAB);
	ck_assert_uint_lt(NR_SIZE_CLASSES, CLASS_LARGE);
	for (unsigned class = 1; class <= NR_SIZE_CLASSES; class++) {
		size_t size = class_size(class);

		ck_assert_uint_eq(size % 16, 0);
		ck_assert_uint_eq(size_class(size), class);
		if (class > 1) {
			ck_assert_uint_gt(size, class_size(class - 1));
			ck_assert_uint_eq(size_class(class_size(class - 1) + 1), class);
		}
	}
}
END_TEST

START_TEST(every_alignment)
{
	for (size_t align = 1; align <= PAGE_SIZE; align *= 2) {
		for (size_t size = 0; size <= SIZE_MAX_SLAB; size++) {
			unsigned class = size_class_aligned(size, align);
			size_t have = class_size(class);

			must(class <= NR_SIZE_CLASSES);
			must(have >= size && have % align == 0);
			/* The smallest class that is a multiple. */
			for (unsigned c = size_class(size); c < class; c++)
				must(class_size(c) % align != 0);
		}
	}
}
END_TEST

/* Slabs as the cache describes them: they hold what they say. */
START_TEST(geometry)
{
	unit_boot();
	for (unsigned class = 1; class <= NR_SIZE_CLASSES; class++) {
		const struct kmem_cache *c = &kmem_caches[class];
		size_t bytes = PAGE_SIZE << c->order, tail;
		char name[32];

		ck_assert_uint_eq(c->class, class);
		ck_assert_uint_eq(c->size, class_size(class));
		ck_assert_uint_eq(c->objects, bytes / c->size);
		tail = bytes - (size_t)c->objects * c->size;
		ck_assert_uint_le(tail, bytes / 4);
		ck_assert_uint_ge(c->objects, 8);
		ck_assert_uint_ge(bytes, 16 << 10);
		ck_assert_uint_le(bytes, 256 << 10);
		/* The bitmap lies in the descriptors behind the first. */
		ck_assert_uint_le((c->objects + 63) / 64 * 8,
				  ((1ul << c->order) - 1) * sizeof(struct page));
		ck_assert_uint_ge(c->batch, 2);
		ck_assert_uint_ge(c->sheaf_max, c->batch);
		snprintf(name, sizeof(name), "kmalloc-%u", c->size);
		ck_assert_str_eq(c->name, name);
	}
}
END_TEST

/* The reciprocal finds every object, and nothing else is one. */
START_TEST(every_index)
{
	char *base = (char *)(1ul << 40);

	unit_boot();
	for (unsigned class = 1; class <= NR_SIZE_CLASSES; class++) {
		const struct kmem_cache *c = &kmem_caches[class];
		size_t bytes = PAGE_SIZE << c->order, next = 0, i = 0;

		for (size_t off = 0; off < bytes; off++) {
			long want = -1;

			if (off == next && i < c->objects) {
				want = (long)i++;
				next += c->size;
			}
			must_eq(slab_index(c, base + off), want);
			must(slab_base(c, base + off) == base);
		}
		must_eq(i, c->objects);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_size, every_class, every_alignment, geometry, every_index,
	};

	return unit_run("size_class", tests, ARRAY_SIZE(tests));
}
