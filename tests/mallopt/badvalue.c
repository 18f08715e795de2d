/* SPDX-License-Identifier: MIT */
/* A bad value, wherever it stands, costs one line of warning, and the old value stays. */
#include <malloc.h>

#include "again.h"

/* Of ten large blocks, how many are mapped: all by default. */
static void expect_mapped(size_t want)
{
	size_t before = mallinfo2().hblks, after;
	void *p[10];

	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		p[i] = hard_malloc(8 * MIB);
	after = mallinfo2().hblks;
	CHECK(after - before == want, "%zu of ten are mapped, not %zu", after - before, want);
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		free(p[i]);
}

#define TUNABLES "GLIBC_TUNABLES=glibc.malloc."

static const struct {
	const char *mapped, *env[3];
	unsigned int lines;
} row[] = {
	{ "10", { "MALLOC_MMAP_MAX_=many" }, 1 },
	{ "10", { "MALLOC_MMAP_MAX_=" }, 1 },
	{ "10", { "MALLOC_MMAP_MAX_=3x" }, 1 },
	{ "10", { "MALLOC_MMAP_MAX_=-1" }, 1 },
	{ "10", { "MALLOC_MMAP_MAX_=99999999999" }, 1 },
	{ "10", { "MALLOC_MMAP_MAX_=99999999999999999999999" }, 1 },
	{ "10", { "MALLOC_MMAP_MAX_=08" }, 1 },
	{ "10", { "MALLOC_MMAP_MAX_=0x" }, 1 },
	{ "10", { "MALLOC_MMAP_MAX_=3,4" }, 1 },
	{ "10", { "MALLOC_MMAP_THRESHOLD_=64Q" }, 1 },
	{ "10", { "MALLOC_PERTURB_=256" }, 1 },
	{ "10", { "MALLOC_PERTURB_=-1" }, 1 },
	{ "10", { TUNABLES "mmap_max=three" }, 1 },
	{ "3", { "MALLOC_MMAP_MAX_=3", TUNABLES "mmap_max=three" }, 1 },
	{ "4", { TUNABLES "mmap_max=three:glibc.malloc.mmap_max=4" }, 1 },
	{ "10", { "STELE_CONF=mmap_max=three" }, 1 },
	{ "3", { "STELE_CONF=mmap_max=3,mmap_max=x" }, 1 },
	{ "3", { "STELE_CONF=percpu=sometimes,mmap_max=3" }, 1 },
	{ "3", { "STELE_CONF=no_such_name=1,mmap_max=3" }, 1 },
	{ "3", { "STELE_CONF=thp=sometimes,oom=panic,kswapd=2,psi=yes,limit=64Q,mmap_max=3" }, 5 },
	{ "3", { "STELE_CONF=watermark=much,watermark_scale=1001,kswapd_delay=0,mmap_max=3" }, 3 },
	{ "3", { "STELE_CONF=kswapd_keep=1W,hugetlb=x,mmap_max=3" }, 2 },
	{ "10", { TUNABLES "hugetlb=yes" }, 1 },
	{ "10", { "MALLOC_MMAP_MAX_=a", TUNABLES "mmap_max=b" }, 2 },
	/* what is no business of malloc draws no warning */
	{ "10", { "GLIBC_TUNABLES=glibc.malloc.no_such=1:glibc.cpu.x=y:nonsense" }, 0 },
	{ "10", { "GLIBC_TUNABLES=" }, 0 },
	{ "10", { "STELE_CONF=" }, 0 },
};

int main(int argc, char **argv)
{
	if (!hard_on_stele())
		SKIP("glibc reads a bad number as 0 and says nothing");
	if (argc > 1) {
		expect_mapped(strtoul(argv[1], NULL, 10));
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		unsigned int lines;

		again_expect(row[i].mapped, row[i].env);
		lines = again_count("\n");
		CHECK(lines == row[i].lines && again_count("stele: ") == lines,
		      "%s: %u lines and not %u: %s", row[i].env[0], lines, row[i].lines,
		      again_text);
	}
	return 0;
}
