/* SPDX-License-Identifier: MIT */
/* Public names of scopes, the reserve, shrinkers, pools, budgets, injected faults. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "os/bug.h"
#include "os/libc.h"
#include "page/fault.h"
#include "page/reserve.h"
#include "page/task.h"
#include "shell/kapi.h"
#include "slab/budget.h"
#include "slab/cache.h"
#include "slab/kmalloc.h"
#include "slab/mempool.h"
#include "slab/percpu.h"
#include "slab/shrinker.h"

/* ---- scopes ---- */

static unsigned scope_enter(unsigned bits)
{
	unsigned saved = current_task.scope & bits;

	current_task.scope |= (uint16_t)bits;
	return saved;
}

static void scope_leave(unsigned bits, unsigned saved)
{
	current_task.scope = (uint16_t)((current_task.scope & ~bits) | (saved & bits));
}

__public unsigned stele_memalloc_nofs_save(void)
{
	return scope_enter(SCOPE_NOFS);
}

__public void stele_memalloc_nofs_restore(unsigned saved)
{
	scope_leave(SCOPE_NOFS, saved);
}

__public unsigned stele_memalloc_noio_save(void)
{
	return scope_enter(SCOPE_NOIO);
}

__public void stele_memalloc_noio_restore(unsigned saved)
{
	scope_leave(SCOPE_NOIO, saved);
}

__public unsigned stele_memalloc_noreclaim_save(void)
{
	return scope_enter(SCOPE_NORECLAIM);
}

__public void stele_memalloc_noreclaim_restore(unsigned saved)
{
	scope_leave(SCOPE_NORECLAIM, saved);
}

__public void stele_set_nofail_callback(stele_nofail_fn fn, void *data)
{
	gfp_set_nofail(fn, data);
}

__public int stele_reserve_fill(unsigned long pages)
{
	kapi_begin();
	return reserve_fill(pages) ? 0 : -ENOMEM;
}

__public unsigned long stele_reserve_pages(void)
{
	return reserve_available();
}

/* ---- shrinkers ---- */

#define NAME_MAX_LEN	32

/* The name stands behind it, for debuggers. */
struct named_shrinker {
	struct stele_shrinker s;
	char name[NAME_MAX_LEN];
};

__public struct stele_shrinker *stele_shrinker_alloc(unsigned flags, const char *fmt, ...)
{
	struct named_shrinker *n = kapi_alloc(sizeof(*n), STELE_GFP_KERNEL | STELE_GFP_ZERO,
					      "shrinker_alloc", CALLER);
	va_list ap;

	if (!n)
		return NULL;
	va_start(ap, fmt);
	LIBC(vsnprintf)(n->name, sizeof(n->name), fmt, ap);
	va_end(ap);
	n->s.flags = flags;
	n->s.seeks = STELE_DEFAULT_SEEKS;
	return &n->s;
}

__public void stele_shrinker_register(struct stele_shrinker *s)
{
	if (s && s->count_objects && s->scan_objects) {
		shrinker_add(s);
		return;
	}
	warn("shrinker_register: %s without its functions, called from %pS",
	     s ? ((struct named_shrinker *)s)->name : "NULL", CALLER);
	errno = EINVAL;
}

__public void stele_shrinker_free(struct stele_shrinker *s)
{
	if (!s)
		return;
	shrinker_remove(s);
	kfree(s);
}

__public unsigned long stele_shrink_all(int priority)
{
	return shrink_all(STELE_GFP_KERNEL, CLAMP(priority, 0, SHRINK_PRIORITY));
}

__public int stele_register_oom_notifier(struct stele_notifier_block *nb)
{
	return oom_notifier_add(nb);
}

__public int stele_unregister_oom_notifier(struct stele_notifier_block *nb)
{
	return oom_notifier_remove(nb);
}

/* ---- memory pools ---- */

__public stele_mempool_t *stele_mempool_create(int min_nr, stele_mempool_alloc_t *alloc,
					       stele_mempool_free_t *free, void *pool_data)
{
	if (min_nr < 0 || !alloc || !free) {
		warn("mempool_create: %d elements, functions %s, called from %pS", min_nr,
		     alloc && free ? "given" : "missing", CALLER);
		errno = EINVAL;
		return NULL;
	}
	kapi_begin();
	return mempool_create(min_nr, alloc, free, pool_data);
}

