/* SPDX-License-Identifier: MIT */
/* calloc gives zeros from recycled memory, and touches nothing where memory is fresh. */
#include <malloc.h>

#include "hard.h"

#define BLOCKS 64
#define HUGE_BLOCKS 1000

static void all_zero(const unsigned char *p, size_t n)
{
	CHECK(p[0] == 0 && (n < 2 || memcmp(p, p + 1, n - 1) == 0),
	      "calloc of %zu bytes at %p is not zero", n, (const void *)p);
}

static void recycled(size_t n)
{
	void *p[BLOCKS];
	size_t count = n > MIB ? 4 : BLOCKS;
	size_t i, round;

	for (round = 0; round < 6; round++) {
		size_t m = n - n * round / 8;

		for (i = 0; i < count; i++) {
			size_t usable;

			p[i] = round % 2 ? calloc(m, 1) : calloc(1, m);
			CHECK(p[i], "calloc of %zu", m);
			all_zero(p[i], m);
			usable = malloc_usable_size(p[i]);
			memset(p[i], 0xee, usable);
		}
		for (i = 0; i < count; i++)
			free(p[(i * 5 + round) % count]);
		if (round == 3)
			malloc_trim(0);
	}
}

static int overcommit_mode(void)
{
	FILE *f = fopen("/proc/sys/vm/overcommit_memory", "r");
	int mode = 0;

	if (f) {
		if (fscanf(f, "%d", &mode) != 1)
			mode = 0;
		fclose(f);
	}
	return mode;
}

static void untouched(void)
{
	static void *p[HUGE_BLOCKS];
	size_t before = hard_rss(), after;
	double start = hard_cpu();
	int i;

	if (overcommit_mode() == 2)
		return;
	for (i = 0; i < HUGE_BLOCKS; i++) {
		p[i] = calloc(GIB / 64, 64);
		CHECK(p[i], "calloc of 1 GiB number %d: errno %d", i, errno);
		((char *)p[i])[GIB / 2] = 1;
	}
	after = hard_rss();
	CHECK(after < before + 64 * MIB, "1000 untouched GiB made RSS grow by %zu KiB",
	      (after - before) / KIB);
	for (i = 0; i < HUGE_BLOCKS; i++)
		free(p[i]);
	CHECK(hard_cpu() - start < 5.0, "1000 callocs of 1 GiB took %.1f s", hard_cpu() - start);
}

int main(void)
{
	static const size_t sizes[] = {
		1, 16, 24, 100, 500, 1000, 1024, 3000, 4096, 10000, 32768, 40000, 100000,
		131072, 200000, MIB, 5 * MIB, 20 * MIB,
	};
	size_t i;

	untouched();
	for (i = 0; i < ARRAY_LEN(sizes); i++)
		recycled(sizes[i]);
	for (i = ARRAY_LEN(sizes); i-- > 0;)
		recycled(sizes[i]);
	/* pages purged or given back in between must not bring old bytes again */
	mallopt(M_TRIM_THRESHOLD, 0);
	mallopt(M_MMAP_MAX, 0);
	for (i = 0; i < ARRAY_LEN(sizes); i++)
		recycled(sizes[i]);
	mallopt(M_PERTURB, 0x5a);
	for (i = 0; i < ARRAY_LEN(sizes); i++)
		recycled(sizes[i]);
	return 0;
}
