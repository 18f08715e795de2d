/* SPDX-License-Identifier: MIT */
/*
 * 100,000 live blocks above the mmap threshold: more than M_MMAP_MAX and vm.max_map_count
 * allow, so that the allocator must go on by other means. Freed in random order.
 */
#include "hard.h"

#define BLOCKS 100000
#define SIZE (200 * KIB)
#define MARKS 4000		/* one byte a block, within its first page */
#define NEEDED_KIB (1536 * 1024)
#define SECONDS 20.0

static unsigned char *block[BLOCKS];

static size_t available_kib(void)
{
	char line[128];
	unsigned long kib = 0;
	FILE *f = fopen("/proc/meminfo", "r");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f) && sscanf(line, "MemAvailable: %lu", &kib) != 1)
		;
	fclose(f);
	return kib;
}

int main(void)
{
	uint64_t rnd = hard_seed(17);
	double start = hard_cpu();
	size_t i, j;

	if (available_kib() < NEEDED_KIB)
		SKIP("less than %d MiB of memory available", NEEDED_KIB / 1024);
	for (i = 0; i < BLOCKS; i++) {
		block[i] = malloc(SIZE);
		CHECK(block[i], "block %zu: errno %d", i, errno);
		block[i][i % MARKS] = (unsigned char)(i * 7);
	}
	for (i = 0; i < BLOCKS; i++)
		CHECK(block[i][i % MARKS] == (unsigned char)(i * 7), "block %zu lost its byte", i);
	for (i = BLOCKS; i-- > 0;) {
		j = hard_rand(&rnd) % (i + 1);
		free(block[j]);
		block[j] = block[i];
	}
	for (i = 0; i < 1000; i++) {
		block[i] = hard_malloc(SIZE);
		hard_fill(block[i], SIZE, i);
	}
	for (i = 0; i < 1000; i++) {
		hard_verify(block[i], SIZE, i);
		free(block[i]);
	}
	CHECK(hard_cpu() - start < SECONDS, "took %.1f s", hard_cpu() - start);
	return 0;
}
