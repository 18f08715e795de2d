/* SPDX-License-Identifier: MIT */
/*
 * What every workload program shares: the options, the clock, the random numbers and the
 * report line.
 *
 * A program calls bench_getopt() until it returns -1, bench_begin() before the work and
 * bench_end() after it. bench_end() appends one line to the file that BENCH_REPORT names:
 *
 *	WALL CPU RSS FAULTS
 *
 * seconds between bench_begin() and bench_end(); user and system CPU seconds, peak resident
 * KiB and minor faults of the whole process. Nothing in here calls malloc, and the tables of
 * the workloads come from mmap, so that the figures are the allocator's.
 */
#ifndef STELE_TESTS_BENCH_H
#define STELE_TESTS_BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BENCH_PAGE	4096
#define BENCH_LINE	64

static double bench_scale = 1.0;
static int bench_verbose;
static double bench_started;

static inline void bench_die(const char *what)
{
	char line[160];
	int len = snprintf(line, sizeof(line), "bench: %s\n", what);

	if (write(2, line, (size_t)len) < 0)
		_exit(3);
	_exit(2);
}

static inline double bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* Copy a file of /proc to fd 1 without stdio, which would allocate. */
static inline void bench_copy_out(const char *path)
{
	char buf[4096];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (write(1, buf, (size_t)n) != n)
			break;
	close(fd);
}

/* -P: say which library answers malloc, then the map of the process. */
static inline void bench_probe(void)
{
	Dl_info info;
	char line[512];
	int len;

	if (!dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info))
		bench_die("cannot tell where malloc comes from");
	len = snprintf(line, sizeof(line), "malloc %s\n", info.dli_fname);
	if (write(1, line, (size_t)len) != len)
		bench_die("cannot write the probe");
	bench_copy_out("/proc/self/maps");
	_exit(0);
}

/* Serves -s, -v and -P; hands the program's own options back to it. */
static inline int bench_getopt(int argc, char **argv, const char *own)
{
	char opts[64];
	int c;

	snprintf(opts, sizeof(opts), "s:vP%s", own);
	while ((c = getopt(argc, argv, opts)) != -1) {
		if (c == 's')
			bench_scale = atof(optarg);
		else if (c == 'v')
			bench_verbose = 1;
		else if (c == 'P')
			bench_probe();
		else if (c == '?')
			_exit(2);
		else
			return c;
	}
	return -1;
}

/* base operations at scale 1.0, at least one. */
static inline uint64_t bench_count(double base)
{
	double n = base * bench_scale;

	return n < 1.0 ? 1 : (uint64_t)n;
}

static inline void bench_begin(void)
{
	bench_started = bench_now();
}

/* VmHWM and not ru_maxrss: the latter survives execve and may be the parent's. */
static inline long bench_peak_rss(void)
{
	char buf[4096], *p;
	ssize_t n;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	buf[n] = 0;
	p = strstr(buf, "VmHWM:");
	return p ? strtol(p + 6, NULL, 10) : 0;
}

static inline double bench_cpu(const struct rusage *ru)
{
	return (double)(ru->ru_utime.tv_sec + ru->ru_stime.tv_sec) +
	       (double)(ru->ru_utime.tv_usec + ru->ru_stime.tv_usec) * 1e-6;
}

static inline void bench_report(double wall, double cpu, long rss, long faults)
{
	const char *path = getenv("BENCH_REPORT");
	char line[128];
	int fd, len;

	if (!path)
		return;
	len = snprintf(line, sizeof(line), "%.6f %.6f %ld %ld\n", wall, cpu, rss, faults);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, line, (size_t)len) != len)
		bench_die("cannot write BENCH_REPORT");
	close(fd);
}

static inline void bench_end(uint64_t ops)
{
	double wall = bench_now() - bench_started;
	struct rusage ru;
	char line[64];
	int len;

	getrusage(RUSAGE_SELF, &ru);
	bench_report(wall, bench_cpu(&ru), bench_peak_rss(), ru.ru_minflt);
	if (!bench_verbose)
		return;
	len = snprintf(line, sizeof(line), "ops %llu\n", (unsigned long long)ops);
	if (write(1, line, (size_t)len) != len)
		bench_die("cannot write the op count");
}

/* Zeroed memory for the workload's own tables. */
static inline void *bench_table(size_t n, size_t size)
{
	void *p = mmap(NULL, n * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bench_die("no memory for a table");
	return p;
}

/* xorshift64*; a state of 0 would stay 0, so seeds go through bench_seed(). */
static inline uint64_t bench_rand(uint64_t *s)
{
	uint64_t x = *s;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*s = x;
	return x * 0x2545f4914f6cdd1dULL;
}

static inline uint64_t bench_seed(uint64_t n)
{
	uint64_t s = (n + 1) * 0x9e3779b97f4a7c15ULL;

	bench_rand(&s);
	return s;
}

/* Uniform in lo..hi, both included; the span must fit 32 bits. */
static inline size_t bench_range(uint64_t *s, size_t lo, size_t hi)
{
	return lo + (size_t)(((bench_rand(s) >> 32) * (uint64_t)(hi - lo + 1)) >> 32);
}

/* Every power of two between 1 << lo and 1 << hi is equally likely, uniform inside each. */
static inline size_t bench_logsize(uint64_t *s, unsigned int lo, unsigned int hi)
{
	size_t base = (size_t)1 << bench_range(s, lo, hi - 1);

	return base + (bench_rand(s) >> 16) % base;
}

static inline void bench_touch(void *p, size_t size)
{
	volatile char *c = (volatile char *)p;

	if (!p)
		bench_die("out of memory");
	c[0] = 1;
	c[size - 1] = 1;
}

static inline void bench_touch_pages(void *p, size_t size)
{
	volatile char *c = (volatile char *)p;
	size_t at;

	if (!p)
		bench_die("out of memory");
	for (at = 0; at < size; at += BENCH_PAGE)
		c[at] = 1;
}

static inline void *bench_malloc(size_t size)
{
	void *p = malloc(size);

	bench_touch(p, size);
	return p;
}

static inline void bench_shuffle(uint32_t *order, size_t n, uint64_t seed)
{
	size_t i, j;

	for (i = 0; i < n; i++) {
		j = bench_range(&seed, 0, i);
		order[i] = order[j];
		order[j] = (uint32_t)i;
	}
}

/* Starts n threads on args[i * stride] and waits for all. */
static inline void bench_threads(int n, void *(*fn)(void *), void *args, size_t stride)
{
	pthread_t *tid = (pthread_t *)bench_table((size_t)n, sizeof(*tid));
	int i;

	for (i = 0; i < n; i++)
		if (pthread_create(&tid[i], NULL, fn, (char *)args + (size_t)i * stride))
			bench_die("cannot start a thread");
	for (i = 0; i < n; i++)
		pthread_join(tid[i], NULL);
}

#endif
