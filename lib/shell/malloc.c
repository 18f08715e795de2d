/* SPDX-License-Identifier: MIT */
/*
 * malloc, free, calloc, realloc.
 *
 * The hit paths stand here, and cost what tests/abi/hitpath.sh counts in the
 * built library: malloc of up to 1024 bytes 19 instructions, free of a slab
 * object 22, to the ret; no call, no lock prefix, no load of the object.
 * Everything else is a miss and goes to slab/kmalloc.c.
 *
 *	malloc	size class (a table), sequence: pop
 *	free	class of the page (the window), sequence: push
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "life/init.h"
#include "page/boot.h"
#include "page/section.h"
#include "shell/shell.h"
#include "slab/kmalloc.h"
#include "slab/percpu_rseq.h"

static __cold_path void *first_malloc(size_t size)
{
	return life_init() ? kmalloc(size) : boot_alloc(size, 1);
}

static __noinline void *malloc_miss(size_t size)
{
	return likely(READ_ONCE(life_ready)) ? kmalloc(size) : first_malloc(size);
}

__public void *malloc(size_t size)
{
#ifdef HAVE_RSEQ
	if (likely(size < hit.size_limit)) {
		void *p;

		rseq_hit_pop(hit.class[size], p, miss);
		return p;
	}
miss:
#endif
	return malloc_miss(size);
}

__public void free(void *p)
{
#ifdef HAVE_RSEQ
	size_t i = ((uintptr_t)p - hit.base) >> PAGE_SHIFT;

	if (likely(i < hit.pages)) {
		rseq_hit_push(hit.map[i], p, miss);
		return;
	}
miss:
#endif
	kfree(p);
}

static __noinline void *calloc_miss(size_t bytes)
{
	if (likely(READ_ONCE(life_ready)) || life_init())
		return kzalloc(bytes);
	return boot_alloc(bytes, 1);
}

static __cold_path void *overflow(void)
{
	errno = ENOMEM;
	return NULL;
}

__public void *calloc(size_t n, size_t size)
{
	size_t bytes;

	if (unlikely(__builtin_mul_overflow(n, size, &bytes)))
		return overflow();
#ifdef HAVE_RSEQ
	if (likely(bytes < hit.size_limit)) {
		void *p;

		rseq_hit_pop(hit.class[bytes], p, miss);
		return memset(p, 0, bytes);
	}
miss:
#endif
	return calloc_miss(bytes);
}

__public void *realloc(void *p, size_t size)
{
	if (!p)
		return malloc(size);
	if (!size) {
		free(p);
		return NULL;
	}
	return krealloc(p, size);
}

__public void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (unlikely(__builtin_mul_overflow(n, size, &bytes)))
		return overflow();
	return realloc(p, bytes);
}

__public void cfree(void *p)
{
	kfree(p);
}

__public void free_sized(void *p, size_t size)
{
	kfree_sized(p, size, 1);
}

__public void free_aligned_sized(void *p, size_t align, size_t size)
{
	kfree_sized(p, size, align);
}

__public size_t malloc_usable_size(void *p)
{
	return ksize(p);
}
