/* SPDX-License-Identifier: MIT */
/* Bad input and damage: a clear line, errno, and never corruption. */
#include <malloc.h>

#include <stele.h>

#include "tap.h"

#define K STELE_GFP_KERNEL

static struct stele_kmem_cache *a, *b;

static void bad_sizes(void *arg)
{
	(void)arg;
	errno = 0;
	MUST(!stele_kmem_cache_create("zero", 0, 0, 0, NULL) && errno == EINVAL);
	errno = 0;
	MUST(!stele_kmem_cache_create("huge", STELE_SLAB_SIZE_MAX + 1, 0, 0, NULL) &&
	     errno == EINVAL);
	errno = 0;
	MUST(!stele_kmem_cache_create("align", 10, 48, 0, NULL) && errno == EINVAL);
	errno = 0;
	MUST(!stele_kmem_cache_create("align", 10, 8192, 0, NULL) && errno == EINVAL);
	errno = 0;
	MUST(!stele_kmem_cache_create("flags", 10, 0, 0x80000000u, NULL) && errno == EINVAL);
}

static void panics(void *arg)
{
	(void)arg;
	stele_kmem_cache_create("precious", 0, 0, STELE_SLAB_PANIC, NULL);
}

static int never(void *p, void *d, stele_gfp_t gfp)
{
	(void)p;
	(void)d;
	(void)gfp;
	return 0;
}

static void plain_ctor(void *p)
{
	memset(p, 1, 8);
}

static void two_ctors(void *arg)
{
	struct stele_kmem_cache_args args = { .size = 10, .ctor = plain_ctor, .init = never };

	(void)arg;
	MUST(!stele_kmem_cache_create_args("two", &args) && errno == EINVAL);
}

static void wrong_cache(void *arg)
{
	void *p = stele_kmem_cache_alloc(a, K);
	struct stele_kmem_cache_info i;

	(void)arg;
	errno = 0;
	stele_kmem_cache_free(b, p);
	MUST(errno == EINVAL);
	stele_kmem_cache_get_info(a, &i);
	MUST(i.active_objs == 1);
	stele_kmem_cache_free(a, p);
}

static void wrong_block(void *arg)
{
	void *p = malloc(64);

	(void)arg;
	errno = 0;
	stele_kmem_cache_free(a, p);
	MUST(errno == EINVAL && malloc_usable_size(p) >= 64);
	free(p);
}

static void wrong_in_bulk(void *arg)
{
	void *p[3] = { stele_kmem_cache_alloc(a, K), malloc(64), stele_kmem_cache_alloc(a, K) };
	struct stele_kmem_cache_info i;

	(void)arg;
	stele_kmem_cache_free_bulk(a, 3, p);
	stele_kmem_cache_get_info(a, &i);
	MUST(i.active_objs == 0);
	free(p[1]);
}

static void inside(void *arg)
{
	char *p = stele_kmem_cache_alloc(a, K);

	(void)arg;
	stele_kmem_cache_free(a, hide(p + 16));
	malloc_trim(0);
}

/* At once, not when the sheaf is emptied: there would be no call left to name. */
static void inside_in_bulk(void *arg)
{
	void *p[3];

	(void)arg;
	MUST(stele_kmem_cache_alloc_bulk(a, K, 3, p) == 3);
	p[1] = hide((char *)p[1] + 16);
	stele_kmem_cache_free_bulk(a, 3, p);
	_exit(0);
}

static void inside_in_kfree_bulk(void *arg)
{
	size_t at = *(size_t *)arg;
	void *p[3];

	for (size_t i = 0; i < 3; i++)
		p[i] = stele_kmalloc(100, K);
	p[at] = hide((char *)p[at] + 8);
	stele_kfree_bulk(3, p);
	_exit(0);
}

static void twice(void *arg)
{
	void *p = stele_kmem_cache_alloc(a, K);

	(void)arg;
	stele_kmem_cache_free(a, p);
	stele_kmem_cache_free(a, hide(p));
	malloc_trim(0);
}

static void twice_nolock(void *arg)
{
	void *p = stele_kmalloc(5 * MIB, K);

	(void)arg;
	stele_kfree_nolock(p);
	stele_kfree_nolock(hide(p));
	malloc_trim(0);
}

static void after_destroy(void *arg)
{
	struct stele_kmem_cache *c = stele_kmem_cache_create("gone", 64, 0, 0, NULL);

	(void)arg;
	MUST(!stele_kmem_cache_destroy(c));
	errno = 0;
	MUST(!stele_kmem_cache_alloc(c, K) && errno == EINVAL);
	MUST(!stele_kmem_cache_size(c));
	MUST(stele_kmem_cache_destroy(c) == -EINVAL);
}

