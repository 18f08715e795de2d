/* SPDX-License-Identifier: MIT */
/* Loaded with RTLD_DEEPBIND: its malloc and strdup may be libc's own, past any preload. */
#include <dlfcn.h>

#include "hard.h"
#include "lib_deepbind.h"

char *deep_strdup(const char *s)
{
	return strdup(s);
}

void *deep_malloc(size_t n)
{
	void *p = hard_malloc(n);

	hard_fill(p, n, n);
	return p;
}

void *deep_aligned(size_t align, size_t n)
{
	void *p = aligned_alloc(align, n);

	CHECK(p, "aligned_alloc(%zu, %zu)", align, n);
	hard_fill(p, n, n);
	return p;
}

void deep_free(void *p)
{
	free(p);
}

void *deep_realloc(void *p, size_t n)
{
	return realloc(p, n);
}

void *deep_open(const char *name)
{
	/* hidden, or main would be who calls: the compiler may jump */
	return hard_hide(dlopen(name, RTLD_NOW | RTLD_LOCAL));
}
