/* SPDX-License-Identifier: MIT */
/*
 * Blocks of any size, and caches of objects of one size.
 *
 * Blocks of stele_kmalloc() and of malloc() are one family: free(), realloc()
 * and malloc_usable_size() take the former, stele_kfree() and the others take
 * the latter.
 *
 * Contexts. "Any" below means any thread at any time, signal handlers included,
 * as far as the flags of the call allow: see STELE_GFP_NOWAIT and
 * STELE_GFP_ATOMIC in <stele/gfp.h>. "Process" means: not in a signal handler.
 *
 * Errors. Functions that return a pointer return NULL and set errno: ENOMEM,
 * or EINVAL for arguments that make no sense, after one line on stderr that
 * says what and who called. A pointer that is no block ends the program with a
 * line that says why: the heap cannot be trusted any longer.
 */
#ifndef STELE_SLAB_H
#define STELE_SLAB_H

#include <stdarg.h>
#include <stddef.h>

#include <stele/gfp.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- blocks ---- */

/*
 * What a request for 0 bytes returns: not NULL, not to be dereferenced, and
 * taken by every function that frees, free() included.
 */
#define STELE_ZERO_SIZE_PTR		((void *)16)
#define STELE_ZERO_OR_NULL_PTR(p)	((unsigned long)(p) <= 16ul)

/*
 * A block of @size bytes, any size up to PTRDIFF_MAX, aligned to 16 and at
 * least to the largest power of two that divides @size (up to 4096). Any.
 */
void *stele_kmalloc(size_t size, stele_gfp_t gfp)
	__attribute__((malloc, alloc_size(1), warn_unused_result));
/* The same, zeroed. */
void *stele_kzalloc(size_t size, stele_gfp_t gfp)
	__attribute__((malloc, alloc_size(1), warn_unused_result));
/* @n elements of @size bytes; NULL and ENOMEM where the product overflows. */
void *stele_kmalloc_array(size_t n, size_t size, stele_gfp_t gfp)
	__attribute__((malloc, alloc_size(1, 2), warn_unused_result));
void *stele_kcalloc(size_t n, size_t size, stele_gfp_t gfp)
	__attribute__((malloc, alloc_size(1, 2), warn_unused_result));

/*
 * The block @p with @size bytes; it may move. NULL: no memory, @p is as it was.
 * @p NULL or ZERO_SIZE_PTR: a new block. @size 0: @p is freed, the result is
 * ZERO_SIZE_PTR. With STELE_GFP_ZERO the bytes behind the old usable size are
 * zero; give it to every call on the block, the first included, or they may not
 * be. Any.
 */
void *stele_krealloc(const void *p, size_t size, stele_gfp_t gfp)
	__attribute__((alloc_size(2), warn_unused_result));
void *stele_krealloc_array(void *p, size_t n, size_t size, stele_gfp_t gfp)
	__attribute__((alloc_size(2, 3), warn_unused_result));

/* Free a block, or an object of a cache. NULL, ZERO_SIZE_PTR: nothing. Process. */
void stele_kfree(const void *p);
/* The same after overwriting all of it with zeros. Process. */
void stele_kfree_sensitive(const void *p);
/* @n of them; each may be NULL. Faster than one by one. Process. */
void stele_kfree_bulk(size_t n, void **p);
/*
 * Free where the thread may have been interrupted inside the allocator: no
 * lock is waited for, no system call made. What cannot be freed now is put
 * aside and freed by a later call that may wait. Any.
 */
void stele_kfree_nolock(const void *p);
/* Bytes that may be used, at least what was asked for. NULL, ZERO_SIZE_PTR: 0. Any. */
size_t stele_ksize(const void *p);
/* The block that a request for @size bytes would get has this many. Any. */
size_t stele_kmalloc_size_roundup(size_t size);

/* A copy of @len bytes. NULL for NULL. Any. */
void *stele_kmemdup(const void *src, size_t len, stele_gfp_t gfp)
	__attribute__((alloc_size(2), warn_unused_result));
/* A copy of @len bytes with a NUL behind them. */
char *stele_kmemdup_nul(const char *s, size_t len, stele_gfp_t gfp)
	__attribute__((warn_unused_result));
/* A copy of a string; of its first @max characters at most. NULL for NULL. Any. */
char *stele_kstrdup(const char *s, stele_gfp_t gfp) __attribute__((warn_unused_result));
char *stele_kstrndup(const char *s, size_t max, stele_gfp_t gfp)
	__attribute__((warn_unused_result));
/*
 * A string made by libc's vsnprintf(), whose formats it takes. Process, as
 * vsnprintf() is not for signal handlers.
 */