static void null_cache(void *arg)
{
	(void)arg;
	MUST(stele_kmem_cache_shrink(NULL) == 1 && errno == EINVAL);
	stele_kmem_cache_free_bulk(NULL, 1, &arg);
}

static void leaked(void *arg)
{
	struct stele_kmem_cache *c = stele_kmem_cache_create("leaky", 64, 0, *(unsigned *)arg, NULL);
	void *p = stele_kmem_cache_alloc(c, K), *q = stele_kmem_cache_alloc(c, K);

	MUST(stele_kmem_cache_destroy(c) == -EBUSY);
	/* it is as it was */
	free(p);
	p = stele_kmem_cache_alloc(c, K);
	MUST(p);
	stele_kmem_cache_free(c, p);
	stele_kmem_cache_free(c, q);
	MUST(!stele_kmem_cache_destroy(c));
}

/* With leak= every object has its stack, whatever the cache's flags. */
static void leaked_tracked(void *arg)
{
	setenv("STELE_CONF", "leak=on", 1);
	execl("/proc/self/exe", "badinput", "leak", (char *)NULL);
	_exit(arg ? 9 : 8);
}

static void zeroed(void *arg)
{
	struct stele_kmem_cache *c = stele_kmem_cache_create("made", 64, 0, 0, plain_ctor);

	(void)arg;
	errno = 0;
	MUST(!stele_kmem_cache_zalloc(c, K) && errno == EINVAL);
	MUST(!stele_kmem_cache_alloc(c, K | STELE_GFP_ZERO));
}

static void bad_flags(void *arg)
{
	(void)arg;
	errno = 0;
	MUST(!stele_kmalloc(10, 0x80000000u) && errno == EINVAL);
	errno = 0;
	MUST(!stele_kmem_cache_alloc(a, K | 0x01000000u) && errno == EINVAL);
	errno = 0;
	MUST(!stele_kmalloc(10, STELE_GFP_NOFAIL) && errno == EINVAL);
	errno = 0;
	MUST(!stele_kmalloc(10, K | STELE_GFP_DMA32) && errno == EINVAL);
}

static void bad_sheaf(void *arg)
{
	struct stele_slab_sheaf *s = stele_kmem_cache_prefill_sheaf(a, K, 5);

	(void)arg;
	MUST(!stele_kmem_cache_alloc_from_sheaf(b, K, s) && errno == EINVAL);
	stele_kmem_cache_return_sheaf(b, K, s);
	stele_kmem_cache_return_sheaf(a, K, s);
}

/* ---- caches that check ---- */

#define ALL_CHECKS (STELE_SLAB_POISON | STELE_SLAB_RED_ZONE | STELE_SLAB_STORE_USER | \
		    STELE_SLAB_CONSISTENCY_CHECKS)

static struct stele_kmem_cache *checked;

static void overflow(void *arg)
{
	char *p = stele_kmem_cache_alloc(checked, K);

	((char *)hide(p))[*(int *)arg] = 'x';
	stele_kmem_cache_free(checked, p);
}

static void overflow_free(void *arg)
{
	char *p = stele_kmem_cache_alloc(checked, K);

	(void)arg;
	((char *)hide(p))[50] = 'x';
	free(p);
}

static void after_free(void *arg)
{
	char *p = stele_kmem_cache_alloc(checked, K);

	stele_kmem_cache_free(checked, p);
	((char *)hide(p))[*(int *)arg] = 'x';
	p = stele_kmem_cache_alloc(checked, K);
}

static void checked_twice(void *arg)
{
	char *p = stele_kmem_cache_alloc(checked, K);

	(void)arg;
	stele_kmem_cache_free(checked, p);
	stele_kmem_cache_free(checked, hide(p));
}

static void checked_well(void *arg)
{
	void *p[200];

	(void)arg;
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < 200; i++) {
			p[i] = stele_kmem_cache_alloc(checked, K);
			MUST(p[i]);
			/* not what the last owner left, and not zeros by chance */
			MUST(all_bytes(p[i], 0x6b, 49));
			memset(p[i], (int)i, 50);
		}
		for (size_t i = 0; i < 200; i++) {
			MUST(all_bytes(p[i], (int)i, 50) && malloc_usable_size(p[i]) == 50);
			if (i % 2)
				free(p[i]);
			else
				stele_kmem_cache_free(checked, p[i]);
		}
	}
	MUST(!stele_kmem_cache_destroy(checked));
}

static void made_and_checked(void *arg)
{
	struct stele_kmem_cache *c = stele_kmem_cache_create("both", 13, 0, ALL_CHECKS, plain_ctor);
	void *p[100];

	(void)arg;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++) {
			p[i] = stele_kmem_cache_alloc(c, K);
			MUST(p[i] && all_bytes(p[i], 1, 8));
			memset((char *)p[i] + 8, 9, 5);
		}
		for (int i = 0; i < 100; i++)
			stele_kmem_cache_free_nolock(c, p[i]);
		malloc_trim(0);
	}
	MUST(!stele_kmem_cache_destroy(c));
}

