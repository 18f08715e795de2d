/* SPDX-License-Identifier: MIT */
/*
 * The hit paths of malloc and free, for malloc.c and for operator new and
 * delete, which inline them.
 *
 * What they cost tests/abi/hitpath.sh counts in the built library: malloc of up
 * to 1024 bytes 19 instructions, free of a slab object 22, to the ret; no call,
 * no lock prefix, no load of the object.
 *
 *	malloc	size class (a table), sequence: pop
 *	free	class of the page (the window), sequence: push
 */
#ifndef STELE_SHELL_HITPATH_H
#define STELE_SHELL_HITPATH_H

#include "page/hit.h"
#include "page/page.h"
#include "slab/kmalloc.h"
#include "slab/percpu_rseq.h"
#include "slab/tracked.h"

/* malloc.c: medium sizes, and whatever the sheaf did not have or had no room for. */
void *malloc_miss(size_t size);
void free_sized_miss(void *p, size_t size);

/*
 * NULL: a miss. While blocks are being sampled size_limit is 0, and what is not a
 * sample hits all the same.
 */
static __force_inline void *hit_pop(size_t size __unused_arg)
{
#ifdef HAVE_RSEQ
	void *p;

	if (likely(size < hit.size_limit)) {
		rseq_hit_pop(hit.class[size], p, miss);
		if (!p)
			__builtin_unreachable();	/* no test for the caller */
		return p;
	}
	sample_hit_down(size, hit.sample_limit, due, miss);
	rseq_hit_pop(hit.class[size], p, due);
	if (!p)
		__builtin_unreachable();
	return p;
due:
	/* Whoever serves it will count it. */
	sample_up(size);
miss:
#endif
	return NULL;
}

static __force_inline void *hit_malloc(size_t size)
{
	void *p = hit_pop(size);

	return likely(p) ? p : malloc_miss(size);
}

/*
 * One object while blocks are being sampled, when the paths above are closed; NULL:
 * a miss.
 */
static __force_inline void *unsampled_pop(unsigned class __unused_arg)
{
#ifdef HAVE_RSEQ
	if (likely(hit.sample_limit)) {
		void *p;

		rseq_hit_pop(class, p, miss);
		return p;
	}
miss:
#endif
	return NULL;
}

static __force_inline void hit_free(void *p)
{
#ifdef HAVE_RSEQ
	size_t i = ((uintptr_t)p - hit.base) >> PAGE_SHIFT;

	if (likely(i < hit.pages)) {
		barrier();	/* the page count is read before the map */
		rseq_hit_push(hit.map[i], p, miss);
		return;
	}
miss:
#endif
	kfree(p);
}

/* The caller says the size: it must be of the class that the page has. */
static __force_inline void hit_free_sized(void *p, size_t size)
{
#ifdef HAVE_RSEQ
	size_t i = ((uintptr_t)p - hit.base) >> PAGE_SHIFT;

	if (likely(i < hit.pages && size < hit.free_limit)) {
		barrier();

		unsigned class = hit.map[i];

		if (likely(class == hit.class[size])) {
			rseq_hit_push(class, p, miss);
			return;
		}
	}
miss:
#endif
	free_sized_miss(p, size);
}

#endif
