/* SPDX-License-Identifier: MIT */
/* lib/slab/kmalloc.c, large.c: the contract of malloc, and the numbers. */
#include "common.h"

#include "page/reclaim.h"
#include "page/vmalloc.h"
#include "page/zone.h"
#include "slab/kmalloc.h"
#include "slab/percpu.h"
#include "slab/slab.h"
#include "tune/tune.h"

#define MIB (1ul << 20)

static void no_mappings(void)
{
	tune_set(TUNE_ID_mmap_max, 0, TUNE_MALLOPT);
}

START_TEST(every_size)
{
	unit_boot();
	for (size_t size = 0; size <= 70000; size += size < 5000 ? 1 : 61) {
		char *p = kmalloc(size);

		must(p && IS_ALIGNED((uintptr_t)p, 16));
		must(ksize(p) >= size);
		/* All of the usable size is the program's. */
		pattern_fill(p, ksize(p), size);
		must(pattern_holds(p, ksize(p), size));
		if (size % 3)
			kfree(p);
	}
	zones_hold();
}
END_TEST

/* No waste above a fifth, above 128 bytes; page by page for large ones. */
START_TEST(usable_size)
{
	unit_boot();
	for (size_t size = 1; size <= 32768; size++) {
		char *p = kmalloc(size);

		must_eq(ksize(p), class_size(size_class(size)));
		kfree(p);
	}
	no_mappings();
	for (size_t size = 32769; size < 3 * MIB; size += 4093) {
		char *p = kmalloc(size);

		must_eq(ksize(p), ALIGN_UP(size, 4096));
		kfree(p);
	}
}
END_TEST

START_TEST(alignments)
{
	unit_boot();
	for (size_t align = 1; align <= 32 * MIB; align *= 2) {
		for (size_t size = 0; size < 600000; size = 2 * size + 3) {
			char *p = kmalloc_aligned(size, align);

			must(p && IS_ALIGNED((uintptr_t)p, MAX(align, 16ul)));
			must(ksize(p) >= size);
			pattern_fill(p, size, align);
			p = krealloc(p, size + 100);
			must(pattern_holds(p, size, align));
			if (size % 2)
				kfree(p);
		}
	}
	zones_hold();
}
END_TEST

START_TEST(impossible_sizes)
{
	static const size_t sizes[] = {
		PTRDIFF_MAX, PTRDIFF_MAX - 1, PTRDIFF_MAX - 4095, PTRDIFF_MAX - 4096,
		(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 4096, 1ul << 48, 1ul << 50, 1ul << 62,
	};
	char *small, *large, *mapped;

	unit_boot();
	small = kmalloc(100);
	large = kmalloc(100000);
	mapped = kmalloc(MIB);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		void *(*const ways[])(size_t) = { kmalloc, kzalloc };
		char *blocks[] = { small, large, mapped };

		for (int w = 0; w < 2; w++) {
			errno = 0;
			ck_assert_ptr_null(ways[w](sizes[i]));
			ck_assert_int_eq(errno, ENOMEM);
		}
		errno = 0;
		ck_assert_ptr_null(kmalloc_aligned(sizes[i], 4096));
		ck_assert_int_eq(errno, ENOMEM);
		errno = 0;
		ck_assert_ptr_null(kmalloc_aligned(100, 1ul << 62));
		ck_assert_int_eq(errno, ENOMEM);
		for (int b = 0; b < 3; b++) {
			size_t have = ksize(blocks[b]);

			pattern_fill(blocks[b], have, 1);
			errno = 0;
			ck_assert_ptr_null(krealloc(blocks[b], sizes[i]));
			ck_assert_int_eq(errno, ENOMEM);
			ck_assert_uint_eq(ksize(blocks[b]), have);
			ck_assert(pattern_holds(blocks[b], have, 1));
		}
	}
}
END_TEST

/* errno is free()'s to keep, and success's. */
START_TEST(errno_kept)
{
	size_t sizes[] = { 10, 50000, MIB, 64 * MIB };
	char *p;

	unit_boot();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		errno = 77;
		p = krealloc(kmalloc(sizes[i]), sizes[i] * 2);
		kfree(p);
		kfree(kzalloc(sizes[i]));
		ck_assert_int_eq(errno, 77);
	}
	kfree(NULL);
	ck_assert_int_eq(errno, 77);
}
END_TEST

