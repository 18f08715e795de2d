/* SPDX-License-Identifier: MIT */
#ifndef LIB_DEEPBIND_H
#define LIB_DEEPBIND_H

#include <stddef.h>

char *deep_strdup(const char *s);

/* Blocks filled with the tag @n. */
void *deep_malloc(size_t n);
void *deep_aligned(size_t align, size_t n);

#endif
