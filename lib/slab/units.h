/* SPDX-License-Identifier: MIT */
/*
 * Units: from an object of a tracked cache to its record, by one small table.
 *
 * Slabs are made of aligned units of 64 KiB. Each unit that lies above the window's base
 * has a word: where the records of its slab are, and above bit 56 the slab's class. The
 * way by section, descriptor and the pointer in the last descriptor leads through four
 * cache lines that stand for one slab; this one through one that stands for eight.
 *
 *	address - window.base  |.. 30: leaf|29 ... 16: unit|15 .. 0|
 *
 * A word is set before the slab's first object goes out, and cleared before the slab
 * goes back: who holds an object finds it unchanged. 0: no tracked slab, or one that is
 * out of reach, or for which there was no memory: it has to be asked otherwise.
 *
 * Locking: none; leaves are set once, by compare-and-swap, and stay.
 */
#ifndef STELE_SLAB_UNITS_H
#define STELE_SLAB_UNITS_H

#include "page/section.h"
#include "slab/slab.h"

#define UNIT_SHIFT	(PAGE_SHIFT + SLAB_ORDER_MIN)
#define UNIT_CLASS	56
#define LEAF_UNITS	(1ul << 14)	/* 1 GiB of addresses */
#define NR_UNIT_LEAVES	256u

extern uint64_t *unit_leaves[NR_UNIT_LEAVES] __hidden;

/*
 * Of a slab of @c at @base; @tracks NULL: it is no slab any more. @wait: locks may be
 * taken for a new leaf; without one the slab's units say nothing.
 */
void unit_set(const struct kmem_cache *c, const void *base, struct track *tracks, bool wait);

static inline uint64_t unit_of(const void *addr)
{
	size_t unit = ((uintptr_t)addr - window.base) >> UNIT_SHIFT;
	uint64_t *leaf;

	if (unlikely(unit / LEAF_UNITS >= NR_UNIT_LEAVES))
		return 0;
	leaf = load_acquire(&unit_leaves[unit / LEAF_UNITS]);	/* pairs with unit_set */
	return likely(leaf) ? READ_ONCE(leaf[unit % LEAF_UNITS]) : 0;
}

static inline unsigned unit_class(uint64_t unit)
{
	return (unsigned)(unit >> UNIT_CLASS);
}

static inline struct track *unit_tracks(uint64_t unit)
{
	return (struct track *)(uintptr_t)(unit & ((1ull << UNIT_CLASS) - 1));
}

#endif
