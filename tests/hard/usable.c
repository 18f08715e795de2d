/* SPDX-License-Identifier: MIT */
/* malloc_usable_size is at least the request, and every byte of it may be written. */
#include <malloc.h>

#include "hard.h"

#define SIZES 4000

static struct {
	unsigned char *p;
	size_t usable;
} block[SIZES];

static size_t size_of(size_t i)
{
	return i < 2048 ? i : 2048 + (i - 2048) * (i - 2048);
}

static unsigned char *take(size_t i)
{
	switch (i % 4) {
	case 0:
		return calloc(1, size_of(i));
	case 1:
		return memalign((size_t)16 << i % 9, size_of(i));
	case 2:
		return realloc(hard_malloc(size_of(i) / 2 + 1), size_of(i) + 1);
	default:
		return malloc(size_of(i));
	}
}

int main(void)
{
	size_t i, j;

	for (i = 0; i < SIZES; i += i < 2048 ? 1 : 41) {
		block[i].p = take(i);
		CHECK(block[i].p, "size %zu", size_of(i));
		block[i].usable = malloc_usable_size(block[i].p);
		CHECK(block[i].usable >= size_of(i), "size %zu: usable %zu", size_of(i),
		      block[i].usable);
		memset(block[i].p, (int)i & 0xff, block[i].usable);
	}
	for (i = 0; i < SIZES; i++) {
		if (!block[i].p)
			continue;
		CHECK(malloc_usable_size(block[i].p) == block[i].usable, "size %zu changed",
		      size_of(i));
		for (j = 0; j < block[i].usable; j++)
			CHECK(block[i].p[j] == (i & 0xff), "size %zu, byte %zu", size_of(i), j);
		free(block[i].p);
	}
	return 0;
}
