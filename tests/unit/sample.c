/* SPDX-License-Identifier: MIT */
/*
 * lib/debug/sample.c and the sampled half of lib/slab/tracked.c: what the profile says
 * is what the program did, within the error that so many samples have.
 */
#include "common.h"

#include <math.h>

#include "debug/sample.h"
#include "debug/capture.h"
#include "page/vmalloc.h"
#include "slab/blocks.h"
#include "slab/kmalloc.h"
#include "slab/slab.h"
#include "slab/tracked.h"
#include "tune/tune.h"

#define MEAN	4096

static void boot(uint64_t clock)
{
	fake_boot();
	fake.clock = clock;	/* the seed */
	tune.profile = MEAN;
	tune.unwind = UNWIND_NONE;
	track_init();
	unit_start();
	tracked_init();
}

/* As malloc() does it. */
static void *request(size_t size)
{
	return sample_due(size) ? tracked_malloc(size) : kmalloc(size);
}

static bool sum(const struct profile *p, void *arg)
{
	struct profile *all = arg;

	all->inuse_blocks += p->inuse_blocks;
	all->inuse_bytes += p->inuse_bytes;
	all->total_blocks += p->total_blocks;
	all->total_bytes += p->total_bytes;
	return true;
}

static struct profile profile_now(void)
{
	struct profile all = { 0 };

	must(profile_walk(sum, &all));
	return all;
}

static void near_enough(const char *what, double have, double want, double error)
{
	if (fabs(have - want) > error)
		ck_abort_msg("%s: %.0f, not %.0f +- %.0f", what, have, want, error);
}

/* Four times the standard deviation of an estimate of @n blocks of @size bytes. */
static double tolerance(double n, double size, bool bytes)
{
	double p = 1 - exp(-(size + 1) / MEAN);

	return 4 * sqrt(n * (1 - p) / p) * (bytes ? size : 1) + 0.01 * n * (bytes ? size : 1);
}

static void one_size(size_t size, size_t n)
{
	void **p;
	struct profile all;
	size_t kept = 0;

	boot(size);
	p = kmalloc(n * sizeof(*p));
	for (size_t i = 0; i < n; i++) {
		p[i] = request(size);
		must(p[i]);
	}
	all = profile_now();
	near_enough("blocks", (double)all.total_blocks, (double)n,
		    tolerance((double)n, (double)size, false));
	near_enough("bytes", (double)all.total_bytes, (double)(n * size),
		    tolerance((double)n, (double)size, true));
	must_eq(all.inuse_blocks, all.total_blocks);
	must_eq(all.inuse_bytes, all.total_bytes);
	/* Two of three go. */
	for (size_t i = 0; i < n; i++) {
		if (i % 3)
			kfree(p[i]);
		else
			kept++;
	}
	all = profile_now();
	near_enough("kept", (double)all.inuse_blocks, (double)kept,
		    tolerance((double)kept, (double)size, false));
	for (size_t i = 0; i < n; i += 3)
		kfree(p[i]);
	all = profile_now();
	must_eq(all.inuse_blocks, 0);
	must_eq(all.inuse_bytes, 0);
}

START_TEST(tiny)
{
	one_size(1, 400000);
}
END_TEST

START_TEST(nothing)
{
	one_size(0, 400000);
}
END_TEST

START_TEST(small)
{
	one_size(100, 100000);
}
END_TEST

START_TEST(as_the_mean)
{
	one_size(MEAN, 20000);
}
END_TEST

START_TEST(large)
{
	one_size(60000, 2000);
}
END_TEST

START_TEST(mapped)
{
	one_size(300000, 500);
}
END_TEST

static bool is_sampled(const void *p)
{
	struct block b;

	return block_find(p, &b) && b.rec;
}

/* A sample stays one, at its size, or is one no more: never another's weight. */
START_TEST(resized)
{
	struct rng r = { 1 };
	struct profile all;
	uint64_t live = 0;
	void *p[200] = { NULL };
	size_t size[200] = { 0 };

	boot(3);
	for (size_t i = 0; i < 200000; i++) {
		size_t k = rng_below(&r, 200), want = 1 + rng_below(&r, 1000);

		if (rng_below(&r, 500) == 0)
			want = 40000 + rng_below(&r, 200000);
		if (p[k]) {
			pattern_fill(p[k], MIN(size[k], want), i);
			p[k] = tracked_realloc(p[k], want);
			must(pattern_holds(p[k], MIN(size[k], want), i));
		} else {
			p[k] = request(want);
		}
		size[k] = want;
	}
	for (size_t k = 0; k < 200; k++)
		live += size[k];
	all = profile_now();
	near_enough("live", (double)all.inuse_bytes, (double)live,
		    4 * sqrt((double)live * MEAN) + 1);
	for (size_t k = 0; k < 200; k++)
		kfree(p[k]);
	all = profile_now();
	must_eq(all.inuse_blocks, 0);
}
END_TEST

static bool walked(const struct block *b, void *arg)
{
	must(b->rec && b->rec->stack == STACK_UNKNOWN);
	++*(size_t *)arg;
	return true;
}

/* Sampled blocks are blocks: found, aligned, zeroed, of the size that was asked for. */
START_TEST(blocks)
{
	size_t n = 0, sampled = 0;
	struct block b;

	boot(4);
	for (size_t align = 1; align <= 2 * PAGE_SIZE; align *= 2) {
		for (size_t size = 1; size < 100000; size = size * 5 + 3) {
			char *p = tracked_aligned(size, align);
			char *z = tracked_calloc(size);

			must(IS_ALIGNED((uintptr_t)p, align) && all_zero(z, size));
			must(ksize(p) >= size && ksize(z) >= size);
			memset(p, 1, size);
			sampled += 2;
			must(blocks_index(unit_index_memory));
			must(block_find(p + size - 1, &b));
			must(b.addr == p && b.size == size && b.usable >= size && is_sampled(p));
			must(block_find(z, &b) && b.addr == z && b.size == size);
			blocks_unindex();
		}
	}
	must(blocks_walk(walked, &n));
	must_eq(n, sampled);
}
END_TEST

/* The sample of a size that was freed last is the next one; the one before it went back. */
START_TEST(spare)
{
	size_t n = 0;
	char *p, *q, *z;

	boot(6);
	p = tracked_malloc(100);
	q = tracked_malloc(100);
	memset(q, 1, 100);
	kfree(p);
	kfree(q);
	must(blocks_walk(walked, &n));
	must_eq(n, 0);
	must(tracked_malloc(200) != q);
	z = tracked_calloc(100);
	must(z == q && all_zero(z, 100) && is_sampled(z));
	must(tracked_malloc(100) == p);
	/* What is filled when it is freed is not kept back from that. */
	tune.perturb = 0x55;
	kfree(z);
	must(z[50] == 0x55);
}
END_TEST

static void free_it(void *p)
{
	kfree(p);
}

START_TEST(double_free)
{
	void *p;

	boot(5);
	p = tracked_malloc(100);
	kfree(p);
	must(fake_aborts(free_it, p));
	must_say("double free of");
	must_say("sample-128");
}
END_TEST

int main(void)
{
	const TTest *tests[] = { tiny, nothing, small, as_the_mean, large, mapped, resized, blocks,
				 spare, double_free };

	return unit_run("sample", tests, ARRAY_SIZE(tests));
}
