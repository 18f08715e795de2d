/* SPDX-License-Identifier: MIT */
/* Caches: objects, constructors, bulk, sheaves, shrinking, destruction, many of them. */
#include <malloc.h>

#include <stele.h>

#include "tap.h"

#define K STELE_GFP_KERNEL
#define N 3000

static void *obj[N];

static struct stele_kmem_cache_info info_of(struct stele_kmem_cache *c)
{
	struct stele_kmem_cache_info i;

	stele_kmem_cache_get_info(c, &i);
	return i;
}

/* Objects of @size: apart, aligned, all of it to be used. */
static bool try_size(size_t size, size_t align, unsigned flags)
{
	struct stele_kmem_cache *c = stele_kmem_cache_create("some", size, align, flags, NULL);
	size_t n = size > 64 * KIB ? 9 : size > 2000 ? 60 : 700;
	size_t want = align ? align : 16;
	bool good = true;

	MUST(c);
	if (flags & STELE_SLAB_HWCACHE_ALIGN && size > 32)
		want = want > 64 ? want : 64;
	for (size_t i = 0; i < n; i++) {
		obj[i] = stele_kmem_cache_alloc(c, K);
		MUST(obj[i]);
		good &= (uintptr_t)obj[i] % want == 0 && malloc_usable_size(obj[i]) >= size;
		memset(obj[i], (int)i, size);
	}
	for (size_t i = 0; i < n; i++)
		good &= all_bytes(obj[i], (int)i, size);
	good &= info_of(c).active_objs == n && stele_kmem_cache_size(c) == size;
	for (size_t i = 0; i < n; i++)
		stele_kmem_cache_free(c, obj[i]);
	good &= info_of(c).active_objs == 0;
	return !stele_kmem_cache_destroy(c) && good;
}

static void sizes(void)
{
	static const size_t some[] = { 1, 8, 16, 24, 64, 100, 333, 1000, 4096, 5000, 32768, 40000,
				       65536, 300000, STELE_SLAB_SIZE_MAX };

	for (size_t i = 0; i < ARRAY_LEN(some); i++)
		OK(try_size(some[i], 0, 0), "objects of %zu bytes", some[i]);
	OK(try_size(100, 128, 0) && try_size(100, 4096, 0) && try_size(5000, 1024, 0), "alignment");
	OK(try_size(40, 0, STELE_SLAB_HWCACHE_ALIGN) && try_size(100, 0, STELE_SLAB_HWCACHE_ALIGN),
	   "SLAB_HWCACHE_ALIGN");
}

static void own_pages(void)
{
	struct stele_kmem_cache *a = stele_kmem_cache_create("a", 64, 0, 0, NULL);
	struct stele_kmem_cache *b = stele_kmem_cache_create("b", 64, 0, 0, NULL);
	bool apart = true;
	char *p, *q;

	MUST(a && b);
	for (int i = 0; i < 1000; i++) {
		p = stele_kmem_cache_alloc(a, K);
		q = stele_kmem_cache_alloc(b, K);
		obj[2 * i] = p;
		obj[2 * i + 1] = q;
		apart &= (uintptr_t)p >> 12 != (uintptr_t)q >> 12;
	}
	OK(apart, "two caches share no page");
	OK(info_of(a).active_objs == 1000 && info_of(b).active_objs == 1000 &&
	   !strcmp(info_of(a).name, "a") && info_of(a).nr_slabs, "each has its own statistics");
	for (int i = 0; i < 1000; i++) {
		stele_kmem_cache_free(a, obj[2 * i]);
		free(obj[2 * i + 1]);
	}
	OK(info_of(b).active_objs == 0, "free() gives objects back to their cache");
	p = stele_kmem_cache_alloc(a, K);
	strcpy(p, "contents");
	p = realloc(p, hide_size(500));
	OK(p && !strcmp(p, "contents") && info_of(a).active_objs == 0,
	   "realloc() moves an object to a block");
	stele_kfree(p);
	p = stele_kmem_cache_zalloc(a, K);
	OK(p && all_bytes(p, 0, 64), "zalloc");
	stele_kfree(p);
	OK(!strcmp(stele_kmem_cache_name(a), "a"), "name");
	stele_kmem_cache_free(a, NULL);
	OK(!stele_kmem_cache_destroy(a) && !stele_kmem_cache_destroy(b) &&
	   !stele_kmem_cache_destroy(NULL), "destroy");
}

/* ---- constructed objects ---- */

