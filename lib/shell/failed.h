/* SPDX-License-Identifier: MIT */
/* Of functions that libc does not have: are they ready? And results that say why. */
#ifndef STELE_SHELL_FAILED_H
#define STELE_SHELL_FAILED_H

#include <errno.h>
#include <stddef.h>

#include "life/init.h"
#include "os/foreign.h"

/* Also where libc serves the program: it knows nothing of pages and areas. */
static inline bool pages_ready(void)
{
	return likely(READ_ONCE(life_ready)) || life_init() || foreign_all;
}

static inline void *failed_enomem(void)
{
	errno = ENOMEM;
	return NULL;
}

static inline void *failed_einval(void)
{
	errno = EINVAL;
	return NULL;
}

#endif
