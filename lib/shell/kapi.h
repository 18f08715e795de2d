/* SPDX-License-Identifier: MIT */
/* What the files of the kernel's API share. */
#ifndef STELE_SHELL_KAPI_H
#define STELE_SHELL_KAPI_H

#include "life/init.h"
#include "slab/gfp.h"

#define CALLER	__builtin_return_address(0)

/* A block, also before the library is ready. @size is not 0. */
void *kapi_alloc(size_t size, stele_gfp_t gfp, const char *call, const void *caller);

/* Nothing below works before. */
static inline void kapi_begin(void)
{
	if (unlikely(!READ_ONCE(life_ready)))
		life_init();
}

#endif
