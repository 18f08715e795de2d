/* SPDX-License-Identifier: MIT */
/*
 * Stele: a malloc built the way the Linux kernel builds its own.
 *
 * Linking with -lstele is enough to have malloc and friends served by it; this
 * header adds what has no name in libc.
 */
#ifndef STELE_H
#define STELE_H

#include <stele/budget.h>
#include <stele/fault.h>
#include <stele/gfp.h>
#include <stele/leak.h>
#include <stele/mempool.h>
#include <stele/pages.h>
#include <stele/shrinker.h>
#include <stele/slab.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the library that serves this process, e.g. "0.1.0". */
const char *stele_version(void);

#ifdef __cplusplus
}
#endif

#endif
