/* SPDX-License-Identifier: MIT */
/*
 * A library is unloaded and another one lies where it was: what was remembered of its
 * code is of no use, and of no harm.
 */
#include "debug.h"

#define ROUNDS	60

static unsigned long captures, differences, replaced;

__attribute__((noinline)) static void compare_here(void *arg)
{
	uintptr_t want[STACK_DEPTH_MAX];
	uintptr_t have[STACK_DEPTH_MAX];
	uint32_t generation;
	size_t n = debug_truth_uncached(want, stack_depth());
	uint32_t id = stack_capture(FRAME());
	size_t got = stack_get(id, have, &generation);

	(void)arg;
	captures++;
	if (got == n && !memcmp(have, want, n * sizeof(*want)) && generation == stack_generation())
		return;
	if (differences++ < 3)
		debug_print_both(have, got, want, n);
}

/* Load a module, use it, unload it; where its code was. */
static uintptr_t use(const char *name, uint64_t seed)
{
	void *h = debug_module(name);
	chain_fn *descend = (chain_fn *)dlsym(h, "chain_descend");
	uintptr_t at = (uintptr_t)descend & ~0xffful;

	for (int i = 0; i < 300; i++) {
		uint64_t r = debug_random(&seed);

		descend(r % 100 * 0x9e3779b97f4a7c15ull, 3 + (r >> 8) % 12, compare_here, NULL);
	}
	dlclose(h);
	stack_new_generation();
	return at;
}

int main(void)
{
	uintptr_t last = 0, at;

	debug_begin_bare(2);
	for (unsigned i = 0; i < ROUNDS; i++) {
		at = use(i % 2 ? "chain_nofp" : "chain_fp", i);
		replaced += at == last;
		last = at;
	}
	debug_ok(!differences, "%lu captures in modules that come and go", captures);
	debug_ok(replaced > ROUNDS / 2, "%lu times at the place of another one", replaced);
	return debug_end();
}
