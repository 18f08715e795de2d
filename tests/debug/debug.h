/* SPDX-License-Identifier: MIT */
/* What the programs here share: TAP, the two modules, and libunwind as the truth. */
#ifndef STELE_TESTS_DEBUG_H
#define STELE_TESTS_DEBUG_H

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chain.h"
#include "debug/capture.h"
#include "tune/tune.h"

typedef void chain_fn(uint64_t path, unsigned depth, chain_leaf *leaf, void *arg);

extern chain_fn *debug_nofp, *debug_fp;	/* chain_descend() of either module */

/* Capturing starts, libunwind and the modules are loaded; prints the plan. */
void debug_begin(unsigned plan);
/* The same without the modules. */
void debug_begin_bare(unsigned plan);
void debug_ok(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int debug_end(void);

/* A module of the build tree, loaded. */
void *debug_module(const char *name);

/* The caller's stack as libunwind sees it, without frames of the program itself. */
size_t debug_truth(uintptr_t *pcs, size_t max);
/* The same by libgcc, which remembers nothing: libunwind is lost where libraries go. */
size_t debug_truth_uncached(uintptr_t *pcs, size_t max);
void debug_print_both(const uintptr_t *have, size_t got, const uintptr_t *want, size_t n);

uint64_t debug_random(uint64_t *seed);

#endif
