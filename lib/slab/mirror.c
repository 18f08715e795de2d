/* SPDX-License-Identifier: MIT */
#include "slab/mirror.h"

#include "base/bits.h"
#include "base/fmt.h"
#include "page/fault.h"
#include "slab/kmalloc.h"
#include "slab/slab.h"
#include "tune/tune.h"

#define MIRROR_MIN	5u	/* 32 bytes, log2 */
#define MIRROR_MAX	15u	/* SIZE_MAX_SLAB */
static_assert(1ul << MIRROR_MAX == SIZE_MAX_SLAB, "sampled blocks of all slab sizes");

/* NULL: no class was left for it, and its sizes are not sampled. */
static struct kmem_cache *mirrors[MIRROR_MAX + 1];
/* What was freed last, or NULL; taken and put by exchange. */
static void *spares[MIRROR_MAX + 1];

__init void mirror_init(void)
{
	for (unsigned k = MIRROR_MIN; k <= MIRROR_MAX; k++) {
		char name[sizeof(mirrors[k]->name)];

		fmt_print(name, sizeof(name), "sample-%lu", 1ul << k);
		mirrors[k] = cache_open(name, 1ul << k, 0, NULL, NULL);
		if (mirrors[k])
			mirrors[k]->tracked = true;
	}
}

struct kmem_cache *mirror_for(size_t size, size_t align)
{
	size = MAX(MAX(size, align), (size_t)1 << MIRROR_MIN);
	return kmalloc_is_small(size) && align <= PAGE_SIZE ? mirrors[log2_ceil(size)] : NULL;
}

static void **spare_of(const struct kmem_cache *c)
{
	return &spares[log2_ceil(c->size)];
}

void *mirror_alloc(struct kmem_cache *c)
{
	void *p = NULL;

	/* A request that is to fail on purpose fails there. */
	if (likely(!tune.perturb && !READ_ONCE(fault_armed)))
		p = __atomic_exchange_n(spare_of(c), NULL, __ATOMIC_ACQUIRE);
	return p ? p : kmalloc_in(c);
}

void mirror_free(struct kmem_cache *c, void *p)
{
	if (likely(!tune.perturb))
		p = __atomic_exchange_n(spare_of(c), p, __ATOMIC_ACQ_REL);
	if (p)
		kfree_plain(p);
}
