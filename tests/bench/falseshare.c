/* SPDX-License-Identifier: MIT */
/*
 * Does the allocator put blocks of different threads into one cache line? Two classic forms:
 *
 *	scratch	the main thread allocates one small block per thread in a row and hands each
 *		out; a thread frees it, then allocates and writes blocks of that size
 *	thrash	the threads allocate and write small blocks of their own from the start
 */
#include "bench.h"

#define SIZE	8
#define WRITES	400

struct job {
	void *given;
	uint64_t rounds;
};

static void *job_main(void *arg)
{
	struct job *job = arg;
	uint64_t r;
	int w;

	free(job->given);
	for (r = 0; r < job->rounds; r++) {
		volatile char *p = bench_malloc(SIZE);

		for (w = 0; w < WRITES; w++)
			p[w % SIZE] = (char)(p[w % SIZE] + 1);
		free((void *)p);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int c, i, threads = 2, scratch = 1;
	struct job *jobs;

	while ((c = bench_getopt(argc, argv, "m:t:")) != -1) {
		if (c == 't')
			threads = atoi(optarg);
		else if (!strcmp(optarg, "thrash"))
			scratch = 0;
		else if (strcmp(optarg, "scratch"))
			bench_die("-m takes scratch or thrash");
	}
	jobs = bench_table((size_t)threads, sizeof(*jobs));

	bench_begin();
	for (i = 0; i < threads; i++) {
		jobs[i].given = scratch ? bench_malloc(SIZE) : NULL;
		jobs[i].rounds = bench_count(4e6 / threads);
	}
	bench_threads(threads, job_main, jobs, sizeof(*jobs));
	bench_end(2 * jobs[0].rounds * (uint64_t)threads);
	return 0;
}
