/* SPDX-License-Identifier: MIT */
/* The environment variables, GLIBC_TUNABLES, which of them wins, and mallopt above them all. */
#include <malloc.h>

#include "again.h"

#define BIG (8 * MIB)

/* How many of ten large blocks have mappings of their own. */
static size_t mapped_of_ten(void)
{
	size_t before = mallinfo2().hblks, after;
	void *p[10];

	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		p[i] = hard_malloc(BIG);
	after = mallinfo2().hblks;
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		free(p[i]);
	return after - before;
}

/* How far above a large block the break stands: the pad of its growth. */
static size_t pad_above_block(void)
{
	char *p;
	size_t pad;

	mallopt(M_MMAP_MAX, 0);
	p = hard_malloc(BIG);
	pad = (size_t)((char *)sbrk(0) - (p + BIG));
	free(p);
	return pad;
}

/* After a free of 8 MiB at the top: has the break come down? */
static int trims(void)
{
	char *high, *p;

	mallopt(M_MMAP_MAX, 0);
	p = hard_malloc(BIG);
	high = sbrk(0);
	free(p);
	return (char *)sbrk(0) < high;
}

static int is_filled(const unsigned char *p, size_t n, int byte)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != byte)
			return 0;
	return 1;
}

static int new_memory_is(int byte)
{
	unsigned char *p = hard_malloc(20000);
	int is = is_filled(p, 20000, byte);

	free(p);
	return is;
}

static void expect(const char *what)
{
	if (strcmp(what, "mapped 0") == 0)
		CHECK(mapped_of_ten() == 0, "some of ten are mapped");
	else if (strcmp(what, "mapped 3") == 0)
		CHECK(mapped_of_ten() == 3, "not 3 of ten are mapped");
	else if (strcmp(what, "mapped 10") == 0)
		CHECK(mapped_of_ten() == 10, "not all of ten are mapped");
	else if (strcmp(what, "pad 0") == 0)
		CHECK(pad_above_block() <= 8192, "a growth left more than two pages");
	else if (strcmp(what, "pad 4M") == 0)
		CHECK(pad_above_block() - 4 * MIB <= 8192, "a growth did not leave 4 MiB");
	else if (strcmp(what, "trims") == 0)
		CHECK(trims(), "8 free MiB at the top did not go back");
	else if (strcmp(what, "trims not") == 0)
		CHECK(!trims(), "8 free MiB at the top went back");
	else if (strcmp(what, "new 5a") == 0)
		CHECK(new_memory_is(0x5a), "new memory is not filled with 0x5a");
	else if (strcmp(what, "runs") == 0)
		free(hard_malloc(100));
	else
		CHECK(0, "nothing known of %s", what);
}

/* mallopt comes last, and wins over the environment that was given. */
static void expect_mallopt_wins(void)
{
	mallopt(M_MMAP_MAX, 3);
	expect("mapped 3");
	mallopt(M_PERTURB, 0xa5);
	expect("new 5a");
}

#define TUNABLES "GLIBC_TUNABLES=glibc.malloc."

static const struct {
	const char *what, *env[3];
} row[] = {
	{ "mapped 10", { "A=B" } },
	{ "mapped 0", { "MALLOC_MMAP_MAX_=0" } },
	{ "mapped 3", { "MALLOC_MMAP_MAX_=3" } },
	{ "mapped 3", { "MALLOC_MMAP_MAX_=0x3" } },
	{ "mapped 0", { "MALLOC_MMAP_THRESHOLD_=33554432" } },
	{ "mapped 10", { "MALLOC_MMAP_THRESHOLD_=1048576" } },
	{ "mapped 10", { "MALLOC_MMAP_THRESHOLD_=04000000" } },
	{ "pad 0", { "MALLOC_TOP_PAD_=0" } },
	{ "pad 4M", { "MALLOC_TOP_PAD_=4194304" } },
	{ "trims", { "MALLOC_TRIM_THRESHOLD_=1048576" } },
	{ "trims not", { "MALLOC_TRIM_THRESHOLD_=-1" } },
	{ "trims not", { "MALLOC_TRIM_THRESHOLD_=67108864" } },
	{ "new 5a", { "MALLOC_PERTURB_=165" } },
	{ "runs", { "MALLOC_CHECK_=3" } },
	{ "runs", { "MALLOC_ARENA_MAX=1", "MALLOC_ARENA_TEST=1" } },
	{ "mapped 3", { TUNABLES "mmap_max=3" } },
	{ "mapped 0", { TUNABLES "mmap_threshold=33554432" } },
	{ "pad 4M", { TUNABLES "top_pad=4194304" } },
	{ "trims", { TUNABLES "trim_threshold=1048576" } },
	{ "new 5a", { TUNABLES "perturb=165" } },
	{ "runs", { TUNABLES "arena_max=1:glibc.malloc.arena_test=2" } },
	{ "mapped 3", { TUNABLES "perturb=1:glibc.malloc.mmap_max=3:glibc.malloc.check=1" } },
	{ "mapped 3", { "GLIBC_TUNABLES=glibc.pthread.rseq=1:glibc.malloc.mmap_max=3" } },
	{ "mapped 3", { TUNABLES "mmap_max=0:glibc.malloc.mmap_max=3" } },
	/* the tunable wins, whichever stands first in the environment */
	{ "mapped 3", { "MALLOC_MMAP_MAX_=0", TUNABLES "mmap_max=3" } },
	{ "mapped 3", { TUNABLES "mmap_max=3", "MALLOC_MMAP_MAX_=0" } },
	{ "mallopt wins", { "MALLOC_MMAP_MAX_=0", TUNABLES "perturb=1" } },
};

int main(int argc, char **argv)
{
	if (argc > 1) {
		if (strcmp(argv[1], "mallopt wins") == 0)
			expect_mallopt_wins();
		else
			expect(argv[1]);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		again_expect(row[i].what, row[i].env);
		CHECK(!again_text[0], "%s: wrote %s", row[i].env[0], again_text);
	}
	return 0;
}