/* Zero whatever the memory was before, from each source. */
START_TEST(zeroed)
{
	struct rng r = { 1 };

	unit_boot();
	for (int mapped = 0; mapped < 2; mapped++) {
		for (int i = 0; i < 1500; i++) {
			size_t size = rng_size(&r, 2 * MIB);
			char *dirty = kmalloc(size), *p;

			memset(dirty, 0xa5, ksize(dirty));
			kfree(dirty);
			if (i % 100 == 99) {
				kmalloc_drain();
				reclaim_all(rng_size(&r, MIB));
			}
			size = rng_size(&r, 2 * MIB);
			p = kzalloc(size);
			must(all_zero(p, size));
			memset(p, 0x5a, ksize(p));
			kfree(p);
		}
		no_mappings();
	}
}
END_TEST

/* calloc of fresh pages does not write to them: they cost nothing. */
START_TEST(zero_touches_nothing)
{
	size_t touched;
	char *p, *q;

	unit_boot();
	no_mappings();
	p = kmalloc(100);
	touched = zones[ZONE_BRK].free_touched;
	q = kzalloc(8 * MIB);
	ck_assert(all_zero(q, 8 * MIB));
	ck_assert_uint_eq(zones[ZONE_BRK].free_touched, touched);
	kfree(q);
	kfree(p);
}
END_TEST

/* glibc's rule: a freed mapping raises the threshold, sizes that cycle stay. */
START_TEST(threshold_follows)
{
	unsigned maps;

	unit_boot();
	kfree(kmalloc(MIB));
	maps = fake.calls[FAKE_MAP];
	ck_assert_uint_ge(maps, 1);
	for (int i = 0; i < 20; i++)
		kfree(kmalloc(MIB));
	ck_assert_uint_eq(fake.calls[FAKE_MAP], maps);
	kfree(kmalloc(64 * MIB));
	ck_assert_uint_eq(fake.calls[FAKE_MAP], maps + 1);
	kfree(kmalloc(64 * MIB));
	ck_assert_uint_eq(fake.calls[FAKE_MAP], maps + 2);
}
END_TEST

START_TEST(mmap_parameters)
{
	char *p, *q;

	unit_boot();
	tune_mallopt(-3, 1 << 16);	/* M_MMAP_THRESHOLD */
	p = kmalloc(1 << 16);
	ck_assert_uint_eq(vmalloc_size(p), 1 << 16);
	q = kmalloc((1 << 16) - 1);
	ck_assert_uint_eq(vmalloc_size(q), 0);
	ck_assert_uint_eq(class_of(q), CLASS_LARGE);
	kfree(p);
	tune_mallopt(-4, 0);		/* M_MMAP_MAX */
	p = kmalloc(50 * MIB);
	ck_assert_uint_eq(vmalloc_size(p), 0);
	ck_assert_uint_eq(fake.calls[FAKE_MAP], 1);
	ck_assert_ptr_eq(krealloc(p, 60 * MIB), p);
	kfree(p);
	kfree(q);
	zones_hold();
}
END_TEST

START_TEST(perturbed)
{
	unsigned char *p;

	unit_boot();
	tune_mallopt(-6, 0xa5);		/* M_PERTURB */
	percpu_update_hit();
	for (size_t size = 1; size < 300000; size = 3 * size + 1) {
		p = kmalloc(size);
		for (size_t i = 0; i < size; i++)
			must_eq(p[i], 0x5a);
		kfree(p);
		if (size <= 32768)
			must_eq(p[size / 2], 0xa5);
		p = kzalloc(size);
		must(all_zero(p, size));
		kfree(p);
	}
}
END_TEST

struct model {
	size_t small_bytes, small, large_bytes, large, mapped_bytes, mapped;
};

static void account(struct model *m, const void *p, long sign)
{
	size_t bytes = ksize(p);

	if (vmalloc_size(p)) {
		m->mapped_bytes += (size_t)sign * bytes;
		m->mapped += (size_t)sign;
	} else if (class_of(p) == CLASS_LARGE) {
		m->large_bytes += (size_t)sign * bytes;
		m->large += (size_t)sign;
	} else {
		m->small_bytes += (size_t)sign * bytes;
		m->small += (size_t)sign;
	}
}

static void usage_holds(const struct model *m)
{
	struct kmalloc_usage u = kmalloc_usage();
	struct vmalloc_stats v = vmalloc_stats();

	must_eq(u.slab_bytes, m->small_bytes);
	must_eq(u.slab_blocks, m->small);
	must_eq(u.large_bytes, m->large_bytes);
	must_eq(u.large_blocks, m->large);
	must_eq(v.bytes, m->mapped_bytes);
	must_eq(v.count, m->mapped);
	must(u.slab_bytes + u.cached_bytes <= u.slab_pages << PAGE_SHIFT);
}

