/* SPDX-License-Identifier: MIT */
/*
 * malloc from an IFUNC resolver: ld.so is still at relocating the program, no constructor
 * has run, and what is written to thread-local variables now will be reset a moment later.
 */
#include "hard.h"

static const size_t sizes[] = { 8, 100, 5000, 60000, 400000 };
static void *block[ARRAY_LEN(sizes)];
static void *other;

static int answer(void)
{
	return 42;
}

/* No CHECK here: the functions it calls may not be bound yet. main looks at the blocks. */
__attribute__((used)) static int (*resolve(void))(void)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		block[i] = malloc(sizes[i]);
		if (block[i])
			*(size_t *)block[i] = i;
		free(malloc(sizes[i]));
	}
	other = realloc(malloc(sizes[0]), sizes[2]);
	return answer;
}

int resolved_answer(void) __attribute__((ifunc("resolve")));

int main(void)
{
	void *now[ARRAY_LEN(sizes)];
	size_t i, j;

	CHECK(resolved_answer() == 42, "the wrong function");
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		CHECK(block[i], "no block of %zu", sizes[i]);
		CHECK(*(size_t *)block[i] == i, "block of %zu was overwritten", sizes[i]);
		now[i] = hard_malloc(sizes[i]);
		hard_fill(now[i], sizes[i], i);
		for (j = 0; j < ARRAY_LEN(sizes); j++)
			CHECK(now[i] != block[j] && now[i] != other, "%p is in use already", now[i]);
	}
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		CHECK(*(size_t *)block[i] == i, "block of %zu was overwritten", sizes[i]);
		free(block[i]);
		hard_verify(now[i], sizes[i], i);
		free(now[i]);
	}
	CHECK(other, "realloc");
	free(other);
	return 0;
}
