/* SPDX-License-Identifier: MIT */
/*
 * A library loaded with RTLD_DEEPBIND hands out memory, which main frees, resizes and asks
 * for its size, as programs do that never heard of any of this; and does so with main's.
 * With deepbind=keep it has libc's own malloc, and may do the first alone.
 */
#include <dlfcn.h>
#include <malloc.h>

#include "../mallopt/again.h"
#include "lib_deepbind.h"

static void *sym(void *handle, const char *name)
{
	void *p = dlsym(handle, name);

	CHECK(p, "dlsym(%s): %s", name, dlerror());
	return p;
}

static void *open_deep(void)
{
	void *handle = dlopen(hard_lib("lib_deepbind"), RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);

	CHECK(handle, "dlopen: %s", dlerror());
	return handle;
}

/* Blocks of main's, freed and resized by the library. */
static void cross(void)
{
	static const size_t sizes[] = { 1, 24, 100, 1000, 5000, 40000, 200000, 3 * MIB };
	void *handle = open_deep(), *p;
	__typeof__(deep_free) *release = (__typeof__(release))sym(handle, "deep_free");
	__typeof__(deep_realloc) *resize = (__typeof__(resize))sym(handle, "deep_realloc");

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		size_t n = sizes[i];

		release(hard_malloc(n));
		p = hard_malloc(n);
		hard_fill(p, n, n);
		p = resize(p, 2 * n);
		CHECK(p, "realloc from %zu", n);
		hard_verify(p, n, n);
		free(p);
	}
}

/* A handle on libc finds libc's own, as interpreters and wrappers of functions do. */
static void by_handle(void)
{
	static const size_t sizes[] = { 0, 1, 24, 1000, 40000, 3 * MIB };
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_LOCAL), *p;
	__typeof__(malloc) *get = (__typeof__(get))sym(libc, "malloc");

	CHECK(!hard_on_stele() || get != malloc, "libc has no malloc of its own");
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		size_t n = sizes[i];

		free(get(n));
		p = get(n);
		CHECK(malloc_usable_size(p) >= n, "usable size of %zu", n);
		hard_fill(p, n, n);
		p = realloc(p, 2 * n + 1);
		CHECK(p, "realloc from %zu", n);
		hard_verify(p, n, n);
		free(p);
	}
	CHECK(dlclose(libc) == 0, "dlclose: %s", dlerror());
}

/* Blocks of the library's, freed and resized by main. */
static void hand_out(void)
{
	static const size_t sizes[] = { 0, 1, 24, 100, 1000, 5000, 40000, 200000, 3 * MIB };
	__typeof__(deep_strdup) *dup_string;
	__typeof__(deep_malloc) *get;
	__typeof__(deep_aligned) *get_aligned;
	__typeof__(deep_open) *open_beside;
	void *handle, *p;
	size_t i, n, round;
	char *s;

	handle = open_deep();
	/* by the search path of who calls, whoever stands between */
	open_beside = (__typeof__(open_beside))sym(handle, "deep_open");
	CHECK(open_beside("lib_plugin.so"), "dlopen: %s", dlerror());
	CHECK(!dlopen("lib_plugin-not-there.so", RTLD_NOW) && dlerror(), "found what is not there");
	dup_string = (__typeof__(dup_string))sym(handle, "deep_strdup");
	get = (__typeof__(get))sym(handle, "deep_malloc");
	get_aligned = (__typeof__(get_aligned))sym(handle, "deep_aligned");

	for (round = 0; round < 100; round++) {
		s = dup_string("a string made below");
		CHECK(strcmp(s, "a string made below") == 0, "strdup gave %s", s);
		free(s);
		for (i = 0; i < ARRAY_LEN(sizes); i++) {
			n = sizes[i];
			free(get(n));
			p = get(n);
			CHECK(malloc_usable_size(p) >= n, "usable size of %zu", n);
			p = realloc(p, n * 2 + 1);
			CHECK(p, "realloc from %zu", n);
			hard_verify(p, n, n);
			hard_fill(p, n * 2 + 1, n);
			p = realloc(p, n / 2 + 1);
			CHECK(p, "realloc to %zu", n / 2 + 1);
			hard_verify_part(p, n * 2 + 1, n, n / 2 + 1);
			free(p);
			p = get_aligned(4096, n);
			hard_verify(p, n, n);
			free(p);
			CHECK(!realloc(get(n), hard_size(0)), "realloc(p, 0)");
		}
	}
}

int main(int argc, char **argv __attribute__((unused)))
{
	static const char *const keep[] = { "STELE_CONF=deepbind=keep", NULL };

	free(hard_malloc(10));
	hand_out();
	if (argc > 1)
		return 0;
	by_handle();
	if (hard_on_stele())
		again_expect("keep", keep);
	cross();
	return 0;
}
