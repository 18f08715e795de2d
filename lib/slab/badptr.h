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

#endif
