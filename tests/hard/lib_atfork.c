/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>

#include "hard.h"
#include "lib_atfork.h"

#define BURST 600

/* More than is at hand without a lock. */
static void allocate(void)
{
	static char *p[BURST];
	size_t i;

	for (i = 0; i < BURST; i++) {
		p[i] = hard_malloc(i * 37);
		hard_fill(p[i], i * 37, i);
	}
	for (i = 0; i < BURST; i++) {
		hard_verify(p[i], i * 37, i);
		free(p[i]);
	}
	free(hard_malloc(3 * MIB));
	atfork.ran++;
}

static void add(void)
{
	int err = pthread_atfork(allocate, allocate, allocate);

	CHECK(err == 0, "pthread_atfork: %s", strerror(err));
}

struct atfork atfork = { 0, NULL, allocate, add, 0 };

int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *dso);
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *dso)
{
	__typeof__(&__register_atfork) next =
		(__typeof__(next))dlsym(RTLD_NEXT, "__register_atfork");

	if (!atfork.calls++)
		atfork.first = prepare;
	return next(prepare, parent, child, dso);
}

__attribute__((constructor)) static void load(void)
{
	if (getenv("ATFORK_EARLY"))
		add();
}
