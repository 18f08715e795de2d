/* SPDX-License-Identifier: MIT */
/*
 * What the hit paths of malloc and free read, in one place, so that one base
 * register reaches all of it. Written only when modes or the window change.
 *
 * Closed (size_limit and pages 0): every request takes the slow path. So it is
 * before initialisation, without restartable sequences, while blocks are being
 * perturbed, and while a vfork child is alive.
 *
 * The hit paths read it with plain loads: each field is a word, and a value
 * that is out of date is a miss or still right (see window in section.h). Where
 * the order of two loads matters (pages, then map; size_limit, then the rest)
 * the writer fences between his stores: os_fence() is a barrier in every thread
 * that runs, so that the readers, on machines that reorder loads, need none.
 */
#ifndef STELE_PAGE_HIT_H
#define STELE_PAGE_HIT_H

#include "base/compiler.h"

#define HIT_SIZES	1024	/* malloc's hit path serves up to this */
#define MAX_CPU_IDS	4096

struct lock;
struct region;

struct hit {
	size_t size_limit;	/* malloc serves smaller requests */
	size_t free_limit;	/* free serves smaller ones where it is told the size */
	size_t pages;		/* window.pages, or 0 */
	uint8_t *map;		/* window.map */
	uintptr_t base;		/* window.base */
	ptrdiff_t area;		/* this thread's rseq area, from its pointer */
	ptrdiff_t number;	/* ditto: the CPU number or mm_cid to use */
	uint32_t gfp_limit;	/* caches serve smaller flags words; 0: closed */
	bool tracking;		/* who writes records may use sequences as the hit path does */
	size_t sample_limit;	/* malloc serves smaller ones after counting them for profile= */
	size_t medium_limit;	/* malloc's slow path serves smaller ones by a sequence, */
	size_t plain_limit;	/* ... else these by any sheaf, and looks at nothing more */
	uint8_t class[HIT_SIZES + 1];	/* size -> class */

	/* Never NULL in use: the empty region where a CPU has none, or is stopped. */
	struct region *region[MAX_CPU_IDS];
} __cacheline;

extern struct hit hit __hidden;
extern struct lock hit_lock;	/* to write any of it */

#endif
