/* SPDX-License-Identifier: MIT */
/* The kernel's own names: each is called, and does what its namesake does. */
#include <stele/kernel.h>

#include "tap.h"

struct item {
	int key;
	struct item *next;
};

struct table {
	size_t n;
	struct item slot[];
};

static void ctor(void *p)
{
	((struct item *)p)->key = -1;
}

static void blocks(void)
{
	struct table *t = kzalloc(struct_size(t, slot, 10), GFP_KERNEL);
	char *s = kasprintf(GFP_KERNEL, "%d-%s", 7, "x"), *d = kstrdup(s, GFP_NOFS);
	void *p[3] = { kmalloc(10, GFP_ATOMIC), kcalloc(3, 5, GFP_NOIO), kvzalloc(100, GFP_USER) };

	OK(t && s && d && p[0] && p[1] && p[2] && !strcmp(d, "7-x"), "kmalloc and its relatives");
	OK(ksize(t) >= sizeof(*t) + 10 * sizeof(struct item), "struct_size");
	OK(size_mul(SIZE_MAX, 2) == SIZE_MAX && size_add(SIZE_MAX, 1) == SIZE_MAX &&
	   array3_size(2, 3, 4) == 24 && !kmalloc(hide_size(array_size(SIZE_MAX, 8)), GFP_KERNEL | __GFP_NOWARN),
	   "sizes that overflow");
	p[0] = krealloc(p[0], 1000, GFP_KERNEL | __GFP_ZERO);
	p[1] = krealloc_array(p[1], 100, 8, GFP_KERNEL);
	OK(p[0] && p[1], "krealloc");
	kfree_bulk(3, p);
	kfree(t);
	kfree_sensitive(s);
	kvfree(d);
	kfree(NULL);
	kfree(ZERO_SIZE_PTR);
	OK(ZERO_OR_NULL_PTR(hide(kmalloc(hide_size(0), GFP_KERNEL))), "ZERO_SIZE_PTR");
	s = kmemdup("abc", 4, GFP_KERNEL);
	d = kstrndup("abcdef", 3, GFP_KERNEL);
	/* there must be something at hand */
	kfree(kmalloc(20, GFP_KERNEL));
	p[0] = kmalloc_nolock(20, __GFP_ZERO, 0);
	OK(!strcmp(s, d) && p[0] && all_bytes(p[0], 0, 20), "copies");
	kfree_nolock(p[0]);
	kfree(s);
	kfree(d);
}

static void caches(void)
{
	struct kmem_cache_args args = { .align = 64, .ctor = ctor };
	struct kmem_cache *a = KMEM_CACHE(item, SLAB_HWCACHE_ALIGN | SLAB_PANIC);
	struct kmem_cache *b = kmem_cache_create("five", 40, 8, SLAB_ACCOUNT, NULL);
	struct kmem_cache *c = kmem_cache_create("args", sizeof(struct item), &args, 0);
	struct slab_sheaf *sheaf;
	struct item *i;
	void *p[10];

	OK(a && b && c, "both forms of kmem_cache_create, and KMEM_CACHE");
	i = kmem_cache_alloc(c, GFP_KERNEL);
	OK(i && i->key == -1 && (uintptr_t)i % 64 == 0, "a constructor and an alignment");
	kmem_cache_free(c, i);
	OK(kmem_cache_alloc_bulk(b, GFP_KERNEL, 10, p) == 10, "bulk");
	kmem_cache_free_bulk(b, 10, p);
	p[0] = kmem_cache_zalloc(a, GFP_NOWAIT);
	OK(p[0] && all_bytes(p[0], 0, sizeof(struct item)), "zalloc");
	kfree(p[0]);
	sheaf = kmem_cache_prefill_sheaf(a, GFP_KERNEL, 5);
	p[0] = kmem_cache_alloc_from_sheaf(a, GFP_NOWAIT, sheaf);
	OK(p[0] && kmem_cache_sheaf_size(sheaf) >= 4 && !kmem_cache_refill_sheaf(a, GFP_KERNEL,
	   &sheaf, 8), "sheaves");
	kmem_cache_free(a, p[0]);
	kmem_cache_return_sheaf(a, GFP_KERNEL, sheaf);
	OK(kmem_cache_size(a) == sizeof(struct item) && !kmem_cache_shrink(a), "size, shrink");
	kmem_cache_destroy(a);
	kmem_cache_destroy(b);
	kmem_cache_destroy(c);
	kmem_cache_destroy(NULL);
}

static unsigned long count(struct shrinker *shrinker, struct shrink_control *sc)
{
	(void)sc;
	return shrinker->private_data ? 5 : SHRINK_EMPTY;
}

static unsigned long scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	(void)sc;
	shrinker->private_data = NULL;
	return SHRINK_STOP;
}

static int told(struct notifier_block *nb, unsigned long action, void *data)
{
	(void)nb;
	(void)action;
	(void)data;
	return NOTIFY_OK;
}

static void rest(void)
{
	struct shrinker *shrinker = shrinker_alloc(0, "test-%d", 1);
	static struct notifier_block nb = { .notifier_call = told };
	mempool_t *pool = mempool_create_kmalloc_pool(2, 100);
	unsigned int flags;
	void *p;

	MUST(shrinker && pool);
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker->seeks = DEFAULT_SEEKS;
	shrinker->private_data = shrinker;
	shrinker_register(shrinker);
	stele_shrink_all(0);
	OK(!shrinker->private_data, "shrinkers");
	shrinker_free(shrinker);
	OK(!register_oom_notifier(&nb) && !unregister_oom_notifier(&nb), "OOM notifiers");
	p = mempool_alloc(pool, GFP_NOIO);
	OK(p != NULL, "pools");
	kmemleak_not_leak(p);
	kmemleak_ignore(p);
	mempool_free(p, pool);
	mempool_destroy(pool);
	flags = memalloc_nofs_save();
	memalloc_noio_restore(memalloc_noio_save());
	memalloc_noreclaim_restore(memalloc_noreclaim_save());
	memalloc_nofs_restore(flags);
	OK(gfpflags_allow_blocking(GFP_KERNEL) && !gfpflags_allow_blocking(GFP_ATOMIC), "scopes");
}

int main(void)
{
	blocks();
	caches();
	rest();
	return tap_end();
}