struct thing {
	int ready, uses;
	char rest[120];
};

static int made, unmade, wrong;

static void ctor(void *p)
{
	struct thing *t = p;

	memset(t, 0, sizeof(*t));
	t->ready = 42;
	made++;
}

static void dtor(void *p, void *data)
{
	struct thing *t = p;

	wrong += t->ready != 42 || data != &made;
	t->ready = 0;
	unmade++;
}

static void constructed(void)
{
	struct stele_kmem_cache_args args = { .size = sizeof(struct thing), .ctor = ctor,
					      .dtor = dtor, .data = &made };
	struct stele_kmem_cache *c = stele_kmem_cache_create_args("thing", &args);
	struct thing *t;
	int first, before;

	MUST(c);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < N; i++) {
			t = obj[i] = stele_kmem_cache_alloc(c, K);
			MUST(t);
			wrong += t->ready != 42;
			t->uses++;
		}
		if (!round)
			first = made;
		for (int i = 0; i < N; i++) {
			if (i % 3)
				stele_kmem_cache_free(c, obj[i]);
			else
				free(obj[i]);
		}
	}
	OK(!wrong && first >= N && first < N + 200, "every object is constructed, once");
	/* slabs may have come and gone between the rounds */
	OK(made - unmade <= first + 200 && made < 3 * N, "it stays so while it is in the cache");
	OK(info_of(c).ctor_calls == (unsigned long)made, "constructor calls are counted");
	before = unmade;
	OK(!stele_kmem_cache_shrink(c) && unmade == made && unmade > before,
	   "shrink runs the destructors");
	t = stele_kmem_cache_alloc(c, K);
	OK(t && t->ready == 42, "and the cache goes on");
	stele_kmem_cache_free(c, t);
	OK(stele_kmem_cache_alloc_bulk(c, K, 100, obj) == 100, "bulk");
	for (int i = 0; i < 100; i++)
		wrong += ((struct thing *)obj[i])->ready != 42;
	stele_kmem_cache_free_bulk(c, 100, obj);
	malloc_trim(0);
	OK(!stele_kmem_cache_destroy(c) && made == unmade && !wrong,
	   "in the end all that was constructed was destructed");
}

static int refuse_after;

static int init(void *p, void *data, stele_gfp_t gfp)
{
	wrong += !(gfp & STELE_GFP_DIRECT_RECLAIM) || data != &refuse_after;
	if (refuse_after-- <= 0)
		return -EACCES;
	*(int *)p = 42;
	made++;
	return 0;
}

static void fini(void *p, void *data)
{
	wrong += *(int *)p != 42 || data != &refuse_after;
	unmade++;
}

/* In a cache that was constructed an object may be anything but constructed by its failure. */
static void failing(void)
{
	struct stele_kmem_cache_args args = { .size = 40, .init = init, .dtor = fini,
					      .data = &refuse_after };
	struct stele_kmem_cache *c = stele_kmem_cache_create_args("failing", &args);
	int n = 0;

	MUST(c);
	made = unmade = wrong = 0;
	refuse_after = 100;
	errno = 0;
	while (n < N && (obj[n] = stele_kmem_cache_alloc(c, K)))
		n++;
	OK(n == 100 && errno == EACCES, "a constructor that fails: its error, %d objects", n);
	errno = 0;
	OK(!stele_kmem_cache_alloc_bulk(c, K, 10, obj + n) && errno == EACCES,
	   "bulk: all or nothing");
	refuse_after = 1000;
	obj[n] = stele_kmem_cache_alloc(c, K);
	OK(obj[n] && *(int *)obj[n] == 42, "it may succeed later");
	n++;
	while (n)
		stele_kmem_cache_free(c, obj[--n]);
	OK(!stele_kmem_cache_destroy(c) && made == unmade && !wrong,
	   "only what was constructed is destructed");
}

/* ---- bulk, sheaves ---- */

