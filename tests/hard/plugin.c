/* SPDX-License-Identifier: MIT */
/* 1,000 times dlopen and dlclose of a library that allocates and trades blocks with main. */
#include <dlfcn.h>

#include "hard.h"
#include "lib_plugin.h"

#define ROUNDS 1000
#define KEPT 50

static void *sym(void *handle, const char *name)
{
	void *p = dlsym(handle, name);

	CHECK(p, "dlsym(%s): %s", name, dlerror());
	return p;
}

int main(void)
{
	uint64_t rnd = hard_seed(7);
	struct { void *p; size_t n; } kept[KEPT] = { { NULL, 0 } };
	int i;

	for (i = 0; i < ROUNDS; i++) {
		void *handle = dlopen(hard_lib("lib_plugin"), i % 2 ? RTLD_NOW : RTLD_LAZY);
		size_t n = hard_rand_size(&rnd, 17);
		__typeof__(plugin_block) *block;
		__typeof__(plugin_release) *release;
		void *p;

		CHECK(handle, "dlopen: %s", dlerror());
		block = (__typeof__(block))sym(handle, "plugin_block");
		release = (__typeof__(release))sym(handle, "plugin_release");
		p = hard_malloc(n);
		hard_fill(p, n, n);
		release(p, n);
		if (kept[i % KEPT].p) {
			hard_verify(kept[i % KEPT].p, kept[i % KEPT].n, kept[i % KEPT].n);
			free(kept[i % KEPT].p);
		}
		/* outlives the library that made it */
		kept[i % KEPT].p = block(n);
		kept[i % KEPT].n = n;
		CHECK(dlclose(handle) == 0, "dlclose: %s", dlerror());
	}
	for (i = 0; i < KEPT; i++) {
		hard_verify(kept[i].p, kept[i].n, kept[i].n);
		free(kept[i].p);
	}
	return 0;
}
