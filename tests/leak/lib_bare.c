/* SPDX-License-Identifier: MIT */
/* Stripped, optimised and without frame pointers: few of its frames have a name. */
#include "truth.h"

void *bare_entry(int depth, size_t size);

APART static void *nameless(int depth, size_t size)
{
	volatile char room[100];
	void *p;

	room[depth] = 1;
	p = depth ? nameless(depth - 1, size) : malloc(size);
	return room[depth] ? p : NULL;
}

void *bare_entry(int depth, size_t size)
{
	void *p = nameless(depth, size);

	use(p);
	return p;
}
