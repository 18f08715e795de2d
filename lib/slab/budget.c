/* SPDX-License-Identifier: MIT */
/*
 * Budget groups.
 *
 * 1. A group counts bytes by compare-and-swap. Above the limit a request may
 *    ask shrinkers to free something, then it fails.
 *
 * 2. Who was charged for a block is kept in a table from address to group, as
 *    nothing is written in or beside blocks.
 *
 * 3. The block must come by the table again when it is freed, by whatever
 *    function. Small blocks are objects of caches without sheaves, one for each
 *    of kmalloc's sizes and opened when first needed, whose frees all take the slow
 *    path and give_back(). Large blocks and mappings take it anyway, and look here
 *    once anything has been charged.
 *
 * Locking: budget_lock for the table and the list of groups.
 */
#include "slab/budget.h"

#include <errno.h>
#include <string.h>

#include "base/fmt.h"
#include "base/probe.h"
#include "page/page.h"
#include "page/task.h"
#include "slab/kmalloc.h"
#include "slab/large.h"
#include "slab/pressure.h"
#include "slab/slab.h"

#define FIRST_CAPACITY	(PAGE_SIZE / sizeof(struct charge))
#define ROUNDS_MAX	8

struct charge {
	uintptr_t addr;			/* 0: empty slot */
	struct stele_budget *budget;
	size_t bytes;
} __attribute__((aligned(32)));		/* so many of them that a mask will do */

static struct {
	struct charge *slots;		/* NULL: nothing was charged yet */
	size_t capacity, count;		/* power of two; entries */
} table;

struct lock budget_lock = LOCK_INIT(RANK_BUDGET);
bool budget_active __initdata;

static struct stele_budget *unused_budgets;
static struct kmem_cache *small[NR_SIZE_CLASSES + 1];	/* by kmalloc's class */

static struct probe probe(void)
{
	return (struct probe){ table.slots, sizeof(struct charge), table.capacity };
}

static struct charge *find(uintptr_t addr)
{
	struct charge *ch = table.slots && addr ? probe_slot(probe(), addr) : NULL;

	return ch && ch->addr ? ch : NULL;
}

static void insert(const struct charge *ch)
{
	*(struct charge *)probe_slot(probe(), ch->addr) = *ch;
}

static void erase(struct charge *ch)
{
	struct charge *from = ch;

	while ((from = probe_follower(probe(), ch, from))) {
		*ch = *from;
		ch = from;
	}
	ch->addr = 0;
	table.count--;
}

/* Room for one more; false: no memory for the table, or no leave to get it. */
static bool reserve(unsigned how)
{
	size_t old_capacity = table.capacity;
	size_t capacity = old_capacity ? 2 * old_capacity : FIRST_CAPACITY;
	struct charge *old = table.slots, *slots;

	if (old && table.count + 1 <= old_capacity / 4 * 3)
		return true;
	if (!(how & ALLOC_WAIT))
		return old && table.count + 1 < old_capacity;
	slots = page_alloc_meta(capacity * sizeof(*slots) / PAGE_SIZE);
	if (!slots)
		return old && table.count + 1 < old_capacity;
	table.slots = slots;
	table.capacity = capacity;
	for (size_t i = 0; i < old_capacity; i++) {
		if (old[i].addr)
			insert(&old[i]);
	}
	if (old)
		page_free_meta(old, old_capacity * sizeof(*old) / PAGE_SIZE);
	return true;
}

static bool enter(const void *p, struct stele_budget *b, size_t bytes, unsigned how)
{
	struct charge ch = { (uintptr_t)p, b, bytes };
	bool ok;

	if (!lock_enter(&budget_lock, how & ALLOC_WAIT))
		return false;
	ok = reserve(how);
	if (ok) {
		insert(&ch);
		table.count++;
		WRITE_ONCE(budget_active, true);
	}
	lock_release(&budget_lock);
	return ok;
}

