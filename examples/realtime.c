/* SPDX-License-Identifier: MIT */
/*
 * A loop that must keep its deadlines, by the recipe of mallopt(3): never trim,
 * never map, lock all memory, and touch once what will be needed. From then on
 * malloc() and free() make no system call and cause no page fault.
 *
 * Requests of the loop itself say STELE_GFP_NOWAIT: even what was not foreseen
 * fails rather than waits.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include <stele.h>

#define PERIODS 2000
#define MESSAGES 300		/* at most at a time */
#define MESSAGE 1536		/* bytes, at most */
#define STEP 16			/* fine enough to meet every size class */

static long page_faults(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_minflt + ru.ru_majflt;
}

static long elapsed_ns(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - from->tv_sec) * 1000000000l + now.tv_nsec - from->tv_nsec;
}

/* Whatever the loop may have at a time, had and touched once: MESSAGES of any size. */
static int touch_everything(void)
{
	static void *block[MESSAGE / STEP * MESSAGES];
	size_t n = 0;

	for (size_t size = STEP; size <= MESSAGE; size += STEP) {
		for (int i = 0; i < MESSAGES; i++) {
			block[n] = malloc(size);
			if (!block[n])
				return -1;
			memset(block[n], 0, malloc_usable_size(block[n]));
			n++;
		}
	}
	while (n)
		free(block[--n]);
	return 0;
}

int main(void)
{
	static void *message[MESSAGES];
	unsigned seed = 1, refused = 0;
	long faults = 0, worst = 0;

	mallopt(M_TRIM_THRESHOLD, -1);
	mallopt(M_MMAP_MAX, 0);
	if (mlockall(MCL_CURRENT | MCL_FUTURE)) {
		printf("memory cannot be locked here (see ulimit -l)\n");
		return 77;
	}
	if (touch_everything())
		return EXIT_FAILURE;

	/* One period of everything, before it counts. */
	for (int period = -50; period < PERIODS; period++) {
		struct timespec start;
		long ns;

		if (period == 0)
			faults = page_faults();
		clock_gettime(CLOCK_MONOTONIC, &start);
		for (int i = 0; i < 100; i++) {
			unsigned k = (seed = seed * 1103515245 + 12345) >> 16;
			void **m = &message[k % MESSAGES];

			if (*m) {
				stele_kfree(*m);
				*m = NULL;
				continue;
			}
			*m = stele_kmalloc(k % MESSAGE + 1, STELE_GFP_NOWAIT);
			refused += !*m;
		}
		ns = elapsed_ns(&start);
		if (period >= 0 && ns > worst)
			worst = ns;
	}
	faults = page_faults() - faults;
	printf("%d periods of 100 calls: the longest took %ld us, %ld page faults, "
	       "%u requests refused\n", PERIODS, worst / 1000, faults, refused);
	return faults ? EXIT_FAILURE : EXIT_SUCCESS;
}
