/* SPDX-License-Identifier: MIT */
/*
 * operator new and delete, by their mangled names.
 *
 * A throwing new that fails must call the new_handler and throw bad_alloc.
 * Only the C++ runtime can: the failed request goes on to its own operator,
 * which will ask our malloc again, run the handler, and throw. It is looked
 * up only then; a process without a C++ runtime has nothing to throw.
 */
#include <dlfcn.h>

#include "os/bug.h"
#include "os/libc.h"
#include "shell/hitpath.h"
#include "shell/shell.h"

/* align_val_t and size_t are both unsigned long in the C++ ABI here. */
typedef unsigned long ulong_t;

static __cold_path void *next_symbol(const char *name)
{
	void *f = LIBC(dlsym)(RTLD_NEXT, name);

	if (!f)
		f = LIBC(dlsym)(RTLD_DEFAULT, name);
	return f;
}

static __cold_path void *new_failed(const char *name, ulong_t size, void *self)
{
	void *(*runtime)(ulong_t) = (void *(*)(ulong_t))next_symbol(name);

	if (!runtime || (void *)runtime == self)
		bug("operator new of %lu bytes failed, and there is no C++ runtime to tell", size);
	return runtime(size);
}

/* Apart from the hit, which so needs no register for what comes after. */
static __noinline void *new_miss(const char *name, ulong_t size, void *self)
{
	void *p = malloc_miss(size);

	return likely(p) ? p : new_failed(name, size, self);
}

static __cold_path void *new_aligned_failed(const char *name, ulong_t size, ulong_t align,
					    void *self)
{
	void *(*runtime)(ulong_t, ulong_t) = (void *(*)(ulong_t, ulong_t))next_symbol(name);

	if (!runtime || (void *)runtime == self)
		bug("operator new of %lu bytes failed, and there is no C++ runtime to tell", size);
	return runtime(size, align);
}

static __cold_path void *new_nothrow_failed(const char *name, ulong_t size, const void *tag,
					    void *self)
{
	void *(*runtime)(ulong_t, const void *) =
		(void *(*)(ulong_t, const void *))next_symbol(name);

	return runtime && (void *)runtime != self ? runtime(size, tag) : NULL;
}

static __noinline void *new_nothrow_miss(const char *name, ulong_t size, const void *tag,
					 void *self)
{
	void *p = malloc_miss(size);

	return likely(p) ? p : new_nothrow_failed(name, size, tag, self);
}

static __cold_path void *new_aligned_nothrow_failed(const char *name, ulong_t size, ulong_t align,
						    const void *tag, void *self)
{
	void *(*runtime)(ulong_t, ulong_t, const void *) =
		(void *(*)(ulong_t, ulong_t, const void *))next_symbol(name);

	return runtime && (void *)runtime != self ? runtime(size, align, tag) : NULL;
}

#define NEW(name) \
	__public void *name(ulong_t size); \
	__public __hot_path void *name(ulong_t size) \
	{ \
		void *p = hit_pop(size); \
		return likely(p) ? p : new_miss(#name, size, (void *)name); \
	}

#define NEW_NOTHROW(name) \
	__public void *name(ulong_t size, const void *tag); \
	__public void *name(ulong_t size, const void *tag) \
	{ \
		void *p = hit_pop(size); \
		return likely(p) ? p : new_nothrow_miss(#name, size, tag, (void *)name); \
	}

#define NEW_ALIGNED(name) \
	__public void *name(ulong_t size, ulong_t align); \
	__public void *name(ulong_t size, ulong_t align) \
	{ \
		void *p = memalign(align, size); \
		return likely(p) ? p : new_aligned_failed(#name, size, align, (void *)name); \
	}

#define NEW_ALIGNED_NOTHROW(name) \
	__public void *name(ulong_t size, ulong_t align, const void *tag); \
	__public void *name(ulong_t size, ulong_t align, const void *tag) \
	{ \
		void *p = memalign(align, size); \
		return likely(p) ? p : new_aligned_nothrow_failed(#name, size, align, tag, \
								  (void *)name); \
	}

#define DELETE(name) \
	__public void name(void *p); \
	__public __hot_path void name(void *p) { hit_free(p); }

#define DELETE_SIZED(name) \
	__public void name(void *p, ulong_t size); \
	__public __hot_path void name(void *p, ulong_t size) { hit_free_sized(p, size); }

#define DELETE_NOTHROW(name) \
	__public void name(void *p, const void *tag); \
	__public void name(void *p, const void *tag __unused_arg) { hit_free(p); }

#define DELETE_ALIGNED(name) \
	__public void name(void *p, ulong_t align); \
	__public void name(void *p, ulong_t align __unused_arg) { hit_free(p); }

#define DELETE_SIZED_ALIGNED(name) \
	__public void name(void *p, ulong_t size, ulong_t align); \
	__public void name(void *p, ulong_t size, ulong_t align) { kfree_sized(p, size, align); }

#define DELETE_ALIGNED_NOTHROW(name) \
	__public void name(void *p, ulong_t align, const void *tag); \
	__public void name(void *p, ulong_t align __unused_arg, const void *tag __unused_arg) \
	{ hit_free(p); }

/* m: unsigned long (size_t). St11align_val_t, RKSt9nothrow_t as mangled. */
NEW(_Znwm)
NEW(_Znam)
NEW_NOTHROW(_ZnwmRKSt9nothrow_t)
NEW_NOTHROW(_ZnamRKSt9nothrow_t)
NEW_ALIGNED(_ZnwmSt11align_val_t)
NEW_ALIGNED(_ZnamSt11align_val_t)
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)
DELETE(_ZdlPv)
DELETE(_ZdaPv)
DELETE_SIZED(_ZdlPvm)
DELETE_SIZED(_ZdaPvm)
DELETE_NOTHROW(_ZdlPvRKSt9nothrow_t)
DELETE_NOTHROW(_ZdaPvRKSt9nothrow_t)
DELETE_ALIGNED(_ZdlPvSt11align_val_t)
DELETE_ALIGNED(_ZdaPvSt11align_val_t)
DELETE_SIZED_ALIGNED(_ZdlPvmSt11align_val_t)
DELETE_SIZED_ALIGNED(_ZdaPvmSt11align_val_t)
DELETE_ALIGNED_NOTHROW(_ZdlPvSt11align_val_tRKSt9nothrow_t)
DELETE_ALIGNED_NOTHROW(_ZdaPvSt11align_val_tRKSt9nothrow_t)
