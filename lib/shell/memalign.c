/* SPDX-License-Identifier: MIT */
/* The aligned family: public names and their argument checks. */
#include <errno.h>

#include "base/bits.h"
#include "life/init.h"
#include "os/os.h"
#include "shell/hitpath.h"
#include "shell/shell.h"
#include "tune/tune.h"

/* As malloc's hit path, of any class; NULL: a miss. */
static __force_inline void *aligned_hit(size_t size __unused_arg, size_t align __unused_arg)
{
#ifdef HAVE_RSEQ
	size_t bytes = ALIGN_UP(size + !size, align);

	/* 0 where it wraps. What the program wants mapped, however small, is for others. */
	if (likely(align <= PAGE_SIZE && bytes - 1 < SIZE_MAX_SLAB &&
		   hit.size_limit > HIT_SIZES && bytes < READ_ONCE(tune.mmap_threshold))) {
		void *p;

		rseq_hit_pop(size_class(bytes), p, miss);
		return p;
	}
miss:
#endif
	return NULL;
}

static __noinline void *aligned_miss(size_t size, size_t align)
{
	if (unlikely(track_any)) {
		void *p = NULL;

		if (track_on || sample_due(size))
			return tracked_aligned(size, align);
		if (align <= PAGE_SIZE && MAX(size, align) <= SIZE_MAX_SLAB)
			p = unsampled_pop(size_class_aligned(size, align));
		return likely(p) ? p : kmalloc_aligned(size, align);
	}
	if (unlikely(!READ_ONCE(life_ready))) {
		if (!life_init())
			return life_other_alloc(size, align, false);
		return aligned_miss(size, align);
	}
	return kmalloc_aligned(size, align);
}

static inline void *aligned(size_t size, size_t align)
{
	void *p = aligned_hit(size, align);

	return likely(p) ? p : aligned_miss(size, align);
}

static void *invalid(void)
{
	errno = EINVAL;
	return NULL;
}

/* Apart, so that the hit path has no registers to save. */
static __noinline int posix_miss(void **out, size_t align, size_t size)
{
	int saved = errno;
	void *p = aligned_miss(size, align);

	errno = saved;
	if (!p)
		return ENOMEM;
	*out = p;
	return 0;
}

/* As glibc: any alignment is rounded up to a power of two. */
__public void *memalign(size_t align, size_t size)
{
	if (align > PTRDIFF_MAX / 2 + 1)
		return invalid();
	return aligned(size, align < 2 ? 1 : 1ul << log2_ceil(align));
}

__public int posix_memalign(void **out, size_t align, size_t size)
{
	void *p;

	if (!is_pow2(align) || align % sizeof(void *))
		return EINVAL;
	p = aligned_hit(size, align);
	if (unlikely(!p))
		return posix_miss(out, align, size);
	*out = p;
	return 0;
}

__public void *aligned_alloc(size_t align, size_t size)
{
	return is_pow2(align) ? aligned(size, align) : invalid();
}

__public void *valloc(size_t size)
{
	return aligned(size, os_page_size());
}

__public void *pvalloc(size_t size)
{
	size_t page = os_page_size();

	if (size > PTRDIFF_MAX) {
		errno = ENOMEM;
		return NULL;
	}
	/* pvalloc(0) is one page, as a block of no pages has no address. */
	return aligned(size ? ALIGN_UP(size, page) : page, page);
}
