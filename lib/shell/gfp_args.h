/* SPDX-License-Identifier: MIT */
/* What the functions that take flags share: checks and errno. */
#ifndef STELE_SHELL_GFP_ARGS_H
#define STELE_SHELL_GFP_ARGS_H

#include <errno.h>

#include "os/bug.h"
#include "os/caller.h"
#include "stele/gfp.h"

static inline void *gfp_no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

static inline void *gfp_invalid(void)
{
	errno = EINVAL;
	return NULL;
}

/* Are these flags? False: a line that names @caller, and EINVAL. */
static inline bool gfp_check(const char *call, stele_gfp_t gfp, const void *caller)
{
	struct caller_text who;

	if (likely(!(gfp & ~STELE_GFP_ALL)))
		return true;
	errno = EINVAL;
	warn("%s: unknown flags 0x%x, called by %s", call, gfp & ~STELE_GFP_ALL,
	     caller_name(&who, caller));
	return false;
}

#endif
