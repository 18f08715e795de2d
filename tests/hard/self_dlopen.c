/* SPDX-License-Identifier: MIT */
/*
 * dlopen and dlclose of the malloc library itself while its blocks are live: first where it
 * is preloaded, then in a program that runs on libc's malloc and meets it only by dlopen.
 */
#include <dlfcn.h>
#include <malloc.h>

#include "hard.h"

#define ROUNDS 100
#define LIVE 200

static void *open_lib(void)
{
	void *handle = dlopen(getenv("STELE_LIB"), RTLD_NOW | RTLD_LOCAL);

	CHECK(handle, "dlopen: %s", dlerror());
	return handle;
}

static void preloaded(void)
{
	uint64_t rnd = hard_seed(8);
	void *p[LIVE] = { NULL };
	size_t n[LIVE] = { 0 };
	int i, j;

	for (i = 0; i < ROUNDS; i++) {
		void *handle = open_lib();

		for (j = i % 3; j < LIVE; j += 3) {
			if (p[j])
				hard_verify(p[j], n[j], n[j]);
			free(p[j]);
			n[j] = hard_rand_size(&rnd, 18);
			p[j] = hard_malloc(n[j]);
			hard_fill(p[j], n[j], n[j]);
		}
		CHECK(dlclose(handle) == 0, "dlclose: %s", dlerror());
	}
	for (j = 0; j < LIVE; j++) {
		hard_verify(p[j], n[j], n[j]);
		free(p[j]);
	}
}

/* Two allocators in one process; libc's block handed to the other's free must find home. */
static void bare(void)
{
	void *(*other_malloc)(size_t);
	void (*other_free)(void *);
	void *p[LIVE], *q[LIVE];
	int i, round;

	for (round = 0; round < ROUNDS; round++) {
		void *handle = open_lib();

		other_malloc = (void *(*)(size_t))dlsym(handle, "malloc");
		other_free = (void (*)(void *))dlsym(handle, "free");
		CHECK(other_malloc && other_free, "malloc and free are not exported");
		for (i = 0; i < LIVE; i++) {
			p[i] = other_malloc(1000);
			CHECK(p[i], "the other malloc failed");
			hard_fill(p[i], 1000, 1);
			q[i] = hard_malloc(1000);
			hard_fill(q[i], 1000, 2);
		}
		CHECK(dlclose(handle) == 0, "dlclose: %s", dlerror());
		/* never unloaded, so the pointers still lead into it */
		for (i = 0; i < LIVE; i++) {
			hard_verify(p[i], 1000, 1);
			other_free(p[i]);
			hard_verify(q[i], 1000, 2);
			other_free(q[i]);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		bare();
		return 0;
	}
	if (!getenv("STELE_LIB") || !*getenv("STELE_LIB"))
		SKIP("no library in STELE_LIB");
	preloaded();
	unsetenv("LD_PRELOAD");
	execl("/proc/self/exe", argv[0], "bare", (char *)NULL);
	CHECK(0, "exec: errno %d", errno);
}
