/* SPDX-License-Identifier: MIT */
/* What mallopt returns for every parameter and value, and what the odd values mean. */
#include <limits.h>
#include <malloc.h>

#include "../hard/hard.h"

static const struct {
	int param, value, ret;
} row[] = {
	{ M_MXFAST, 0, 1 }, { M_MXFAST, 64, 1 }, { M_MXFAST, 80 * sizeof(size_t) / 4, 1 },
	{ M_MXFAST, 80 * sizeof(size_t) / 4 + 1, 0 }, { M_MXFAST, INT_MAX, 0 }, { M_MXFAST, -1, 0 },
	{ M_TRIM_THRESHOLD, 0, 1 }, { M_TRIM_THRESHOLD, 1, 1 }, { M_TRIM_THRESHOLD, INT_MAX, 1 },
	{ M_TRIM_THRESHOLD, INT_MIN, 1 }, { M_TRIM_THRESHOLD, -1, 1 },
	{ M_TOP_PAD, 0, 1 }, { M_TOP_PAD, 1, 1 }, { M_TOP_PAD, 64 << 10, 1 },
	{ M_MMAP_THRESHOLD, 0, 1 }, { M_MMAP_THRESHOLD, 1, 1 }, { M_MMAP_THRESHOLD, 32 << 20, 1 },
	{ M_MMAP_THRESHOLD, (32 << 20) + 1, 1 }, { M_MMAP_THRESHOLD, INT_MAX, 1 },
	{ M_MMAP_THRESHOLD, INT_MIN, 1 }, { M_MMAP_THRESHOLD, -1, 1 },
	{ M_MMAP_MAX, 0, 1 }, { M_MMAP_MAX, 1, 1 }, { M_MMAP_MAX, INT_MAX, 1 },
	{ M_MMAP_MAX, -1, 1 }, { M_MMAP_MAX, INT_MIN, 1 },
	{ M_CHECK_ACTION, 0, 1 }, { M_CHECK_ACTION, 3, 1 }, { M_CHECK_ACTION, 5, 1 },
	{ M_CHECK_ACTION, -1, 1 },
	{ M_PERTURB, 0xff, 1 }, { M_PERTURB, 0x1ff, 1 }, { M_PERTURB, -1, 1 }, { M_PERTURB, 0, 1 },
	{ M_ARENA_TEST, 1, 1 }, { M_ARENA_TEST, INT_MAX, 1 }, { M_ARENA_TEST, 0, 1 },
	{ M_ARENA_TEST, -1, 1 },
	{ M_ARENA_MAX, 1, 1 }, { M_ARENA_MAX, INT_MAX, 1 }, { M_ARENA_MAX, 0, 1 },
	{ M_ARENA_MAX, -1, 1 },
	/* M_NLBLKS, M_GRAIN, M_KEEP, which nobody implements, and numbers that mean nothing */
	{ 2, 1, 1 }, { 3, 1, 1 }, { 4, 1, 1 }, { 0, 0, 1 }, { 5, 1, 1 }, { 12345, -1, 1 },
	{ -9, 1, 1 }, { INT_MIN, 1, 1 }, { INT_MAX, 1, 1 },
};

static size_t mapped_blocks(void)
{
	return mallinfo2().hblks;
}

/* Is a request of @n bytes served by a mapping? */
static int is_mapped(size_t n)
{
	size_t before = mapped_blocks();
	void *p = hard_malloc(n);
	size_t after = mapped_blocks();

	free(p);
	return after > before;
}

static void returns(void)
{
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		int ret;

		errno = 42;
		ret = mallopt(row[i].param, row[i].value);
		CHECK(ret == row[i].ret, "mallopt(%d, %d) = %d, not %d", row[i].param,
		      row[i].value, ret, row[i].ret);
		CHECK(errno == 42, "mallopt(%d, %d) changed errno to %d", row[i].param,
		      row[i].value, errno);
		/* whatever was set, malloc goes on */
		free(memset(hard_malloc(100), 1, 100));
		free(memset(hard_malloc(50000), 1, 50000));
	}
}

/* A negative count is less than any number of mapped blocks; a negative size is a huge one. */
static void negative(void)
{
	mallopt(M_PERTURB, 0);
	mallopt(M_TOP_PAD, 0);
	mallopt(M_TRIM_THRESHOLD, 0);
	mallopt(M_MMAP_MAX, 65536);
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	CHECK(is_mapped(8 * MIB), "8 MiB are above a threshold of 1 MiB, and not mapped");
	CHECK(!is_mapped(MIB / 2), "512 KiB are below a threshold of 1 MiB, and mapped");
	mallopt(M_MMAP_THRESHOLD, -1);
	CHECK(!is_mapped(8 * MIB), "M_MMAP_THRESHOLD -1: 8 MiB were mapped");
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	CHECK(is_mapped(8 * MIB), "8 MiB are not mapped after the threshold was set back");
	mallopt(M_MMAP_MAX, -1);
	CHECK(!is_mapped(8 * MIB), "M_MMAP_MAX -1: 8 MiB were mapped");
	mallopt(M_MMAP_MAX, 1);
	CHECK(is_mapped(8 * MIB), "M_MMAP_MAX 1: 8 MiB were not mapped");
}

int main(void)
{
	returns();
	negative();
	return 0;
}