static void shrinker_without(void *arg)
{
	struct stele_shrinker *s = stele_shrinker_alloc(0, "incomplete-%d", 7);

	(void)arg;
	errno = 0;
	stele_shrinker_register(s);
	MUST(errno == EINVAL);
	stele_shrinker_free(s);
	stele_shrinker_free(NULL);
}

static void pool_without(void *arg)
{
	stele_mempool_t *p = stele_mempool_create_kmalloc_pool(2, 10);

	(void)arg;
	MUST(!stele_mempool_create(-1, stele_mempool_kmalloc, stele_mempool_kfree, NULL));
	MUST(!stele_mempool_create(1, NULL, stele_mempool_kfree, NULL) && errno == EINVAL);
	MUST(!stele_mempool_alloc(p, K | STELE_GFP_ZERO) && errno == EINVAL);
	stele_mempool_destroy(p);
	stele_mempool_destroy(NULL);
}

int main(int argc, char **argv)
{
	int at_end = 50, behind = 55, first = 0, last = 49;
	size_t first_of = 0, last_of = 2;
	unsigned plain = 0, tracked = STELE_SLAB_STORE_USER;

	if (argc > 1 && !strcmp(argv[1], "leak")) {
		leaked(&plain);
		return 0;
	}
	a = stele_kmem_cache_create("alpha", 64, 0, 0, NULL);
	b = stele_kmem_cache_create("beta", 64, 0, 0, NULL);
	checked = stele_kmem_cache_create("checked", 50, 0, ALL_CHECKS, NULL);
	MUST(a && b && checked);
	lives(bad_sizes, NULL, "stele: kmem_cache_create: cache zero: bad object size (size 0",
	      "sizes, alignments and flags that cannot be");
	dies(panics, NULL, "cannot create cache precious", NULL, "SLAB_PANIC");
	lives(two_ctors, NULL, "two constructors", "ctor and init");
	lives(wrong_cache, NULL, "is not of cache beta but of alpha, called from ",
	      "an object of another cache is refused");
	lives(wrong_block, NULL, "is not of cache alpha but of kmalloc-64", "a block too");
	lives(wrong_in_bulk, NULL, "kmem_cache_free_bulk: ", "the others of a bulk are freed");
	dies(inside, NULL, "invalid free", "alpha", "a pointer into an object");
	dies(inside_in_bulk, NULL, "kmem_cache_free_bulk: invalid free", "cache alpha",
	     "one into an object among a bulk");
	dies(inside_in_kfree_bulk, &first_of, "free: invalid free", "cache kmalloc-112",
	     "the first of kfree_bulk's");
	dies(inside_in_kfree_bulk, &last_of, "free: invalid free", "cache kmalloc-112",
	     "the last of them");
	dies(twice, NULL, "double free", "alpha", "an object twice");
	dies(twice_nolock, NULL, "double free", NULL, "a block twice by kfree_nolock");
	lives(after_destroy, NULL, "was destroyed (last known as gone)", "a cache that is gone");
	lives(null_cache, NULL, "kmem_cache_shrink: NULL for a cache", "NULL for a cache");
	lives(leaked, &plain, "cache leaky: 2 objects are still out", "objects that are still out");
	lives(leaked, &tracked, "64 bytes, allocated by 0x", "and by whom they were allocated");
	lives(leaked_tracked, NULL, "  allocated at 0x", "with leak=, where");
	lives(zeroed, NULL, "would undo the constructor, cache made", "zeros over what is constructed");
	lives(bad_flags, NULL, "kmalloc: unknown flags, called from ", "flags that do not exist");
	lives(bad_sheaf, NULL, "not a sheaf of cache beta", "a sheaf of another cache");
	dies(overflow, &at_end, "red zone of object", "cache checked", "a byte behind the object");
	dies(overflow, &behind, "byte 55 is 78 instead of cc", "allocated by 0x", "a few bytes behind");
	dies(overflow_free, NULL, "red zone of object", NULL, "found by free() too");
	dies(after_free, &first, "poison of object", "byte 0 is 78 instead of 6b", "a write after free");
	dies(after_free, &last, "byte 49 is 78 instead of a5", "last freed by 0x", "to the last byte");
	dies(checked_twice, NULL, "cache checked: double free", NULL, "a double free, at once");
	lives(checked_well, NULL, NULL, "nothing is said where nothing is wrong");
	lives(made_and_checked, NULL, NULL, "constructed objects can be checked");
	lives(shrinker_without, NULL, "shrinker_register: incomplete-7 without its functions",
	      "a shrinker without functions");
	lives(pool_without, NULL, "mempool_create: -1 elements", "pools that cannot be");
	return tap_end();
}
