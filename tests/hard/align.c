/* SPDX-License-Identifier: MIT */
/* Every power of two up to 64 MiB through every aligned call; the bad ones are refused. */
#include <malloc.h>

#include "hard.h"

#define MAX_ALIGN (64 * MIB)

static const size_t sizes[] = { 0, 1, 24, 100, 1000, 4096, 5000, 40000, 300000, 3 * MIB };

struct taken {
	void *p;
	size_t n;
};

static void *call(int how, size_t align, size_t n)
{
	void *p = NULL;

	switch (how) {
	case 0:
		CHECK(posix_memalign(&p, align < sizeof(p) ? sizeof(p) : align, n) == 0,
		      "posix_memalign(%zu, %zu)", align, n);
		return p;
	case 1:
		return aligned_alloc(align, n);
	default:
		return memalign(align, n);
	}
}

static void one_alignment(int how, size_t align)
{
	struct taken t[ARRAY_LEN(sizes)];
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		t[i].n = sizes[i];
		t[i].p = call(how, align, t[i].n);
		CHECK(t[i].p, "call %d align %zu size %zu: NULL", how, align, t[i].n);
		CHECK((uintptr_t)t[i].p % align == 0, "call %d align %zu size %zu: %p", how,
		      align, t[i].n, t[i].p);
		CHECK(malloc_usable_size(t[i].p) >= t[i].n, "align %zu size %zu: usable %zu",
		      align, t[i].n, malloc_usable_size(t[i].p));
		hard_fill(t[i].p, t[i].n, align + i);
	}
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		hard_verify(t[i].p, t[i].n, align + i);
		/* realloc owes the contents, not the alignment */
		if (i % 2) {
			t[i].p = realloc(t[i].p, t[i].n * 2);
			CHECK(t[i].p, "realloc of %zu aligned to %zu", t[i].n, align);
			hard_verify(t[i].p, t[i].n, align + i);
		}
		free(t[i].p);
	}
}

static void page_calls(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		size_t up = (sizes[i] + page - 1) & ~(page - 1);
		void *v = valloc(sizes[i]);
		void *pv = pvalloc(sizes[i]);

		CHECK(v && (uintptr_t)v % page == 0, "valloc(%zu) = %p", sizes[i], v);
		CHECK(pv && (uintptr_t)pv % page == 0, "pvalloc(%zu) = %p", sizes[i], pv);
		CHECK(malloc_usable_size(pv) >= up, "pvalloc(%zu) has %zu usable bytes",
		      sizes[i], malloc_usable_size(pv));
		hard_fill(v, sizes[i], 1);
		hard_fill(pv, up, 2);
		hard_verify(v, sizes[i], 1);
		free(v);
		hard_verify(pv, up, 2);
		free(pv);
	}
}

static void bad_alignments(void)
{
	static const size_t bad[] = { 0, 1, 2, 3, 4, 7, 9, 12, 24, 100, SIZE_MAX, SIZE_MAX / 3 };
	void *mark = &mark;
	void *p = mark;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		CHECK(posix_memalign(&p, hard_size(bad[i]), 100) == EINVAL,
		      "posix_memalign took alignment %zu", bad[i]);
		CHECK(p == mark, "alignment %zu: *memptr was written", bad[i]);
	}
	errno = 0;
	CHECK(!memalign(hard_size(SIZE_MAX / 2 + 2), 1), "memalign took SIZE_MAX / 2 + 2");
	CHECK(errno == EINVAL, "memalign with a huge alignment: errno %d", errno);

	/* memalign rounds up; glibc before 2.38 lets aligned_alloc do so as well */
	p = memalign(hard_size(24), 100);
	CHECK(p && (uintptr_t)p % 32 == 0, "memalign(24) = %p", p);
	free(p);
	if (!hard_on_stele())
		return;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		if (bad[i] && (bad[i] & (bad[i] - 1)) == 0)
			continue;
		errno = 0;
		p = aligned_alloc(hard_size(bad[i]), 100);
		CHECK(!p && errno == EINVAL, "aligned_alloc(%zu) = %p, errno %d", bad[i], p, errno);
	}
}

int main(void)
{
	size_t align;
	int how;

	for (how = 0; how < 3; how++)
		for (align = 1; align <= MAX_ALIGN; align *= 2)
			one_alignment(how, align);
	page_calls();
	bad_alignments();
	return 0;
}