__public stele_mempool_t *stele_mempool_create_slab_pool(int min_nr, struct stele_kmem_cache *c)
{
	return stele_mempool_create(min_nr, stele_mempool_alloc_slab, stele_mempool_free_slab, c);
}

__public stele_mempool_t *stele_mempool_create_kmalloc_pool(int min_nr, size_t size)
{
	return stele_mempool_create(min_nr, stele_mempool_kmalloc, stele_mempool_kfree,
				    (void *)size);
}

__public int stele_mempool_resize(stele_mempool_t *pool, int min_nr)
{
	return min_nr < 0 ? -EINVAL : mempool_resize(pool, min_nr);
}

__public void stele_mempool_destroy(stele_mempool_t *pool)
{
	if (pool)
		mempool_destroy(pool);
}

__public void *stele_mempool_alloc(stele_mempool_t *pool, stele_gfp_t gfp)
{
	if (unlikely(gfp & (STELE_GFP_ZERO | ~STELE_GFP_ALL))) {
		warn("mempool_alloc: flags %x, called from %pS", gfp, CALLER);
		errno = EINVAL;
		return NULL;
	}
	return mempool_alloc(pool, gfp);
}

__public void *stele_mempool_alloc_preallocated(stele_mempool_t *pool)
{
	return mempool_take(pool, false);
}

__public void stele_mempool_free(void *element, stele_mempool_t *pool)
{
	if (element)
		mempool_free(pool, element);
}

__public int stele_mempool_curr_nr(const stele_mempool_t *pool)
{
	return READ_ONCE(pool->curr_nr);
}

__public int stele_mempool_min_nr(const stele_mempool_t *pool)
{
	return READ_ONCE(pool->min_nr);
}

__public void *stele_mempool_alloc_slab(stele_gfp_t gfp, void *pool_data)
{
	return stele_kmem_cache_alloc(pool_data, gfp);
}

__public void stele_mempool_free_slab(void *element, void *pool_data)
{
	stele_kmem_cache_free(pool_data, element);
}

__public void *stele_mempool_kmalloc(stele_gfp_t gfp, void *pool_data)
{
	return stele_kmalloc((size_t)pool_data, gfp);
}

__public void stele_mempool_kfree(void *element, void *pool_data)
{
	(void)pool_data;
	stele_kfree(element);
}

/* ---- budget groups ---- */

__public struct stele_budget *stele_budget_create(const char *name, size_t limit)
{
	struct stele_budget *b;

	kapi_begin();
	b = budget_create(name, limit);
	if (!b)
		errno = ENOMEM;
	return b;
}

__public int stele_budget_destroy(struct stele_budget *b)
{
	return b ? budget_destroy(b) : 0;
}

__public void stele_budget_set_limit(struct stele_budget *b, size_t limit)
{
	WRITE_ONCE(b->limit, limit);
}

__public size_t stele_budget_limit(const struct stele_budget *b)
{
	return READ_ONCE(b->limit);
}

__public size_t stele_budget_usage(const struct stele_budget *b)
{
	return READ_ONCE(b->usage);
}

__public size_t stele_budget_peak(const struct stele_budget *b)
{
	return READ_ONCE(b->peak);
}

__public unsigned long stele_budget_failures(const struct stele_budget *b)
{
	return READ_ONCE(b->failures);
}

__public const char *stele_budget_name(const struct stele_budget *b)
{
	return b->name;
}

__public struct stele_budget *stele_budget_set_current(struct stele_budget *b)
{
	struct stele_budget *old = current_task.budget;

	current_task.budget = b;
	return old;
}

__public struct stele_budget *stele_budget_current(void)
{
	return current_task.budget;
}

/* ---- injected faults ---- */

__public int stele_fault_set(enum stele_fault which, const struct stele_fault_attr *attr)
{
	kapi_begin();
	if (!fault_set(which, attr))
		return -EINVAL;
	percpu_update_hit();
	return 0;
}

__public unsigned long stele_fault_count(enum stele_fault which)
{
	return fault_count(which);
}

/* Threads in a sequence now are before this call, those after it see the path closed. */
__public unsigned stele_fail_nth(unsigned n)
{
	unsigned old;

	kapi_begin();
	old = fault_set_nth(n);
	percpu_update_hit();
	return old;
}

__public void stele_fault_malloc(int on)
{
	fault_set_malloc(on);
}
