/* SPDX-License-Identifier: MIT */
/* A program linked at a fixed low address: its break and its data lie below 4 GiB. */
#include "hard.h"

#define BLOCKS 2000

static char at_home[64] = "data";

int main(void)
{
	uint64_t rnd = hard_seed(19);
	static void *p[BLOCKS];
	static size_t n[BLOCKS];
	size_t i, round;

	if ((uintptr_t)at_home >> 32)
		SKIP("this build is position independent after all");
	for (round = 0; round < 20; round++) {
		for (i = round % 2; i < BLOCKS; i += 2) {
			if (p[i])
				hard_verify(p[i], n[i], i);
			n[i] = hard_rand_size(&rnd, 17);
			free(p[i]);
			p[i] = hard_malloc(n[i]);
			hard_fill(p[i], n[i], i);
		}
	}
	for (i = 0; i < BLOCKS; i++) {
		hard_verify(p[i], n[i], i);
		free(p[i]);
	}
	CHECK(strcmp(at_home, "data") == 0, "the program's data changed");
	return 0;
}