char *stele_kasprintf(stele_gfp_t gfp, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), malloc, warn_unused_result));
char *stele_kvasprintf(stele_gfp_t gfp, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0), malloc, warn_unused_result));

/*
 * The kernel's second family, for sizes that want no contiguous memory. A
 * process has no such difference: these are the functions above, under the
 * names that code for the kernel uses.
 */
void *stele_kvmalloc(size_t size, stele_gfp_t gfp)
	__attribute__((malloc, alloc_size(1), warn_unused_result));
void *stele_kvzalloc(size_t size, stele_gfp_t gfp)
	__attribute__((malloc, alloc_size(1), warn_unused_result));
void *stele_kvmalloc_array(size_t n, size_t size, stele_gfp_t gfp)
	__attribute__((malloc, alloc_size(1, 2), warn_unused_result));
void *stele_kvcalloc(size_t n, size_t size, stele_gfp_t gfp)
	__attribute__((malloc, alloc_size(1, 2), warn_unused_result));
void *stele_kvrealloc(const void *p, size_t size, stele_gfp_t gfp)
	__attribute__((alloc_size(2), warn_unused_result));
void *stele_kvmemdup(const void *src, size_t len, stele_gfp_t gfp)
	__attribute__((alloc_size(2), warn_unused_result));
void stele_kvfree(const void *p);
void stele_kvfree_sensitive(const void *p, size_t len);

/* ---- caches ---- */

/*
 * A cache hands out objects of one size from slabs of its own, through arrays
 * per CPU of its own. Objects are at least @align aligned.
 */
struct stele_kmem_cache;

/* Flags of a cache. */
#define STELE_SLAB_HWCACHE_ALIGN	0x00000001u /* to cache lines, or half of one for small objects */
#define STELE_SLAB_PANIC		0x00000002u /* creation that fails: a line, then abort() */
#define STELE_SLAB_ACCOUNT		0x00000004u /* charge objects; see <stele/budget.h> */
#define STELE_SLAB_POISON		0x00000010u /* fill free objects, check on the way out */
#define STELE_SLAB_RED_ZONE		0x00000020u /* bytes behind each object, checked when freed */
#define STELE_SLAB_STORE_USER		0x00000040u /* remember who allocated and freed each object */
#define STELE_SLAB_CONSISTENCY_CHECKS	0x00000080u /* check every free at once, not in batches */
#define STELE_SLAB_RECLAIM_ACCOUNT	0x00000100u /* taken, without effect */
#define STELE_SLAB_NO_MERGE		0x00000200u /* taken: caches of their own are never merged */
#define STELE_SLAB_ALL			0x000003f7u

#define STELE_SLAB_SIZE_MAX		(1ul << 20) /* of an object */
#define STELE_SLAB_ALIGN_MAX		4096ul

/*
 * All that a cache can be told. A zero means the default; size must be set.
 *
 * Objects of a cache with a constructor stay constructed while they are in the
 * cache: the constructor runs when an object is made, not at each allocation,
 * and whoever frees an object leaves it as the constructor did. The destructor
 * runs before the object's memory goes to other uses: when a slab is given back
 * under memory pressure, by stele_kmem_cache_shrink(), or _destroy(). Both run
 * without any lock of the library, in the thread that needs them (never one of the
 * library's own), and may use the allocator, but not destroy the cache itself.
 *
 * init is ctor for those who need to be told more, and may fail: 0, or a
 * negative errno that the allocation fails with. Set ctor or init, not both.
 */
struct stele_kmem_cache_args {
	size_t size;			/* of an object, 1 to STELE_SLAB_SIZE_MAX */
	size_t align;			/* power of two up to STELE_SLAB_ALIGN_MAX; 0: as kmalloc */
	unsigned int flags;		/* STELE_SLAB_... */
	unsigned int sheaf_capacity;	/* objects that a CPU may keep; 0: by size */
	void (*ctor)(void *obj);
	int (*init)(void *obj, void *data, stele_gfp_t gfp);
	void (*dtor)(void *obj, void *data);
	void *data;			/* for init and dtor */
};

/*
 * A new cache. @name is copied (31 characters; it appears in reports and need
 * not be unique). NULL: ENOMEM, or EINVAL for a size, alignment or flag that
 * cannot be, with a line on stderr. Process.
 *
 * Up to about 200 caches have pages and per-CPU arrays of their own. Those
 * beyond share the blocks of kmalloc: they work, but constructors run at each
 * allocation and destructors at each free, debugging flags are ignored, and
 * free() on their objects does not run the destructor.
 */
struct stele_kmem_cache *stele_kmem_cache_create(const char *name, size_t size, size_t align,
						 unsigned int flags, void (*ctor)(void *obj));
struct stele_kmem_cache *stele_kmem_cache_create_args(const char *name,
						      const struct stele_kmem_cache_args *args);

