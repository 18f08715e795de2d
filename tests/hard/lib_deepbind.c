/* SPDX-License-Identifier: MIT */
/* Loaded with RTLD_DEEPBIND: its malloc and strdup may be libc's own, past any preload. */
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
