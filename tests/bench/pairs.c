/* SPDX-License-Identifier: MIT */
/* malloc and free of one block, over and over: the bare cost of the two calls. */
#include "bench.h"

int main(int argc, char **argv)
{
	size_t size = 64;
	uint64_t i, n;
	int c;

	while ((c = bench_getopt(argc, argv, "z:")) != -1)
		size = strtoul(optarg, NULL, 0);
	n = bench_count(120e6);

	bench_begin();
	for (i = 0; i < n; i++)
		free(bench_malloc(size));
	bench_end(2 * n);
	return 0;
}
