/* SPDX-License-Identifier: MIT */
/*
 * Chains of calls of many shapes, in a module of their own: the programs here are
 * linked with the library's core, whose own frames never appear in a stack.
 */
#ifndef STELE_TESTS_DEBUG_CHAIN_H
#define STELE_TESTS_DEBUG_CHAIN_H

#include <stdint.h>

typedef void chain_leaf(void *arg);

#define CHAIN_ALIGNED	3	/* the kind that realigns the stack */

/*
 * Descend @depth calls, the kind of each by three bits of @path (lowest first, and
 * round and round), and call @leaf from the last.
 */
void chain_descend(uint64_t path, unsigned depth, chain_leaf *leaf, void *arg);

#endif
