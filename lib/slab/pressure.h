/* SPDX-License-Identifier: MIT */
/* Freeing memory for a request that found none: see pressure.c. */
#ifndef STELE_SLAB_PRESSURE_H
#define STELE_SLAB_PRESSURE_H

#include "base/compiler.h"
#include "stele/gfp.h"

/*
 * Make room for a request with these flags that has failed @round times before
 * (from 0): is it worth another attempt? No lock of the library may be held.
 */
bool pressure_relieve(stele_gfp_t gfp, unsigned round);

/* What the flags come to inside of the thread's scopes. */
stele_gfp_t gfp_in_scope(stele_gfp_t gfp);

#endif
