/* SPDX-License-Identifier: MIT */
/*
 * Memory back: a program takes 2 GiB (at scale 1) of mixed objects, frees nine in ten of them at
 * random, and rests. Prints what was resident at the peak, what it still uses, and what is resident
 * 0, 0.1, 1 and 10 seconds after the last free, in KiB and without the program's own tables.
 *
 *	peak,live,0,0.1,1,10
 *
 * A quarter of the bytes is in objects below 256 bytes, a quarter each below 4 KiB, 64 KiB, 1 MiB.
 */
#include "bench.h"

#define KINDS 4
#define MOST_OBJECTS 16000000

static const unsigned int bits[KINDS][2] = { { 4, 8 }, { 8, 12 }, { 12, 16 }, { 16, 20 } };
static const double moment[] = { 0, 0.1, 1, 10 };

static long resident_kib(void)
{
	char buf[128];
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, buf, sizeof(buf) - 1);
	char *second;

	close(fd);
	if (n <= 0)
		bench_die("no /proc/self/statm");
	buf[n] = 0;
	second = strchr(buf, ' ');
	return second ? strtol(second, NULL, 10) * (sysconf(_SC_PAGESIZE) / 1024) : 0;
}

static void rest_until(double when)
{
	double left;

	while ((left = when - bench_now()) > 0) {
		struct timespec ts = { (time_t)left, (long)((left - (double)(time_t)left) * 1e9) };

		nanosleep(&ts, NULL);
	}
}

int main(int argc, char **argv)
{
	uint64_t rng = bench_seed(90), quarter, live = 0;
	size_t count = 0, i;
	uint32_t *order, *size;
	long base, peak, back[4];
	double end;
	char **p;

	while (bench_getopt(argc, argv, "") != -1)
		;
	quarter = bench_count(2048.0 * 1024 * 1024 / KINDS);
	p = bench_table(MOST_OBJECTS, sizeof(*p));
	order = bench_table(MOST_OBJECTS, sizeof(*order));
	size = bench_table(MOST_OBJECTS, sizeof(*size));

	/* The kinds take turns by bytes, as the objects of a program do. */
	for (uint64_t have[KINDS] = { 0 }; count < MOST_OBJECTS; count++) {
		size_t kind = 0;

		for (i = 1; i < KINDS; i++)
			if (have[i] < have[kind])
				kind = i;
		if (have[kind] >= quarter)
			break;
		size[count] = (uint32_t)bench_logsize(&rng, bits[kind][0], bits[kind][1]);
		have[kind] += size[count];
	}
	bench_shuffle(order, count, 17);
	bench_touch_pages(p, count * sizeof(*p));
	base = resident_kib();
	for (i = 0; i < count; i++) {
		p[i] = bench_malloc(size[i]);
		bench_touch_pages(p[i], size[i]);
	}
	peak = resident_kib();
	for (i = 0; i < count; i++) {
		if (i % 10)
			free(p[order[i]]);
		else
			live += size[order[i]];
	}
	end = bench_now();
	for (i = 0; i < 4; i++) {
		rest_until(end + moment[i]);
		back[i] = resident_kib();
	}
	printf("%ld,%ld", peak - base, (long)(live / 1024));
	for (i = 0; i < 4; i++)
		printf(",%ld", back[i] - base);
	printf("\n");
	return 0;
}
