/* SPDX-License-Identifier: MIT */
#include "slab/units.h"

static uint64_t *make_leaf(uint64_t **slot)
{
	size_t pages = LEAF_UNITS * sizeof(**slot) / PAGE_SIZE;
	uint64_t *leaf = page_alloc_meta(pages), *none = NULL;

	if (leaf && !__atomic_compare_exchange_n(slot, &none, leaf, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_ACQUIRE)) {
		page_free_meta(leaf, pages);
		leaf = none;
	}
	return leaf;
}

void unit_set(const struct kmem_cache *c, const void *base, struct track *tracks, bool wait)
{
	size_t first = ((uintptr_t)base - window.base) >> UNIT_SHIFT;
	size_t n = (PAGE_SIZE << c->order) >> UNIT_SHIFT;
	uint64_t word = tracks ? (uintptr_t)tracks | (uint64_t)c->class << UNIT_CLASS : 0;

	/* Without a window units have no numbers yet, and what gets none now has none later. */
	if (!load_acquire(&window.pages))
		return;
	for (size_t unit = first; unit < first + n && unit / LEAF_UNITS < NR_UNIT_LEAVES; unit++) {
		uint64_t **slot = &unit_leaves[unit / LEAF_UNITS];
		uint64_t *leaf = load_acquire(slot);

		if (!leaf && tracks && wait)
			leaf = make_leaf(slot);
		if (leaf)
			WRITE_ONCE(leaf[unit % LEAF_UNITS], word);
	}
}

uint64_t *unit_leaves[NR_UNIT_LEAVES];
