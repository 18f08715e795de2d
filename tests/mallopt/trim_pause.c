/* SPDX-License-Identifier: MIT */
/*
 * malloc_trim of gigabytes of garbage, 8 where the machine has them to spare: meanwhile another
 * thread that allocates and frees what its caches hold is not held up. Whether it ever had to wait
 * the kernel knows: it counts the switches that a thread asked for.
 */
#include <malloc.h>

#include "watch.h"

#define GARBAGE (8 * GIB)
#define BLOCK 3000
#define SURVIVES 64
#define WAITS_MAX 20		/* in a second: caches are emptied as well, and filled again */
#define PAUSE_MAX 1.0		/* a machine with more to do stops us by itself */

static int stop, begun;
static double longest;
static long waits;

static size_t spare_memory(void)
{
	char buf[4096], *line;
	int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	CHECK(n > 0, "no /proc/meminfo");
	close(fd);
	buf[n] = '\0';
	line = strstr(buf, "MemAvailable:");
	return line ? strtoul(line + 13, NULL, 10) * KIB : 0;
}

/* Small blocks, few at a time; how long at most it took to get the next ones, if it had to wait. */
static void *keep_busy(void *arg)
{
	void *q[16];
	double last = hard_now(), now;
	long before = hard_waits(), waited = before, seen;

	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		for (int round = 0; round < 20; round++) {
			for (size_t i = 0; i < ARRAY_LEN(q); i++)
				q[i] = hard_malloc(16 + 24 * i);
			for (size_t i = 0; i < ARRAY_LEN(q); i++)
				free(q[i]);
		}
		now = hard_now();
		seen = hard_waits();
		if (__atomic_load_n(&begun, __ATOMIC_ACQUIRE) && seen != waited &&
		    now - last > longest)
			longest = now - last;
		last = now;
		waited = seen;
	}
	waits = waited - before;
	return NULL;
}

int main(void)
{
	const char *conf = getenv("STELE_CONF");
	size_t bytes = spare_memory() / 3, count;
	size_t low, high;
	double start, took;
	pthread_t t;
	char **p;

	if (!hard_on_stele())
		SKIP("plain libc keeps its arena locked");
	no_huge_pages();
	/* once with all there is */
	if (conf && bytes > GIB)
		bytes = GIB;
	if (bytes > GARBAGE)
		bytes = GARBAGE;
	count = bytes / BLOCK;
	p = mmap(NULL, count * sizeof(*p), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED, "no table");
	/* free() itself would give most of it back, had it the time */
	mallopt(M_TRIM_THRESHOLD, -1);
	for (size_t i = 0; i < count; i++) {
		p[i] = hard_malloc(BLOCK);
		p[i][0] = p[i][BLOCK - 1] = 1;
	}
	for (size_t i = 0; i < count; i++)
		if (i % SURVIVES)
			free(p[i]);
	high = rss();
	hard_start(&t, keep_busy, NULL);
	hard_usleep(50000);
	__atomic_store_n(&begun, 1, __ATOMIC_RELEASE);
	start = hard_now();
	CHECK(malloc_trim(0) == 1, "malloc_trim gave nothing back");
	took = hard_now() - start;
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	hard_join(t);
	low = rss();
	CHECK(high - low > bytes / 4 * 3, "of %zu MiB %zu went back", bytes >> 20,
	      (high - low) >> 20);
	CHECK(waits <= WAITS_MAX * (1 + took), "%zu MiB in %.2f s: the other thread had to wait %ld times",
	      bytes >> 20, took, waits);
	CHECK(longest < PAUSE_MAX, "%zu MiB in %.2f s: the other thread had to wait %.3f s",
	      bytes >> 20, took, longest);
	printf("# %zu MiB in %.2f s, the longest pause %.4f s, %ld waits\n", bytes >> 20, took,
	       longest, waits);
	return 0;
}