static bool count_up(struct stele_budget *b, size_t bytes)
{
	size_t old = READ_ONCE(b->usage), sum, peak;

	do {
		if (__builtin_add_overflow(old, bytes, &sum) || sum > READ_ONCE(b->limit))
			return false;
	} while (!__atomic_compare_exchange_n(&b->usage, &old, sum, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	peak = READ_ONCE(b->peak);
	while (peak < sum && !__atomic_compare_exchange_n(&b->peak, &peak, sum, true,
							  __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return true;
}

static void count_down(struct stele_budget *b, size_t bytes)
{
	__atomic_sub_fetch(&b->usage, bytes, __ATOMIC_RELAXED);
}

static bool charge(struct stele_budget *b, size_t bytes, stele_gfp_t gfp)
{
	/* What lies idle is charged to nobody: only the program can help. */
	for (unsigned round = 1; !count_up(b, bytes); round++) {
		if (!(gfp & STELE_GFP_DIRECT_RECLAIM) || round > ROUNDS_MAX ||
		    bytes > READ_ONCE(b->limit) || !pressure_relieve(gfp, round)) {
			__atomic_add_fetch(&b->failures, 1, __ATOMIC_RELAXED);
			return false;
		}
	}
	return true;
}

bool budget_uncharge(const void *p)
{
	struct charge *ch, found = { 0 };

	lock_acquire(&budget_lock);
	ch = find((uintptr_t)p);
	if (ch) {
		found = *ch;
		erase(ch);
	}
	lock_release(&budget_lock);
	if (found.budget)
		count_down(found.budget, found.bytes);
	return found.budget;
}

bool budget_is_charged(const void *p)
{
	bool charged;

	lock_acquire(&budget_lock);
	charged = find((uintptr_t)p);
	lock_release(&budget_lock);
	return charged;
}

static bool give_back(struct kmem_cache *c __unused_arg, void *obj)
{
	budget_uncharge(obj);
	return true;
}

static const struct cache_ops small_ops = { .give_back = give_back };

/* The cache for accounted blocks of the class; NULL: none now. */
static struct kmem_cache *small_cache(unsigned class, unsigned how)
{
	struct kmem_cache *c = load_acquire(&small[class]), *none = NULL;
	char name[24];

	if (c || !(how & ALLOC_WAIT))
		return c;
	fmt_print(name, sizeof(name), "kmalloc-cg-%u", (unsigned)class_size(class));
	c = cache_open(name, class_size(class), 0, &small_ops, NULL);
	if (c && !__atomic_compare_exchange_n(&small[class], &none, c, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE)) {
		cache_close(c);
		c = none;
	}
	return c;
}

/* Where no class is left for a cache, a page will do. */
static void *take(struct request *r, stele_gfp_t gfp)
{
	void *p;

	if (!r->cache && !r->ops && r->size <= SIZE_MAX_SLAB) {
		r->cache = small_cache(size_class_aligned(r->size, r->align), gfp_how(gfp));
		if (!r->cache)
			r->size = SIZE_MAX_SLAB + 1;
	} else if (r->cache || r->ops) {
		return gfp_alloc_plain(r, gfp);
	}
	p = gfp_alloc_plain(r, gfp);
	if (p && r->cache && gfp & STELE_GFP_ZERO)
		memset(p, 0, r->size);
	return p;
}

static size_t bytes_for(const struct request *r)
{
	if (r->cache)
		return r->cache->usable;
	if (r->size <= SIZE_MAX_SLAB && !r->ops)
		return class_size(size_class_aligned(r->size, r->align));
	return ALIGN_UP(r->size, PAGE_SIZE);
}

void *budget_alloc(const struct request *asked, stele_gfp_t gfp)
{
	struct stele_budget *b = current_task.budget;
	struct request r = *asked;
	size_t bytes = r.size <= PTRDIFF_MAX - PAGE_SIZE ? bytes_for(&r) : 0;
	void *p;

	if (!READ_ONCE(b->alive) || !bytes || gfp & ~STELE_GFP_ALL)
		return gfp_alloc_plain(asked, gfp);
	gfp = gfp_in_scope(gfp);
	if (!charge(b, bytes, gfp)) {
		if (!(gfp & STELE_GFP_NOFAIL)) {
			errno = ENOMEM;
			return NULL;
		}
		/* Who must not fail goes over the limit. */
		__atomic_add_fetch(&b->usage, bytes, __ATOMIC_RELAXED);
	}
	p = take(&r, gfp);
	if (p && enter(p, b, bytes, gfp_how(gfp)))
		return p;
	count_down(b, bytes);
	if (!p)
		return NULL;
	if (r.cache && r.cache->ops->hand_out)
		r.cache->ops->hand_out(r.cache, p);
	if (r.ops)
		r.ops->undo(p, &r, gfp & STELE_GFP_DIRECT_RECLAIM);
	else if (gfp & STELE_GFP_DIRECT_RECLAIM)
		kfree(p);
	else
		kfree_quiet(p);
	errno = ENOMEM;
	return NULL;
}

struct stele_budget *budget_create(const char *name, size_t limit)
{
	struct stele_budget *b;

	lock_acquire(&budget_lock);
	b = unused_budgets;
	if (!b) {
		/* A page of them; they are never given back, so that a stale one can be told. */
		struct stele_budget *page = page_alloc_meta(1);

		for (size_t i = 0; page && i < PAGE_SIZE / sizeof(*page); i++) {
			page[i].next = b;
			b = &page[i];
		}
	}
	if (b) {
		unused_budgets = b->next;
		*b = (struct stele_budget){ .limit = limit };
		fmt_print(b->name, sizeof(b->name), "%s", name ? name : "");
		WRITE_ONCE(b->alive, 1);
	}
	lock_release(&budget_lock);
	return b;
}

int budget_destroy(struct stele_budget *b)
{
	int err = 0;

	lock_acquire(&budget_lock);
	if (!b->alive) {
		err = -EINVAL;
	} else if (READ_ONCE(b->usage)) {
		err = -EBUSY;
	} else {
		struct stele_budget **last = &unused_budgets;

		WRITE_ONCE(b->alive, 0);
		/* Behind all others, to be used again as late as can be. */
		while (*last)
			last = &(*last)->next;
		b->next = NULL;
		*last = b;
	}
	lock_release(&budget_lock);
	return err;
}
