/* SPDX-License-Identifier: MIT */
/*
 * Open addressing, for tables from an address to what is known of it.
 *
 * A slot begins with its address, 0: it is empty; never are all of them full. Who finds his
 * slot taken goes to the next. Deletion moves the followers back, so that there are no
 * tombstones and a look-up ends at the first empty slot.
 */
#ifndef STELE_BASE_PROBE_H
#define STELE_BASE_PROBE_H

#include "base/compiler.h"

struct probe {
	void *slots;
	size_t bytes;		/* of a slot; a constant, where it matters */
	size_t capacity;	/* power of two */
};

static inline uintptr_t *probe_at(struct probe t, size_t i)
{
	return (uintptr_t *)((char *)t.slots + (i & (t.capacity - 1)) * t.bytes);
}

/* Of addresses at multiples of 16 or of a page alike: the bits that decide come from all. */
static inline size_t probe_home(uintptr_t addr)
{
	return (size_t)((addr >> 4) * 0x9e3779b97f4a7c15ull >> 32);
}

/* The slot of @addr, or the empty one where it would be. */
static inline void *probe_slot(struct probe t, uintptr_t addr)
{
	size_t i = probe_home(addr);

	while (*probe_at(t, i) && *probe_at(t, i) != addr)
		i++;
	return probe_at(t, i);
}

/*
 * The first slot behind @last that the @hole cuts off from its home, and which is to be
 * moved there; it is the next hole. NULL: there is none.
 */
static inline void *probe_follower(struct probe t, const void *hole, const void *last)
{
	size_t mask = t.capacity - 1;
	size_t h = (size_t)((const char *)hole - (const char *)t.slots) / t.bytes;
	size_t i = (size_t)((const char *)last - (const char *)t.slots) / t.bytes;

	for (i++; *probe_at(t, i); i++) {
		if (((i - probe_home(*probe_at(t, i))) & mask) >= ((i - h) & mask))
			return probe_at(t, i);
	}
	return NULL;
}

#endif
