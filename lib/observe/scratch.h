/* SPDX-License-Identifier: MIT */
/*
 * Memory for the length of one report: taken from the system directly, as the
 * allocator is what is being looked at, and given back all at once.
 *
 * One report is made at a time (see leak.c), so there is one such memory.
 */
#ifndef STELE_OBSERVE_SCRATCH_H
#define STELE_OBSERVE_SCRATCH_H

#include "base/compiler.h"

/* Zeroed, aligned to 16; NULL: no memory. */
void *scratch_alloc(size_t bytes);
void scratch_free_all(void);
/* Bytes taken from the system now. */
size_t scratch_bytes(void);
/* The ranges that it and what is kept occupy: they are no roots. */
void scratch_ranges(void (*fn)(uintptr_t start, uintptr_t end, void *arg), void *arg);

/* The same for ever: for what is remembered from one report to the next. */
void *keep_alloc(size_t bytes);

/*
 * An array that grows by doubling. Elements move when it grows: keep indices.
 * The memory left behind is as much as the last.
 */
struct vec {
	void *at;
	size_t count, room;	/* elements */
};

/* A new zeroed element at the end; NULL: no memory. */
void *vec_add(struct vec *v, size_t element);
#define VEC_ADD(v, type)	((type *)vec_add((v), sizeof(type)))
#define VEC_AT(v, type, i)	(&((type *)(v)->at)[i])

/* In place, not stable, without recursion. */
void sort(void *base, size_t count, size_t element, bool (*less)(const void *a, const void *b));

#endif