static void bulk(void)
{
	struct stele_kmem_cache *c = stele_kmem_cache_create("bulk", 48, 0, 0, NULL);
	bool good = true;

	MUST(c);
	for (size_t n = 1; n <= N; n = n * 2 + 1) {
		good &= stele_kmem_cache_alloc_bulk(c, K, n, obj) == n;
		for (size_t i = 0; i < n; i++)
			memset(obj[i], (int)i, 48);
		for (size_t i = 0; i < n; i++)
			good &= all_bytes(obj[i], (int)i, 48);
		good &= info_of(c).active_objs == n;
		stele_kmem_cache_free_bulk(c, n, obj);
		good &= info_of(c).active_objs == 0;
	}
	OK(good, "bulks of 1 to %d objects", N);
	OK(stele_kmem_cache_alloc_bulk(c, STELE_GFP_NOWAIT, 5, obj) == 5 &&
	   stele_kmem_cache_alloc_bulk(c, K | STELE_GFP_ZERO, 5, obj + 5) == 5 &&
	   all_bytes(obj[7], 0, 48), "with any flags");
	stele_kmem_cache_free_bulk(c, 10, obj);
	OK(stele_kmem_cache_alloc_bulk(c, K, 0, obj) == 0, "none");
	OK(!stele_kmem_cache_destroy(c), "destroy");
}

static void sheaves(void)
{
	struct stele_kmem_cache *c = stele_kmem_cache_create("sheaf", 100, 0, 0, NULL);
	struct stele_slab_sheaf *s = stele_kmem_cache_prefill_sheaf(c, K, 50);
	struct stele_fault_attr all = { 1, 100, 0, -1 };
	int n = 0;

	MUST(c && s);
	OK(stele_kmem_cache_sheaf_size(s) >= 50, "prefilled");
	MUST(!stele_fault_set(STELE_FAILSLAB, &all) && !stele_fault_set(STELE_FAIL_PAGE_ALLOC, &all));
	OK(!stele_kmem_cache_alloc(c, K | STELE_GFP_NOWARN), "while all other requests fail,");
	while (n < N && (obj[n] = stele_kmem_cache_alloc_from_sheaf(c, STELE_GFP_NOWAIT, s)))
		memset(obj[n++], 1, 100);
	stele_fault_set(STELE_FAILSLAB, NULL);
	stele_fault_set(STELE_FAIL_PAGE_ALLOC, NULL);
	OK(n >= 50, "those from the sheaf do not: %d", n);
	OK(!stele_kmem_cache_refill_sheaf(c, K, &s, 20) && stele_kmem_cache_sheaf_size(s) >= 20,
	   "refilled");
	OK(!stele_kmem_cache_refill_sheaf(c, K, &s, 200) && stele_kmem_cache_sheaf_size(s) >= 200,
	   "refilled with more than it was made for");
	obj[n] = stele_kmem_cache_alloc_from_sheaf(c, STELE_GFP_ZERO | K, s);
	OK(obj[n] && all_bytes(obj[n], 0, 100), "zeroed");
	n++;
	stele_kmem_cache_return_sheaf(c, K, s);
	OK(info_of(c).active_objs == (size_t)n, "what is left goes back");
	stele_kmem_cache_free_bulk(c, (size_t)n, obj);
	stele_kmem_cache_return_sheaf(c, K, NULL);
	OK(!stele_kmem_cache_destroy(c), "destroy");
}

static void capacity(void)
{
	struct stele_kmem_cache_args args = { .size = 64, .sheaf_capacity = 4 };
	struct stele_kmem_cache *c = stele_kmem_cache_create_args("few", &args);

	MUST(c);
	obj[0] = stele_kmem_cache_alloc(c, K);
	OK(info_of(c).cached_objs < 4, "the CPU keeps %lu of at most 4",
	   (unsigned long)info_of(c).cached_objs);
	for (int i = 1; i < 1000; i++)
		obj[i] = stele_kmem_cache_alloc(c, K);
	for (int i = 0; i < 1000; i++)
		stele_kmem_cache_free(c, obj[i]);
	OK(info_of(c).active_objs == 0, "a small sheaf");
	OK(!stele_kmem_cache_destroy(c), "destroy");
}

/* ---- many ---- */

#define CACHES 400

static void many(void)
{
	static struct stele_kmem_cache *c[CACHES];
	int merged = 0, bad = 0;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < CACHES; i++) {
			char name[32];

			snprintf(name, sizeof(name), "many-%d", i);
			c[i] = stele_kmem_cache_create(name, 32 + (size_t)i, 0, 0, NULL);
			MUST(c[i]);
			merged += info_of(c[i]).merged;
			obj[i] = stele_kmem_cache_alloc(c[i], K);
			obj[CACHES + i] = stele_kmem_cache_zalloc(c[i], K);
			MUST(obj[i] && obj[CACHES + i]);
			memset(obj[i], i, 32 + (size_t)i);
			memset(obj[CACHES + i], i, 32 + (size_t)i);
		}
		for (int i = 0; i < CACHES; i++) {
			bad += !all_bytes(obj[i], i, 32 + (size_t)i) ||
			       !all_bytes(obj[CACHES + i], i, 32 + (size_t)i);
			stele_kmem_cache_free(c[i], obj[i]);
			stele_kmem_cache_free(c[i], obj[CACHES + i]);
			bad += stele_kmem_cache_destroy(c[i]) != 0;
		}
	}
	OK(!bad, "%d caches at a time, three times over", CACHES);
	OK(merged >= 3 * (CACHES - 214) && merged < 3 * (CACHES - 150),
	   "those beyond the classes share kmalloc's blocks: %d", merged / 3);
}

