/* SPDX-License-Identifier: MIT */
/* A plugin that owns blocks from its constructor to its destructor and trades others. */
#include "hard.h"
#include "lib_plugin.h"

static const size_t sizes[] = { 40, 3000, 300000 };
static void *own[ARRAY_LEN(sizes)];

__attribute__((constructor)) static void plugin_load(void)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		own[i] = hard_malloc(sizes[i]);
		hard_fill(own[i], sizes[i], i);
	}
}

__attribute__((destructor)) static void plugin_unload(void)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		hard_verify(own[i], sizes[i], i);
		free(own[i]);
	}
}

void *plugin_block(size_t n)
{
	void *p = hard_malloc(n);

	hard_fill(p, n, n);
	return p;
}

void plugin_release(void *p, size_t n)
{
	hard_verify(p, n, n);
	free(p);
}
