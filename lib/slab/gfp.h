/* SPDX-License-Identifier: MIT */
/*
 * Requests with flags: see gfp.c. Everything here sets errno when it returns
 * NULL, and writes a line where the flags allow.
 */
#ifndef STELE_SLAB_GFP_H
#define STELE_SLAB_GFP_H

#include "base/compiler.h"
#include "page/fault.h"
#include "stele/gfp.h"

struct kmem_cache;
struct request;

/* For requests that are neither blocks nor objects: one attempt as far as @how goes, and back. */
struct request_ops {
	void *(*attempt)(const struct request *r, stele_gfp_t gfp, unsigned how);
	void (*undo)(void *p, const struct request *r, bool wait);
	bool low;			/* knows GFP_DMA and GFP_DMA32 */
};

struct request {
	const char *call;		/* for messages: the public function, */
	const void *caller;		/* and where it was called from */
	size_t size;
	size_t align;
	struct kmem_cache *cache;	/* NULL: a block of @size */
	const struct request_ops *ops;	/* NULL: a block or an object */
};

/*
 * Flags that a hit need not look at, as it does not wait, fail or write. They are
 * the lower ones: all others, and those that do not exist, make a larger word.
 */
#define GFP_HIT		(STELE_GFP_ZERO - 1)
#define GFP_SLOW	(STELE_GFP_ZERO | STELE_GFP_COLD | STELE_GFP_ACCOUNT | STELE_GFP_DMA | \
			 STELE_GFP_DMA32)
static_assert((GFP_HIT | GFP_SLOW) == STELE_GFP_ALL && !(GFP_HIT & GFP_SLOW), "one of both");

/* A block, zeroed if the flags say so. */
void *gfp_alloc(const struct request *r, stele_gfp_t gfp);
/* The same without ACCOUNT, which is the caller's business. */
void *gfp_alloc_plain(const struct request *r, stele_gfp_t gfp);

/* What an allocation with these flags may do: enum alloc_flags. */
unsigned gfp_how(stele_gfp_t gfp);

/* Wrong arguments: one line, errno EINVAL; NULL. */
void *gfp_invalid(const struct request *r, const char *what);

/* Shall this request for a block or an object fail, on purpose? */
bool slab_fails(size_t size, bool wait);
static inline bool slab_should_fail(size_t size, bool wait)
{
	return unlikely(READ_ONCE(fault_armed)) && slab_fails(size, wait);
}

void gfp_set_nofail(stele_nofail_fn fn, void *data);

#endif
