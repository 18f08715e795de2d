/* SPDX-License-Identifier: MIT */
/* What the calls promise: alignment, zero sizes, limits, overflow, blocks left intact. */
#include <dlfcn.h>
#include <malloc.h>

#include "hard.h"

#define MAX_SMALL 4096

static void alignment(void)
{
	static void *p[MAX_SMALL + 1];
	size_t n;

	for (n = 0; n <= MAX_SMALL; n++) {
		p[n] = hard_malloc(n);	/* checks the 16 bytes */
		hard_fill(p[n], n, n);
	}
	for (n = 0; n <= MAX_SMALL; n++) {
		void *c = calloc(1, n), *r = realloc(NULL, n);

		hard_verify(p[n], n, n);
		CHECK(c && ((uintptr_t)c & 15) == 0, "calloc(1, %zu) = %p", n, c);
		CHECK(r && ((uintptr_t)r & 15) == 0, "realloc(NULL, %zu) = %p", n, r);
		free(c);
		free(r);
		free(p[n]);
	}
	for (n = MAX_SMALL; n < 64 * MIB; n += n / 3 + 1)
		free(hard_malloc(n));
}

static void zero_sizes(void)
{
	void *p[100];
	size_t i, j;

	for (i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = i % 2 ? malloc(0) : calloc(hard_size(0), 8);
		CHECK(p[i], "a request of 0 bytes gave NULL");
		for (j = 0; j < i; j++)
			CHECK(p[i] != p[j], "two blocks of 0 bytes at %p", p[i]);
	}
	for (i = 0; i < ARRAY_LEN(p); i++)
		free(p[i]);
	for (i = 1; i < 32 * MIB; i *= 8)
		CHECK(!realloc(hard_malloc(i), hard_size(0)), "realloc(p, 0) of %zu", i);
	free(NULL);
	CHECK(malloc_usable_size(NULL) == 0, "malloc_usable_size(NULL)");
}

#define REFUSED(expr) \
	do { \
		void *got_; \
		errno = 0; \
		got_ = (expr); \
		CHECK(!got_ && errno == ENOMEM, #expr " = %p, errno %d", got_, errno); \
	} while (0)

static void limits(void)
{
	static const size_t over[] = { (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 4096, SIZE_MAX };
	void *mark = &mark, *p = mark;
	size_t i;

	for (i = 0; i < ARRAY_LEN(over); i++) {
		size_t n = hard_size(over[i]);

		REFUSED(malloc(n));
		REFUSED(calloc(1, n));
		REFUSED(calloc(n, 1));
		REFUSED(realloc(NULL, n));
		REFUSED(reallocarray(NULL, 1, n));
		REFUSED(memalign(64, n));
		REFUSED(memalign(8192, n));
		REFUSED(aligned_alloc(64, n));
		REFUSED(valloc(n));
		REFUSED(pvalloc(n));
		CHECK(posix_memalign(&p, 64, n) == ENOMEM, "posix_memalign of %zu", n);
		CHECK(p == mark, "posix_memalign of %zu wrote *memptr", n);
	}
	REFUSED(malloc(hard_size(PTRDIFF_MAX)));
}

static void overflow(void *p, size_t n)
{
	size_t half = hard_size(SIZE_MAX / 2 + 1);

	hard_fill(p, n, n);
	REFUSED(calloc(half, 2));
	REFUSED(calloc(half, half));
	REFUSED(calloc(hard_size(3), SIZE_MAX / 3 + 1));
	REFUSED(reallocarray(p, half, 2));
	REFUSED(reallocarray(p, hard_size(SIZE_MAX / 16 + 1), 16));
	REFUSED(realloc(p, hard_size(PTRDIFF_MAX)));
	REFUSED(realloc(p, hard_size(SIZE_MAX)));
	hard_verify(p, n, n);
	CHECK(malloc_usable_size(p) >= n, "usable size fell to %zu", malloc_usable_size(p));
	p = reallocarray(p, n, 2);
	CHECK(p, "reallocarray(p, %zu, 2)", n);
	hard_verify(p, n, n);
	free(p);
}

static void sized_frees(void)
{
	void (*free_sized)(void *, size_t) =
		(void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
	void (*free_aligned_sized)(void *, size_t, size_t) =
		(void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
	size_t n, align;

	CHECK(!hard_on_stele() || (free_sized && free_aligned_sized), "sized frees are absent");
	for (n = 0; free_sized && n < 8 * MIB; n = n * 3 / 2 + 1)
		free_sized(hard_malloc(n), n);
	if (free_sized)
		free_sized(NULL, 5);
	for (align = 16; free_aligned_sized && align <= 65536; align *= 2)
		for (n = align; n < 4 * MIB; n *= 4)
			free_aligned_sized(aligned_alloc(align, n), align, n);
}

static void old_cfree(void)
{
	void (*cfree)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, "cfree");

	if (cfree)
		cfree(hard_malloc(100));
}

int main(void)
{
	static const size_t sizes[] = { 1, 24, 500, 5000, 70000, 500000, 5000000 };
	size_t i;

	alignment();
	zero_sizes();
	limits();
	for (i = 0; i < ARRAY_LEN(sizes); i++)
		overflow(hard_malloc(sizes[i]), sizes[i]);
	sized_frees();
	old_cfree();
	return 0;
}
