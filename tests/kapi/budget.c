/* SPDX-License-Identifier: MIT */
/* Budget groups: limits, usage, and that every way of freeing gives back. */
#include <pthread.h>

#include <stele.h>

#include "tap.h"

#define A STELE_GFP_KERNEL_ACCOUNT

static struct stele_budget *b;

static void counting(void)
{
	void *p[5];

	OK(stele_budget_current() == NULL && stele_budget_set_current(b) == NULL &&
	   stele_budget_current() == b, "a thread's group");
	p[0] = stele_kmalloc(100, A);
	OK(stele_budget_usage(b) == stele_ksize(p[0]), "a small block");
	p[1] = stele_kmalloc(50000, A);
	OK(stele_budget_usage(b) == stele_ksize(p[0]) + stele_ksize(p[1]), "a large one");
	p[2] = stele_kzalloc(500000, A);
	p[3] = stele_kmalloc(100, STELE_GFP_NOWAIT | STELE_GFP_ACCOUNT);
	p[4] = stele_kcalloc(10, 10, A);
	OK(stele_budget_usage(b) == stele_ksize(p[0]) + stele_ksize(p[1]) + stele_ksize(p[2]) +
	   stele_ksize(p[3]) + stele_ksize(p[4]) && all_bytes(p[4], 0, 100), "all kinds");
	stele_kfree(stele_kmalloc(100, STELE_GFP_KERNEL));
	free(malloc(100));
	stele_kfree(p[0]);
	free(p[1]);
	p[2] = realloc(p[2], hide_size(900000));
	MUST(p[2]);
	stele_kfree_nolock(p[3]);
	stele_kfree_bulk(1, &p[4]);
	/* what was put aside is freed with the next miss */
	stele_kfree(p[2]);
	p[0] = stele_krealloc(NULL, 10, A);
	for (size_t n = 100; n < 300000; n *= 3) {
		p[0] = stele_krealloc(p[0], n, A);
		MUST(p[0] && stele_budget_usage(b) >= n);
	}
	stele_kfree(p[0]);
	for (int i = 0; i < 3000; i++)
		p[0] = stele_kmalloc(16, STELE_GFP_KERNEL);
	OK(!stele_budget_usage(b), "every way of freeing gives back: %zu left",
	   stele_budget_usage(b));
	OK(stele_budget_peak(b) >= 550000 && !stele_budget_failures(b), "peak");
	OK(!strcmp(stele_budget_name(b), "group"), "name");
}

static void limits(void)
{
	static void *p[2000];
	size_t n = 0, limit = 100000;

	stele_budget_set_limit(b, limit);
	OK(stele_budget_limit(b) == limit, "limit");
	errno = 0;
	while (n < 2000 && (p[n] = stele_kmalloc(1000, A | STELE_GFP_NOWARN)))
		n++;
	OK(n == limit / 1024 && errno == ENOMEM && stele_budget_failures(b) == 1,
	   "%zu blocks, then ENOMEM", n);
	OK(stele_kmalloc(1000, STELE_GFP_KERNEL) != NULL, "others are not limited by it");
	stele_kfree(p[--n]);
	p[n] = stele_kmalloc(1000, A);
	OK(p[n] != NULL, "room again after a free");
	n++;
	p[n] = stele_kmalloc(1000, A | STELE_GFP_NOFAIL);
	OK(p[n] && stele_budget_usage(b) > limit, "NOFAIL goes above it");
	n++;
	OK(stele_budget_destroy(b) == -EBUSY, "a group in use cannot be destroyed");
	while (n)
		free(p[--n]);
	OK(!stele_budget_usage(b), "all given back");
	stele_budget_set_limit(b, STELE_BUDGET_NO_LIMIT);
}

static void caches(void)
{
	struct stele_kmem_cache *c = stele_kmem_cache_create("charged", 200, 0, STELE_SLAB_ACCOUNT,
							     NULL);
	void *p[20], *q;

	MUST(c);
	for (int i = 0; i < 20; i++)
		p[i] = stele_kmem_cache_alloc(c, STELE_GFP_KERNEL);
	OK(stele_budget_usage(b) == 20 * stele_ksize(p[0]), "SLAB_ACCOUNT charges every object");
	stele_budget_set_current(NULL);
	q = stele_kmem_cache_alloc(c, STELE_GFP_KERNEL);
	OK(q && stele_budget_usage(b) == 20 * stele_ksize(p[0]), "not without a group");
	stele_kmem_cache_free(c, q);
	for (int i = 0; i < 10; i++)
		stele_kmem_cache_free(c, p[i]);
	for (int i = 10; i < 15; i++)
		free(p[i]);
	stele_kmem_cache_free_bulk(c, 5, p + 15);
	OK(!stele_budget_usage(b), "freed without the group being current");
	stele_budget_set_current(b);
	stele_budget_set_limit(b, 1000);
	OK(!stele_kmem_cache_alloc_bulk(c, STELE_GFP_KERNEL | STELE_GFP_NOWARN, 20, p) &&
	   !stele_budget_usage(b), "a bulk above the limit: nothing");
	stele_budget_set_limit(b, STELE_BUDGET_NO_LIMIT);
	OK(!stele_kmem_cache_destroy(c), "destroy");
}