/* It says "no" without an errno value. */
static int refuse(void *object, void *data, stele_gfp_t gfp)
{
	(void)object;
	(void)gfp;
	return *(int *)data;
}

static void merged(void)
{
	static struct stele_kmem_cache *fill[260];
	struct stele_kmem_cache_args args = { .size = sizeof(struct thing), .ctor = ctor,
					      .dtor = dtor, .data = &made };
	struct stele_kmem_cache *c;
	struct thing *t;

	for (size_t i = 0; i < ARRAY_LEN(fill); i++)
		MUST((fill[i] = stele_kmem_cache_create("fill", 64, 0, 0, NULL)));
	made = unmade = wrong = 0;
	c = stele_kmem_cache_create_args("merged", &args);
	MUST(c && info_of(c).merged);
	t = stele_kmem_cache_alloc(c, K);
	OK(t && t->ready == 42 && made == 1 && info_of(c).active_objs == 1,
	   "a merged cache constructs each object");
	stele_kmem_cache_free(c, t);
	OK(unmade == 1 && !wrong && info_of(c).active_objs == 0, "and destructs it");
	OK(!stele_kmem_cache_destroy(c), "destroy");
	args = (struct stele_kmem_cache_args){ .size = 40, .init = refuse, .data = &wrong };
	wrong = 1;
	c = stele_kmem_cache_create_args("refused", &args);
	MUST(c && info_of(c).merged);
	OK(!stele_kmem_cache_alloc(c, K) && errno == ENOMEM, "no errno value: ENOMEM");
	wrong = -EACCES;
	OK(!stele_kmem_cache_alloc(c, K) && errno == EACCES, "and the one it gives");
	wrong = 0;
	MUST(!stele_kmem_cache_destroy(c));
	for (size_t i = 0; i < ARRAY_LEN(fill); i++)
		MUST(!stele_kmem_cache_destroy(fill[i]));
}

/* Take @n objects and give them back, some times over. */
static void churn(struct stele_kmem_cache *c, size_t n, int times)
{
	static void *p[30000];

	while (times--) {
		for (size_t i = 0; i < n; i++)
			MUST((p[i] = stele_kmem_cache_alloc(c, K)));
		for (size_t i = 0; i < n; i++)
			stele_kmem_cache_free(c, p[i]);
	}
}

/*
 * A cache that gets the number of one that was destroyed keeps more of its objects
 * idle: what lies behind the room that the first one had for them stays as it is.
 */
static void smaller_after_larger(void)
{
	static unsigned char *near[4000];
	struct stele_kmem_cache *c = stele_kmem_cache_create("larger", 4096, 0, 0, NULL);
	size_t page = stele_page_size(), bad = 0;

	MUST(c);
	churn(c, 2000, 20);
	MUST(!stele_kmem_cache_destroy(c));
	for (size_t i = 0; i < ARRAY_LEN(near); i++) {
		MUST((near[i] = stele_get_free_pages(K, 0)));
		memset(near[i], 0x5a, page);
	}
	c = stele_kmem_cache_create("smaller", 16, 0, 0, NULL);
	MUST(c);
	churn(c, 30000, 3);
	for (size_t i = 0; i < ARRAY_LEN(near); i++) {
		for (size_t k = 0; k < page; k++)
			bad += near[i][k] != 0x5a;
		stele_free_pages(near[i], 0);
	}
	OK(!bad && !stele_kmem_cache_destroy(c),
	   "a smaller cache after a larger one: %zu bytes overwritten", bad);
}

int main(void)
{
	/* First: while the numbers of caches are new. */
	smaller_after_larger();
	sizes();
	own_pages();
	constructed();
	failing();
	bulk();
	sheaves();
	capacity();
	many();
	merged();
	return tap_end();
}
