/* SPDX-License-Identifier: MIT */
/*
 * What is wrong with a pointer that is no block: one line, then abort. With leak= and
 * profile= the stacks of the block follow that line.
 */
#ifndef STELE_SLAB_BADPTR_H
#define STELE_SLAB_BADPTR_H

#include "base/compiler.h"

/* @call names the function that was handed @p: "free", "realloc", ... */
_Noreturn void bad_pointer(const char *call, const void *p);

struct kmem_cache;
/* An object that no slab has out, or (@index < 0) none at all: what put it has dropped its lock. */
_Noreturn void bad_object(const struct kmem_cache *c, const void *obj, long index);

#endif
