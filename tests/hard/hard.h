/* SPDX-License-Identifier: MIT */
/*
 * What the hard-case programs share. A program passes with exit status 0, fails with 1 and
 * one line on stderr, and skips with 77. Nothing here allocates, so that a failure can be
 * told from any place: a signal handler, a destructor, a child of fork.
 */
#ifndef HARD_H
#define HARD_H

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HARD_SKIP 77
#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define CHECK(cond, ...) \
	do { \
		if (!(cond)) \
			hard_end(1, __FILE__, __LINE__, #cond, __VA_ARGS__); \
	} while (0)
#define SKIP(...) hard_end(HARD_SKIP, __FILE__, __LINE__, "skip", __VA_ARGS__)

__attribute__((noreturn, unused, format(printf, 5, 6)))
static void hard_end(int status, const char *file, int line, const char *cond,
		     const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	char buf[512];
	va_list ap;
	int n;

	n = snprintf(buf, sizeof(buf), "%s:%d: %s: ", base ? base + 1 : file, line, cond);
	va_start(ap, fmt);
	n += vsnprintf(buf + n, sizeof(buf) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(buf) - 2)
		n = (int)sizeof(buf) - 2;
	buf[n++] = '\n';
	if (write(2, buf, (size_t)n) < 0)
		status = status ? status : 1;
	_exit(status);
}

/* True when the runner preloads Stele: a few promises go beyond what plain libc keeps. */
static inline int hard_on_stele(void)
{
	return getenv("HARD_STELE") != NULL;
}

/* Hides where a pointer or a size came from, so that the compiler neither warns nor folds. */
static inline void *hard_hide(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

static inline size_t hard_size(size_t n)
{
	__asm__ volatile("" : "+r"(n));
	return n;
}

static inline uint64_t hard_rand(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dULL;
}

static inline uint64_t hard_seed(uint64_t n)
{
	return (n + 1) * 0x9e3779b97f4a7c15ULL;
}

/* 1 .. 2^max_bits bytes, every power of two equally likely. */
static inline size_t hard_rand_size(uint64_t *state, unsigned int max_bits)
{
	unsigned int bits = (unsigned int)(hard_rand(state) % (max_bits + 1));

	return 1 + (size_t)(hard_rand(state) % ((uint64_t)1 << bits));
}

/*
 * A block of up to 8 KiB is filled whole; of a larger one the first and last 512 bytes and
 * one byte a page are, which shows an overlap as well and leaves time for more calls.
 */
static inline size_t hard_next(size_t i, size_t n)
{
	i++;
	if (n <= 8192 || i < 512 || i >= n - 512)
		return i;
	i = (i + 4095) & ~(size_t)4095;
	return i < n - 512 ? i : n - 512;
}

static inline unsigned char hard_byte(size_t i, uint64_t tag)
{
	return (unsigned char)(tag + i * 131 + (i >> 8) * 29 + (tag >> 8) * 7);
}

static inline void hard_fill(void *p, size_t n, uint64_t tag)
{
	unsigned char *c = (unsigned char *)p;
	size_t i;

	for (i = 0; i < n; i = hard_next(i, n))
		c[i] = hard_byte(i, tag);
}

/* Checks the first @upto bytes of a block that was filled as @n bytes. */
static inline void hard_verify_part(const void *p, size_t n, uint64_t tag, size_t upto)
{
	const unsigned char *c = (const unsigned char *)p;
	size_t i;

	for (i = 0; i < n && i < upto; i = hard_next(i, n))
		CHECK(c[i] == hard_byte(i, tag), "block %p of %zu: byte %zu is %#x, not %#x",
		      p, n, i, c[i], hard_byte(i, tag));
}

static inline void hard_verify(const void *p, size_t n, uint64_t tag)
{
	hard_verify_part(p, n, tag, n);
}

static inline void hard_verify_zero(const void *p, size_t n)
{
	const unsigned char *c = (const unsigned char *)p;
	size_t i;

	for (i = 0; i < n; i = hard_next(i, n))
		CHECK(c[i] == 0, "block %p of %zu: byte %zu is %#x, not 0", p, n, i, c[i]);
}

static inline void *hard_malloc(size_t n)
{
	void *p = malloc(n);

	CHECK(p, "malloc(%zu) failed, errno %d", n, errno);
	CHECK(((uintptr_t)p & 15) == 0, "malloc(%zu) = %p is not 16-byte aligned", n, p);
	return p;
}

static inline void hard_start(pthread_t *t, void *(*fn)(void *), void *arg)
{
	int err = pthread_create(t, NULL, fn, arg);

	CHECK(err == 0, "pthread_create: %s", strerror(err));
}

static inline void hard_join(pthread_t t)
{
	int err = pthread_join(t, NULL);

	CHECK(err == 0, "pthread_join: %s", strerror(err));
}

static inline void hard_usleep(long us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };

	nanosleep(&ts, NULL);
}

static inline double hard_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* What the process itself has used: a busy machine does not make it more. */
static inline double hard_cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* How often this thread has gone to sleep of its own accord: on a lock, say. */
static inline long hard_waits(void)
{
	struct rusage ru;

	getrusage(RUSAGE_THREAD, &ru);
	return ru.ru_nvcsw;
}

/* Waits for @pid and demands that it ended with status 0. */
static inline void hard_reap(pid_t pid, const char *what)
{
	int status;
	pid_t got;

	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR);
	CHECK(got == pid, "%s: waitpid: errno %d", what, errno);
	CHECK(!WIFSIGNALED(status), "%s: child died of signal %d", what, WTERMSIG(status));
	CHECK(WEXITSTATUS(status) == 0, "%s: child ended with %d", what, WEXITSTATUS(status));
}

/* Path of a test library: beside the program unless the runner names a directory. */
static inline const char *hard_lib(const char *name)
{
	static char path[4096];
	const char *dir = getenv("HARD_LIBDIR");

	snprintf(path, sizeof(path), "%s/%s.so", dir ? dir : ".", name);
	return path;
}

/* Resident set in bytes. */
static inline size_t hard_rss(void)
{
	char buf[128];
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long size = 0, resident = 0;

	CHECK(f, "no /proc/self/statm");
	CHECK(fgets(buf, sizeof(buf), f), "statm is empty");
	fclose(f);
	CHECK(sscanf(buf, "%lu %lu", &size, &resident) == 2, "statm: %s", buf);
	return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

#endif
