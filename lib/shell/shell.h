/* SPDX-License-Identifier: MIT */
/*
 * The names this library exports. libc's headers declare them with attributes
 * that differ from release to release; these are plain.
 */
#ifndef STELE_SHELL_SHELL_H
#define STELE_SHELL_SHELL_H

#include "base/compiler.h"
#include "os/proc.h"

/* libc's function of this name, looked up once. */
#define NEXT(type, name) \
	__extension__({ \
		static void *next_; \
		if (!READ_ONCE(next_)) \
			WRITE_ONCE(next_, os_next_symbol(name)); \
		(type)READ_ONCE(next_); \
	})

void *malloc(size_t size);
void free(void *p);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t size);
void *reallocarray(void *p, size_t n, size_t size);
void cfree(void *p);
void free_sized(void *p, size_t size);
void free_aligned_sized(void *p, size_t align, size_t size);
size_t malloc_usable_size(void *p);

void *memalign(size_t align, size_t size);
int posix_memalign(void **out, size_t align, size_t size);
void *aligned_alloc(size_t align, size_t size);
void *valloc(size_t size);
void *pvalloc(size_t size);

int mallopt(int param, int value);
int malloc_trim(size_t pad);

#endif
