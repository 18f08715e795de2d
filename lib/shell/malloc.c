/* SPDX-License-Identifier: MIT */
/* malloc, free, calloc, realloc. The hit paths are in hitpath.h. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "life/init.h"
#include "os/proc.h"
#include "page/section.h"
#include "shell/hitpath.h"
#include "shell/shell.h"
#include "tune/tune.h"

static __init __noinline void *first_malloc(size_t size)
{
	return life_init() ? malloc_miss(size) : life_other_alloc(size, 1, false);
}

/* Where blocks have records, or a few of them: what the hit path below is not for. */
static __noinline void *malloc_recorded(size_t size)
{
	void *p;

	if (track_on || sample_due(size))
		return tracked_malloc(size);
	p = size <= SIZE_MAX_SLAB ? unsampled_pop(size_class(size)) : NULL;
	return likely(p) ? p : kmalloc(size);
}

__noinline void *malloc_miss(size_t size)
{
#ifdef HAVE_RSEQ
	/* Medium sizes hit too; small ones that come here have missed already. */
	if (size > HIT_SIZES && size < hit.medium_limit) {
		void *p;

		rseq_hit_pop(size_class(size), p, plain);
		return p;
	}
plain:
#endif
	/* All requests of locked slots, and of kernels without mm_cid, are served here. */
	if (likely(size < hit.plain_limit))
		return kmalloc_plain(size);
	if (unlikely(track_any))
		return malloc_recorded(size);
	return likely(READ_ONCE(life_ready)) ? kmalloc(size) : first_malloc(size);
}

__noinline void free_sized_miss(void *p, size_t size)
{
	unsigned class = class_of(p);

	if (unlikely(size >= hit.plain_limit || class != size_class(size))) {
		kfree_sized(p, size, 1);
		return;
	}
#ifdef HAVE_RSEQ
	/* Medium sizes; small ones have missed already. */
	if (hit.pages) {
		rseq_hit_push(class, p, miss);
		return;
	}
miss:
#endif
	kfree(p);
}

__public __hot_path void *malloc(size_t size)
{
	return hit_malloc(size);
}

__public __hot_path void free(void *p)
{
	hit_free(p);
}

static __noinline void *calloc_miss(size_t bytes)
{
	if (likely(bytes < hit.plain_limit)) {
		void *p = kmalloc_plain(bytes);

		return likely(p) ? memset(p, 0, bytes) : NULL;
	}
	if (unlikely(track_any)) {
		void *p;

		if (track_on || sample_due(bytes))
			return tracked_calloc(bytes);
		p = bytes <= SIZE_MAX_SLAB ? unsampled_pop(size_class(bytes)) : NULL;
		return likely(p) ? memset(p, 0, bytes) : kzalloc(bytes);
	}
	if (likely(READ_ONCE(life_ready)))
		return kzalloc(bytes);
	if (life_init())
		return calloc_miss(bytes);
	return life_other_alloc(bytes, 1, true);
}

static __cold_path void *overflow(void)
{
	errno = ENOMEM;
	return NULL;
}

__public void *calloc(size_t n, size_t size)
{
	size_t bytes;
	void *p;

	if (unlikely(__builtin_mul_overflow(n, size, &bytes)))
		return overflow();
	p = hit_pop(bytes);
	return likely(p) ? memset(p, 0, bytes) : calloc_miss(bytes);
}

__public void *realloc(void *p, size_t size)
{
	if (!p)
		return hit_malloc(size);
	if (!size) {
		kfree(p);
		return NULL;
	}
	if (unlikely(!READ_ONCE(life_ready)) && !life_init())
		return life_other_realloc(p, size);
	if (unlikely(track_any))
		return tracked_realloc(p, size);
	return krealloc(p, size);
}

/*
 * A program may have a malloc of its own, and no reallocarray(), as libc's does nothing but
 * call realloc() by its name. So does ours: what it returned would else be freed by them.
 */
static void *realloc_by_name(void *p, size_t size)
{
	static void *(*found)(void *, size_t);
	void *(*f)(void *, size_t) = READ_ONCE(found);

	if (unlikely(!f)) {
		f = (void *(*)(void *, size_t))os_symbol_before("realloc");
		f = f ? f : realloc;
		WRITE_ONCE(found, f);
	}
	return f(p, size);
}

__public void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (unlikely(__builtin_mul_overflow(n, size, &bytes)))
		return overflow();
	return realloc_by_name(p, bytes);
}

__public void cfree(void *p)
{
	kfree(p);
}

__public void free_sized(void *p, size_t size)
{
	hit_free_sized(p, size);
}

__public void free_aligned_sized(void *p, size_t align, size_t size)
{
	kfree_sized(p, size, align);
}

__public size_t malloc_usable_size(void *p)
{
	unsigned class;

	if (unlikely(track_on))
		return tracked_usable(p);
	/* Some programs ask at each malloc and free: what lies in a slab takes no call. */
	class = class_in_window(p);
	return likely(class != CLASS_NONE && class != CLASS_LARGE) ? kmem_caches[class].usable :
								     ksize(p);
}