/*
 * An object. _zalloc zeroes it, which a cache with a constructor does not allow
 * (EINVAL). NULL: no memory, or init() failed (its error is in errno). Any; a
 * constructor runs in the context of the call.
 */
void *stele_kmem_cache_alloc(struct stele_kmem_cache *c, stele_gfp_t gfp)
	__attribute__((malloc, warn_unused_result));
void *stele_kmem_cache_zalloc(struct stele_kmem_cache *c, stele_gfp_t gfp)
	__attribute__((malloc, warn_unused_result));
/*
 * Give an object back. NULL: nothing. An object of another cache is refused: a
 * line on stderr, errno EINVAL, and nothing is freed.
 *
 * free() and stele_kfree() take objects too, and return them to their cache, as
 * constructed as they are; realloc() moves the contents to a block of
 * malloc() where the object is too small (the object goes back to its cache);
 * malloc_usable_size() is the object's size, rounded up. Process.
 */
void stele_kmem_cache_free(struct stele_kmem_cache *c, void *obj);
/* As stele_kfree_nolock(). Any. */
void stele_kmem_cache_free_nolock(struct stele_kmem_cache *c, void *obj);

/*
 * @n objects at once into p[]: all (returns @n), or none (returns 0, errno as
 * for _alloc). Any.
 */
size_t stele_kmem_cache_alloc_bulk(struct stele_kmem_cache *c, stele_gfp_t gfp, size_t n,
				   void **p);
/* All of p[], which may not hold NULL. Process. */
void stele_kmem_cache_free_bulk(struct stele_kmem_cache *c, size_t n, void **p);

/* Give back what the cache keeps idle. 0: all of its pages went back, 1: some hold objects. Process. */
int stele_kmem_cache_shrink(struct stele_kmem_cache *c);

/*
 * The end of a cache. NULL: nothing. Where objects are still with the program,
 * one line each (up to 10; with STELE_SLAB_STORE_USER: and by whom they were
 * allocated), the cache stays as it is, so that freeing them is harmless, and
 * -EBUSY is returned; it may be destroyed later. 0: gone. Using it from then on
 * is refused with a line and EINVAL, as far as it can be told. Process.
 */
int stele_kmem_cache_destroy(struct stele_kmem_cache *c);

/* Bytes of an object, as given at creation. Any. */
size_t stele_kmem_cache_size(const struct stele_kmem_cache *c);
const char *stele_kmem_cache_name(const struct stele_kmem_cache *c);

struct stele_kmem_cache_info {
	const char *name;
	size_t object_size;		/* as given */
	size_t size;			/* from one object to the next */
	size_t objs_per_slab, pages_per_slab;
	size_t active_objs;		/* with the program; exact when no other thread runs */
	size_t cached_objs;		/* in arrays per CPU and in the barn */
	size_t total_objs, nr_slabs;
	unsigned long ctor_calls, dtor_calls;
	int merged;			/* shares the blocks of kmalloc; the counts are of it alone */
};
/* What a cache has now. Process. */
void stele_kmem_cache_get_info(struct stele_kmem_cache *c, struct stele_kmem_cache_info *info);

/* ---- prefilled sheaves ---- */

/*
 * A sheaf is an array of objects that belongs to the caller: allocation from it
 * cannot fail, takes no lock and makes no system call, up to the number it was
 * filled with. For code that must not fail half-way, or under a lock of its
 * own. A sheaf is not for two threads at a time.
 */
struct stele_slab_sheaf;

/* With at least @n objects. NULL: ENOMEM. Context: that of @gfp. */
struct stele_slab_sheaf *stele_kmem_cache_prefill_sheaf(struct stele_kmem_cache *c,
							stele_gfp_t gfp, unsigned int n);
/* Again at least @n in *@sheaf, which may be replaced. 0, or -ENOMEM (it is as it was). */
int stele_kmem_cache_refill_sheaf(struct stele_kmem_cache *c, stele_gfp_t gfp,
				  struct stele_slab_sheaf **sheaf, unsigned int n);
/* One of its objects; NULL only when it is empty. With STELE_GFP_ZERO zeroed. Any. */
void *stele_kmem_cache_alloc_from_sheaf(struct stele_kmem_cache *c, stele_gfp_t gfp,
					struct stele_slab_sheaf *sheaf);
/* Objects that are left. Any. */
unsigned int stele_kmem_cache_sheaf_size(const struct stele_slab_sheaf *sheaf);
/* What is left goes back to the cache, and the sheaf is gone. Process. */
void stele_kmem_cache_return_sheaf(struct stele_kmem_cache *c, stele_gfp_t gfp,
				   struct stele_slab_sheaf *sheaf);

#ifdef __cplusplus
}
#endif

#endif
