/* SPDX-License-Identifier: MIT */
/*
 * What the tests of pages and areas share: TAP, what the library says on stderr,
 * accesses that may fault, and numbers from /proc. The programs are linked with
 * the library.
 */
#ifndef PAGES_TAP_H
#define PAGES_TAP_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <stele.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static int tap_count, tap_failed;

#define ok(cond, ...) tap_result((cond), #cond, __LINE__, __VA_ARGS__)
__attribute__((unused, format(printf, 4, 5)))
static bool tap_result(bool good, const char *cond, int line, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", good ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	if (!good) {
		printf("# line %d: %s; errno %d\n", line, cond, errno);
		tap_failed++;
	}
	fflush(stdout);
	return good;
}

__attribute__((unused))
static void skip(const char *what, const char *why)
{
	printf("ok %d - %s # SKIP %s\n", ++tap_count, what, why);
}

static inline int tap_end(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- what is said ---- */

static int said_fd = -1, said_saved = -1;
static char said_text[4096];

/* Standard error goes to a file in memory until said_end(). */
static inline void said_begin(void)
{
	if (said_fd < 0)
		said_fd = memfd_create("stderr", MFD_CLOEXEC);
	if (ftruncate(said_fd, 0) || lseek(said_fd, 0, SEEK_SET))
		abort();
	said_saved = dup(2);
	dup2(said_fd, 2);
}

static inline const char *said_end(void)
{
	ssize_t n;

	dup2(said_saved, 2);
	close(said_saved);
	n = pread(said_fd, said_text, sizeof(said_text) - 1, 0);
	said_text[n > 0 ? n : 0] = '\0';
	return said_text;
}

/* One line, with both parts in it? Shows the text if not. */
static inline bool said(const char *part, const char *part2)
{
	const char *text = said_text, *end = strchr(text, '\n');
	bool good = end && !end[1] && !strncmp(text, "stele: ", 7) && strstr(text, part) &&
		    strstr(text, part2);

	if (!good)
		printf("# wanted \"%s\" and \"%s\", was said: %s\n", part, part2, text);
	return good;
}

/* The call is refused: one line that has both parts, and EINVAL. */
#define refused(call, part, part2) \
	({ \
		errno = 0; \
		said_begin(); \
		call; \
		int refused_errno = errno; \
		said_end(); \
		refused_errno == EINVAL && said(part, part2); \
	})

/* ---- what faults ---- */

static sigjmp_buf fault_jump;

static void on_fault(int sig)
{
	siglongjmp(fault_jump, sig);
}

/* The signal that reading or writing the byte at @p gives; 0: none. */
static inline int touch(const volatile void *p, bool write)
{
	struct sigaction sa = { .sa_handler = on_fault }, segv, bus;
	volatile char *c = (volatile char *)(uintptr_t)p;
	int sig;

	sigaction(SIGSEGV, &sa, &segv);
	sigaction(SIGBUS, &sa, &bus);
	sig = sigsetjmp(fault_jump, 1);
	if (!sig) {
		char v = *c;

		if (write)
			*c = v;
	}
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
	return sig;
}

/* ---- what a child does ---- */

/* Run @fn in a child with its stderr in said_text; its wait status. */
__attribute__((unused))
static int in_child(void (*fn)(void *), void *arg)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	said_begin();
	pid = fork();
	if (!pid) {
		fn(arg);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	said_end();
	return status;
}

/* Hides a size from the compiler, which would warn of it. */
static inline size_t hidden(size_t n)
{
	__asm__ volatile("" : "+r"(n));
	return n;
}

/* ---- numbers ---- */

/* A field of /proc/self/status, in KiB. */
__attribute__((unused))
static size_t status_kib(const char *name)
{
	char line[256];
	size_t n = strlen(name), kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, n) && line[n] == ':')
			kib = strtoul(line + n + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	return kib;
}

/* What stele_vmallocinfo() lists now. */
__attribute__((unused))
static const char *listing(void)
{
	static char text[16384];
	int fd = memfd_create("list", MFD_CLOEXEC);
	ssize_t n;

	stele_vmallocinfo(fd);
	n = pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	close(fd);
	return text;
}

__attribute__((unused))
static bool all_bytes(const void *p, size_t n, int byte)
{
	const unsigned char *c = p;

	for (size_t i = 0; i < n; i++) {
		if (c[i] != byte)
			return false;
	}
	return true;
}

/* Contents that depend on the place. */
__attribute__((unused))
static void fill(void *p, size_t n, uint64_t tag)
{
	unsigned char *c = p;

	for (size_t i = 0; i < n; i++)
		c[i] = (unsigned char)(tag + i * 131 + (i >> 8) * 29);
}

__attribute__((unused))
static bool filled(const void *p, size_t n, uint64_t tag)
{
	const unsigned char *c = p;

	for (size_t i = 0; i < n; i++) {
		if (c[i] != (unsigned char)(tag + i * 131 + (i >> 8) * 29))
			return false;
	}
	return true;
}

#endif