/* A shrinker that frees accounted blocks makes room below the limit. */
static void *kept[100];
static volatile unsigned long nr_kept;

static unsigned long count(struct stele_shrinker *s, struct stele_shrink_control *sc)
{
	(void)s;
	(void)sc;
	return nr_kept;
}

static unsigned long scan(struct stele_shrinker *s, struct stele_shrink_control *sc)
{
	unsigned long n = 0;

	(void)s;
	while (n < sc->nr_to_scan && nr_kept) {
		stele_kfree(kept[--nr_kept]);
		n++;
	}
	return n;
}

static void shrinking(void)
{
	struct stele_shrinker *s = stele_shrinker_alloc(0, "kept");
	void *p;

	s->count_objects = count;
	s->scan_objects = scan;
	stele_shrinker_register(s);
	stele_budget_set_limit(b, 200 * KIB);
	while (nr_kept < 100 && (kept[nr_kept] = stele_kmalloc(5000, A | STELE_GFP_NORETRY)))
		nr_kept++;
	p = stele_kmalloc(20000, A);
	OK(p && nr_kept < 39, "shrinkers are called before the limit refuses");
	stele_kfree(p);
	while (nr_kept)
		stele_kfree(kept[--nr_kept]);
	stele_shrinker_free(s);
	stele_budget_set_limit(b, STELE_BUDGET_NO_LIMIT);
}

static void *churn(void *arg)
{
	void *p[50] = { 0 };
	unsigned seed = (unsigned)(uintptr_t)arg;

	stele_budget_set_current(b);
	for (int i = 0; i < 20000; i++) {
		unsigned k = (seed = seed * 1103515245 + 12345) >> 16;
		void **slot = &p[k % 50];

		if (*slot)
			stele_kfree(*slot);
		*slot = *slot && k & 64 ? NULL : stele_kmalloc(k % 3 ? k % 2000 : k % 60000, A);
	}
	for (int i = 0; i < 50; i++)
		free(hide(p[i]));
	return NULL;
}

static void threads(void)
{
	pthread_t t[4];

	for (size_t i = 0; i < 4; i++)
		MUST(!pthread_create(&t[i], NULL, churn, (void *)(i + 1)));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	OK(!stele_budget_usage(b), "four threads leave nothing charged: %zu", stele_budget_usage(b));
}

/* No memory to write the charge down: the object goes back as it came, checks and all. */
static void unrecorded(void)
{
	const unsigned flags = STELE_SLAB_ACCOUNT | STELE_SLAB_RED_ZONE | STELE_SLAB_POISON;
	const struct stele_fault_attr all = { 1, 100, 0, -1 };
	struct stele_kmem_cache *c = stele_kmem_cache_create("checked", 100, 0, flags, NULL);
	void *before = stele_kmem_cache_alloc(c, STELE_GFP_KERNEL), *p;
	struct stele_budget *old = stele_budget_set_current(b);

	MUST(before && !stele_fault_set(STELE_FAIL_PAGE_ALLOC, &all));
	p = stele_kmem_cache_alloc(c, STELE_GFP_KERNEL | STELE_GFP_NOWARN);
	stele_fault_set(STELE_FAIL_PAGE_ALLOC, NULL);
	OK(!p && !stele_budget_usage(b), "no room in the table of charges: no object");
	p = stele_kmem_cache_alloc(c, STELE_GFP_KERNEL);
	OK(p && stele_budget_usage(b), "and one when there is");
	stele_kmem_cache_free(c, p);
	stele_budget_set_current(old);
	stele_kmem_cache_free(c, before);
	MUST(!stele_kmem_cache_destroy(c));
}

int main(void)
{
	b = stele_budget_create("group", STELE_BUDGET_NO_LIMIT);
	MUST(b);
	/* First: while the table of charges has no pages yet. */
	unrecorded();
	counting();
	limits();
	caches();
	shrinking();
	threads();
	stele_budget_set_current(NULL);
	OK(!stele_budget_destroy(b) && stele_budget_destroy(b) == -EINVAL &&
	   !stele_budget_destroy(NULL), "destroy");
	return tap_end();
}
