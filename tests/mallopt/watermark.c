/* SPDX-License-Identifier: MIT */
/* watermark= and watermark_scale=: how much free memory a free() leaves in place. */
#include <malloc.h>

#include "again.h"
#include "watch.h"

#define SLACK (10 * MIB)
#define BLOCK 100000
#define BLOCKS 2000

static char *p[BLOCKS];

static size_t most;

/* Takes 200 MB and frees it but for the last block; @most is what may stay resident. */
static void run(void)
{
	size_t base = rss(), now;

	for (size_t i = 0; i < BLOCKS; i++) {
		p[i] = hard_malloc(BLOCK);
		touch(p[i], BLOCK);
	}
	for (size_t i = 0; i < BLOCKS - 1; i++)
		free(p[i]);
	now = rss() - base;
	if (most)
		CHECK(now <= most + SLACK, "%zu MiB stay, not %zu", now >> 20, most >> 20);
	else
		CHECK(now >= BLOCKS * BLOCK - SLACK, "only %zu MiB stay", now >> 20);
}

static const struct {
	const char *most, *env[2];
} row[] = {
	{ "64", { "STELE_CONF=watermark=64M" } },
	{ "8", { "STELE_CONF=watermark=8M" } },
	{ "8", { "STELE_CONF=watermark=8M,watermark_scale=0" } },
	{ "100", { "STELE_CONF=watermark=0,watermark_scale=1000" } },
	{ "0", { "STELE_CONF=watermark=-1" } },
	{ "0", { "STELE_CONF=watermark=1G" } },
};

int main(int argc, char **argv)
{
	if (!hard_on_stele())
		SKIP("plain libc gives back from the top alone");
	if (argc > 1) {
		no_huge_pages();
		most = strtoul(argv[1], NULL, 10) * MIB;
		run();
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		again_expect(row[i].most, row[i].env);
	return 0;
}
