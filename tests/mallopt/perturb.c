/* SPDX-License-Identifier: MIT */
/*
 * M_PERTURB: new memory is filled with the complement of the byte, freed memory with the byte;
 * calloc gives zeros as ever, and realloc keeps what there was.
 */
#include <malloc.h>

#include "again.h"

/* glibc writes links into the first words of a free block. */
#define LINKS 64
/* And leaves the last of them out, which the next block's head shares. */
#define LAST 24

static void filled(const unsigned char *p, size_t from, size_t n, int byte, const char *what)
{
	for (size_t i = from; i < n; i++)
		CHECK(p[i] == (unsigned char)byte, "%s of %zu: byte %zu is %#x, not %#x", what, n,
		      i, p[i], (unsigned char)byte);
}

static void one_size(size_t n, int byte, int in_heap)
{
	unsigned char *p = hard_malloc(n), *q = hard_malloc(n);
	void *guard = hard_malloc(n);

	filled(p, 0, n, ~byte, "malloc");
	memset(p, 0x33, n);
	/* also when the block is one that was freed just now */
	free(p);
	p = hard_malloc(n);
	filled(p, 0, n, ~byte, "malloc again");
	free(p);
	p = calloc(1, n);
	filled(p, 0, n, 0, "calloc");
	free(p);
	p = memalign(256, n);
	filled(p, 0, n, ~byte, "memalign");
	free(p);

	/* a block that moves keeps its bytes, and leaves none of them behind */
	memset(q, 0x44, n);
	p = realloc(q, 3 * n);
	filled(p, 0, n, 0x44, "realloc");
	free(p);
	free(guard);

	if (!in_heap)
		return;
	p = hard_malloc(n);
	memset(p, 0x55, n);
	free(p);
	/* the memory stays, M_TRIM_THRESHOLD is -1: looking at it is what the option is for */
	if (n > LINKS)
		filled(hard_hide(p), LINKS, n - (hard_on_stele() ? 0 : LAST), byte, "freed");
}

static void all_sizes(int byte)
{
	static const size_t sizes[] = {
		1, 16, 100, 500, 1000, 1024, 2000, 5000, 20000, 32768, 40000, 100000, 500000,
		3 * MIB,
	};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		one_size(sizes[i], byte, 1);
}

static void run(void)
{
	mallopt(M_TRIM_THRESHOLD, -1);
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_PERTURB, 0x5a);
	all_sizes(0x5a);
	mallopt(M_PERTURB, 0xff);
	all_sizes(0xff);
	/* the low byte counts, and 0 is a byte when others are set */
	mallopt(M_PERTURB, 0x1200);
	all_sizes(0);
	mallopt(M_PERTURB, -1);
	all_sizes(0xff);
	mallopt(M_MMAP_MAX, 65536);
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	mallopt(M_PERTURB, 0x5a);
	one_size(2 * MIB, 0x5a, 0);
	/* off again: what is freed keeps its bytes */
	mallopt(M_PERTURB, 0);
	{
		unsigned char *p = hard_malloc(20000);

		memset(p, 0x77, 20000);
		free(p);
		filled(hard_hide(p), LINKS, 20000, 0x77, "freed without M_PERTURB");
	}
}

/* glibc's thread caches know nothing of the option; ours do. */
int main(int argc, char **argv)
{
	static const char *const env[] = { "GLIBC_TUNABLES=glibc.malloc.tcache_count=0", NULL };

	(void)argv;
	if (argc > 1) {
		run();
		return 0;
	}
	again_expect("run", env);
	return 0;
}
