/* SPDX-License-Identifier: MIT */
/*
 * malloc before main: from .preinit_array, where no library's constructor has run yet, and
 * from the first and a later constructor. The blocks are checked and freed in main.
 */
#include "hard.h"

enum { PREINIT, FIRST, SECOND, STAGES };

static const size_t sizes[] = { 1, 100, 5000, 60000, 400000 };
static void *block[STAGES][ARRAY_LEN(sizes)];

static void take(int stage)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		block[stage][i] = hard_malloc(sizes[i]);
		hard_fill(block[stage][i], sizes[i], i);
		free(hard_malloc(sizes[i]));
	}
}

static void preinit(void)
{
	take(PREINIT);
}

__attribute__((section(".preinit_array"), used))
static void (*const preinit_entry)(void) = preinit;

__attribute__((constructor(101))) static void first(void)
{
	take(FIRST);
}

__attribute__((constructor)) static void second(void)
{
	size_t i;

	take(SECOND);
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		block[FIRST][i] = realloc(block[FIRST][i], sizes[i] * 2);
		CHECK(block[FIRST][i], "realloc");
	}
}

int main(void)
{
	size_t i;
	int stage;

	for (stage = 0; stage < STAGES; stage++) {
		for (i = 0; i < ARRAY_LEN(sizes); i++) {
			hard_verify(block[stage][i], sizes[i], i);
			free(block[stage][i]);
		}
	}
	return 0;
}
