/* SPDX-License-Identifier: MIT */
/* Results that say why. */
#ifndef STELE_SHELL_FAILED_H
#define STELE_SHELL_FAILED_H

#include <errno.h>
#include <stddef.h>

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
