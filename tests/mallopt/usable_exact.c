/* SPDX-License-Identifier: MIT */
/*
 * usable=exact: malloc_usable_size() is what was asked for, of every kind of block and after
 * every change of size. Compiled with _FORTIFY_SOURCE=3, which ends a program that writes
 * more than it has asked for.
 */
#include <malloc.h>

#include "again.h"

static void is(void *p, size_t n, const char *what)
{
	size_t usable;

	CHECK(p, "%s of %zu: errno %d", what, n, errno);
	usable = malloc_usable_size(p);
	CHECK(usable == n, "%s of %zu: %zu", what, n, usable);
	memset(hard_hide(p), 0x5a, usable);
}

static void all(size_t n)
{
	void *p = malloc(n), *q;

	is(p, n, "malloc");
	for (size_t k = 0; k < 3; k++) {
		p = realloc(p, n + 1 + 100 * k);
		is(p, n + 1 + 100 * k, "realloc");
	}
	if (n > 1) {
		p = realloc(p, n - 1);
		is(p, n - 1, "realloc down");
	}
	free(p);
	p = calloc(n, 1);
	is(p, n, "calloc");
	free(p);
	p = aligned_alloc(64, n);
	is(p, n, "aligned_alloc");
	CHECK(!posix_memalign(&q, 4096, n), "posix_memalign of %zu", n);
	is(q, n, "posix_memalign");
	free(q);
	free(p);
	p = reallocarray(NULL, n, 3);
	is(p, 3 * n, "reallocarray");
	free(p);
}

/* The compiler follows the size from malloc() to memset(). */
static void fortified(size_t n)
{
	char *p = malloc(n);

	CHECK(p, "errno %d", errno);
	memset(p, 1, malloc_usable_size(p));
	CHECK(p[n - 1] == 1, "%d", p[n - 1]);
	free(p);
}

int main(int argc, char **argv)
{
	static const char *const exact[] = { "STELE_CONF=usable=exact", NULL };
	static const char *const both[] = { "STELE_CONF=usable=exact,leak=on", NULL };
	static const char *const room[] = { "STELE_CONF=usable=room", NULL };

	if (!hard_on_stele())
		SKIP("plain libc has no such parameter");
	if (argc == 1) {
		again_expect("exact", exact);
		CHECK(!again_text[0], "it said: %s", again_text);
		again_expect("exact", both);
		again_expect("room", room);
		return 0;
	}
	if (strcmp(argv[1], "room") == 0) {
		void *p = hard_malloc(17);

		CHECK(malloc_usable_size(p) > 17, "%zu", malloc_usable_size(p));
		free(p);
		return 0;
	}
	CHECK(malloc_usable_size(NULL) == 0, "of NULL");
	for (size_t n = 1; n < 40 * MIB; n += 1 + n / 7)
		all(n);
	for (size_t n = 1; n < 5000; n += 13)
		fortified(hard_size(n));
	return 0;
}