/* Every operation, every kind of block: the numbers are exact all the time. */
START_TEST(usage_exact)
{
	struct rng r = { 8 };
	struct model m = { 0 };
	char *blocks[600] = { NULL };

	unit_boot();
	for (int i = 0; i < 40000; i++) {
		size_t k = rng_below(&r, 600), size = rng_size(&r, rng_below(&r, 8) ? 4096 : MIB);

		if (!blocks[k]) {
			blocks[k] = rng_below(&r, 4) ? kmalloc(size) :
				    kmalloc_aligned(size, 1ul << rng_below(&r, 15));
			account(&m, blocks[k], 1);
		} else if (rng_below(&r, 3)) {
			account(&m, blocks[k], -1);
			kfree(blocks[k]);
			blocks[k] = NULL;
		} else {
			account(&m, blocks[k], -1);
			blocks[k] = krealloc(blocks[k], size);
			account(&m, blocks[k], 1);
		}
		if (i % 64 == 0)
			usage_holds(&m);
		if (i % 5000 == 0)
			kmalloc_drain();
	}
	for (size_t k = 0; k < 600; k++)
		kfree(blocks[k]);
	usage_holds(&(struct model){ 0 });
	kmalloc_drain();
	usage_holds(&(struct model){ 0 });
	ck_assert_uint_eq(kmalloc_usage().cached_bytes, 0);
	ck_assert_uint_eq(kmalloc_usage().slab_pages, 0);
	zones_hold();
}
END_TEST

/* The last freed is the next handed out: it is still in the CPU's cache. */
START_TEST(lifo)
{
	unit_boot();
	for (size_t size = 16; size <= 32768; size *= 2) {
		char *a = kmalloc(size), *b = kmalloc(size);

		kfree(a);
		kfree(b);
		ck_assert_ptr_eq(kmalloc(size), b);
		ck_assert_ptr_eq(kmalloc(size), a);
	}
}
END_TEST

static unsigned all_calls(void)
{
	unsigned n = 0;

	for (int c = 0; c < NR_FAKE_CALLS; c++)
		n += fake.calls[c];
	return n;
}

/* A steady state asks (nearly) nothing of the system. */
START_TEST(no_calls_when_steady)
{
	struct rng r = { 2 };
	char *blocks[256] = { NULL };
	unsigned before = 0;

	unit_boot();
	for (int i = 0; i < 60000; i++) {
		size_t k = rng_below(&r, 256);

		kfree(blocks[k]);
		blocks[k] = kmalloc(rng_size(&r, 60000));
		if (i == 40000)
			before = all_calls();
	}
	ck_assert_uint_gt(before, 0);
	ck_assert_uint_le(all_calls(), before + 8);
}
END_TEST

/* The first blocks of a small size lie in different cache lines, as many as there are. */
START_TEST(lines_apart)
{
	unit_boot();
	for (size_t size = 16; size < 64; size += 16) {
		uintptr_t before = (uintptr_t)kmalloc(size) / 64;

		for (int i = 1; i < 16; i++) {
			uintptr_t line = (uintptr_t)kmalloc(size) / 64;

			must(line != before);
			before = line;
		}
	}
	/* Later ones are neighbours. */
	char *p = kmalloc(16);

	for (int i = 0; i < 1000; i++)
		p = kmalloc(16);
	must_eq((char *)kmalloc(16) - p, 16);
}
END_TEST

/* What is freed in great numbers, and not all of it, comes back by address. */
START_TEST(reuse_by_address)
{
	static char *blocks[100000];
	size_t in_order = 0, n = ARRAY_SIZE(blocks);
	struct rng r = { 3 };

	unit_boot();
	for (size_t i = 0; i < n; i++)
		blocks[i] = kmalloc(64);
	/* Every second one, at random. */
	for (size_t i = n - 1; i; i--) {
		size_t k = rng_below(&r, i + 1);
		char *other = blocks[k];

		blocks[k] = blocks[i];
		blocks[i] = other;
	}
	for (size_t i = 0; i < n; i += 2)
		kfree(blocks[i]);
	for (size_t i = 0; i < n; i += 2)
		blocks[i] = kmalloc(64);
	for (size_t i = 2; i < n; i += 2)
		in_order += blocks[i] > blocks[i - 2] && blocks[i] - blocks[i - 2] < 4096;
	/* All but what lay in the sheaf. */
	ck_assert_uint_gt(in_order, n / 2 * 9 / 10);
	for (size_t i = 0; i < n; i++)
		kfree(blocks[i]);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_size, usable_size, alignments, impossible_sizes, errno_kept, zeroed,
		zero_touches_nothing, threshold_follows, mmap_parameters, perturbed, usage_exact,
		lifo, no_calls_when_steady,
		lines_apart, reuse_by_address,
	};

	return unit_run("kmalloc", tests, ARRAY_SIZE(tests));
}
