/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the kernel's API share: TAP, and what is said in a child.
 *
 * Nothing here allocates behind the test's back: lines go out by write(2).
 */
#ifndef TAP_H
#define TAP_H

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static int tap_count, tap_failed;

static inline void tap_print(const char *s, size_t n)
{
	while (n) {
		ssize_t w = write(1, s, n);

		if (w <= 0)
			_exit(99);
		s += w;
		n -= (size_t)w;
	}
}

/* One line of the test; @fmt says what holds. */
__attribute__((unused, format(printf, 4, 5)))
static bool tap_ok(bool good, const char *cond, int line, const char *fmt, ...)
{
	char buf[400];
	va_list ap;
	int n = snprintf(buf, sizeof(buf), "%sok %d - ", good ? "" : "not ", ++tap_count);

	va_start(ap, fmt);
	n += vsnprintf(buf + n, sizeof(buf) - (size_t)n, fmt, ap);
	va_end(ap);
	if (!good)
		n += snprintf(buf + n, sizeof(buf) - (size_t)n, "\n# line %d: %s, errno %d", line,
			      cond, errno);
	if (n > (int)sizeof(buf) - 2)
		n = (int)sizeof(buf) - 2;
	buf[n++] = '\n';
	tap_print(buf, (size_t)n);
	tap_failed += !good;
	return good;
}

#define OK(cond, ...) tap_ok((cond), #cond, __LINE__, __VA_ARGS__)

/* Not worth a line of its own unless it fails; ends the test. */
#define MUST(cond) \
	do { \
		if (!(cond)) { \
			tap_ok(false, #cond, __LINE__, "needed to go on"); \
			_exit(1); \
		} \
	} while (0)

static inline int tap_end(void)
{
	char buf[32];
	int n = snprintf(buf, sizeof(buf), "1..%d\n", tap_count);

	tap_print(buf, (size_t)n);
	return tap_failed != 0;
}

/* What a child said on stderr, and how it ended. */
struct said {
	int status;
	size_t n;
	char text[8192];
};

static inline void tap_child(struct said *s, void (*fn)(void *), void *arg)
{
	int fd[2];
	ssize_t r;
	pid_t pid;

	if (pipe(fd))
		_exit(98);
	pid = fork();
	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		dup2(fd[1], 2);
		close(fd[0]);
		close(fd[1]);
		alarm(240);
		tap_failed = 0;
		fn(arg);
		_exit(tap_failed ? 1 : 0);
	}
	close(fd[1]);
	s->n = 0;
	while ((r = read(fd[0], s->text + s->n, sizeof(s->text) - 1 - s->n)) > 0)
		s->n += (size_t)r;
	s->text[s->n] = '\0';
	close(fd[0]);
	waitpid(pid, &s->status, 0);
}

static inline bool tap_says(const struct said *s, const char *text)
{
	return !text || strstr(s->text, text);
}

/* In a child: it ends well, having said @text (NULL: nothing at all). */
__attribute__((unused))
static bool lives(void (*fn)(void *), void *arg, const char *text, const char *name)
{
	static struct said s;
	bool good;

	tap_child(&s, fn, arg);
	good = WIFEXITED(s.status) && !WEXITSTATUS(s.status) &&
	       (text ? tap_says(&s, text) : !s.n);
	if (!good)
		fprintf(stderr, "# status %x, said: %s\n", (unsigned)s.status, s.text);
	return tap_ok(good, text ? text : "silence", 0, "%s", name);
}

/* In a child: it is aborted, having said @text and @text2 (may be NULL). */
__attribute__((unused))
static bool dies(void (*fn)(void *), void *arg, const char *text, const char *text2,
		 const char *name)
{
	static struct said s;
	bool good;

	tap_child(&s, fn, arg);
	good = WIFSIGNALED(s.status) && WTERMSIG(s.status) == SIGABRT && tap_says(&s, text) &&
	       tap_says(&s, text2);
	if (!good)
		fprintf(stderr, "# status %x, said: %s\n", (unsigned)s.status, s.text);
	return tap_ok(good, text, 0, "%s", name);
}

/* What the compiler must not see through. */
static inline void *hide(const void *p)
{
	void *q = (void *)(uintptr_t)p;

	__asm__ volatile("" : "+r"(q) : : "memory");
	return q;
}

static inline size_t hide_size(size_t n)
{
	__asm__ volatile("" : "+r"(n));
	return n;
}

static inline bool all_bytes(const void *p, int byte, size_t n)
{
	const unsigned char *c = p;

	for (size_t i = 0; i < n; i++) {
		if (c[i] != (unsigned char)byte)
			return false;
	}
	return true;
}

/* From now on the process may grow by @room bytes. */
static inline void limit_memory(size_t room)
{
	struct rlimit rl;
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%lu", &pages) != 1)
		_exit(97);
	fclose(f);
	rl.rlim_cur = rl.rlim_max = pages * (size_t)sysconf(_SC_PAGESIZE) + room;
	if (setrlimit(RLIMIT_AS, &rl))
		_exit(97);
}

#endif
