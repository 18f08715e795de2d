/* SPDX-License-Identifier: MIT */
#include "debug/track.h"

#include <string.h>

#include "base/fmt.h"
#include "debug/capture.h"
#include "debug/sample.h"
#include "os/bug.h"
#include "os/code.h"
#include "os/os.h"
#include "tune/tune.h"

bool track_on __initdata, track_sampling __initdata, track_any __initdata;

static uint64_t began;

__init void track_init(void)
{
	bool stacks = tune.leak != LEAK_OFF || tune.profile;

	if (!stacks && tune.usable == USABLE_ROOM)
		return;
	track_on = tune.leak != LEAK_OFF || tune.usable == USABLE_EXACT;
	if (track_on && tune.profile)
		warn("profile: every block is tracked for %s, nothing is sampled",
		     tune.leak != LEAK_OFF ? "leak=" : "usable=exact");
	began = os_now_ms();
	/* For the sizes alone nobody asks who it was. */
	if (stacks)
		capture_init();
	track_sampling = !track_on;
	track_any = true;
	if (track_sampling)
		sample_init(tune.profile);
}

uint32_t track_now(void)
{
	return (uint32_t)(os_now_ms() - began);
}

/* Copied, as the objects were: it is libc's memcpy() that leaves them in vector registers. */
void track_overwrite(void **objs, size_t n)
{
	static void *none[64];

	for (size_t i = 0; i < n; i += ARRAY_SIZE(none)) {
		void **from = none;
		size_t bytes = MIN(n - i, ARRAY_SIZE(none)) * sizeof(*objs);

		/* Not by instructions of the compiler's choice. */
		__asm__("" : "+r"(from), "+r"(bytes));
		memcpy(objs + i, from, bytes);
	}
}

static void print_stack(const char *what, uint32_t id)
{
	uintptr_t pcs[STACK_DEPTH_MAX];
	size_t n = stack_get(id, pcs, NULL);
	struct os_code code;

	if (!n)
		return;
	warn("  %s:", what);
	for (size_t i = 0; i < n; i++) {
		if (os_code_at(pcs[i] - 1, &code))
			warn("    %lx %s+%lx", pcs[i], code.path[0] ? code.path : os_program(),
			     pcs[i] - code.bias);
		else
			warn("    %lx", pcs[i]);
	}
}

__cold_path void track_tell(const struct track *t)
{
	if (t->stack) {
		print_stack("allocated by", t->stack);
	} else if (t->when) {
		print_stack("allocated by", t->when);
		print_stack("freed by", t->size_lo);
	}
}

__cold_path void track_double_free(const void *p, const struct track *t, const char *cache)
{
	warn("double free of %p: it is free already, cache %s", p, cache);
	track_tell(t);
	os_abort();
}
