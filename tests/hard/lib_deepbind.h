/* SPDX-License-Identifier: MIT */
#ifndef LIB_DEEPBIND_H
#define LIB_DEEPBIND_H

#include <stddef.h>

char *deep_strdup(const char *s);

/* Blocks filled with the tag @n. */
void *deep_malloc(size_t n);
void *deep_aligned(size_t align, size_t n);

void deep_free(void *p);
void *deep_realloc(void *p, size_t n);

/* dlopen() by this library, for what its own search path finds. */
void *deep_open(const char *name);

#endif
