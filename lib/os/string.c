/* SPDX-License-Identifier: MIT */
/*
 * What reports and parsers need of <string.h>, for them alone: local to the library, so that
 * ld.so has nothing to look up for them (see os/libc.h). Compilers would make calls to the
 * very functions of such loops, but for the barrier.
 */
#include <string.h>

#include "base/compiler.h"

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (; n >= sizeof(uint64_t); n -= sizeof(uint64_t)) {
		uint64_t v, w;

		__builtin_memcpy(&v, x, sizeof(v));
		__builtin_memcpy(&w, y, sizeof(w));
		if (v != w)
			break;
		x += sizeof(v);
		y += sizeof(w);
	}
	for (; n; n--, x++, y++) {
		if (*x != *y)
			return *x - *y;
		barrier();
	}
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	const unsigned char *p = s;

	for (; n; n--, p++) {
		if (*p == (unsigned char)c)
			return (void *)(uintptr_t)p;
		barrier();
	}
	return NULL;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (*a != *b || !*a)
			return (unsigned char)*a - (unsigned char)*b;
		barrier();
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

/* A word never reaches into another page than its first byte of interest. */
static bool has_zero(uint64_t v)
{
	return (v - 0x0101010101010101) & ~v & 0x8080808080808080;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && ((uintptr_t)(s + n) & 7)) {
		if (!s[n])
			return n;
		n++;
	}
	for (; n < max; n += sizeof(uint64_t)) {
		uint64_t v;

		__builtin_memcpy(&v, __builtin_assume_aligned(s + n, 8), sizeof(v));
		if (has_zero(v))
			break;
	}
	for (; n < max && s[n]; n++)
		barrier();
	return n < max ? n : max;
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++) {
		if (!*s)
			return NULL;
		barrier();
	}
	return (char *)(uintptr_t)s;
}

char *strrchr(const char *s, int c)
{
	const char *last = NULL;

	do {
		if (*s == (char)c)
			last = s;
		barrier();
	} while (*s++);
	return (char *)(uintptr_t)last;
}

size_t strcspn(const char *s, const char *reject)
{
	size_t n = 0;

	while (s[n] && !strchr(reject, s[n]))
		n++;
	return n;
}

char *strstr(const char *s, const char *what)
{
	size_t n = strlen(what);

	for (; strncmp(s, what, n); s++) {
		if (!*s)
			return NULL;
	}
	return (char *)(uintptr_t)s;
}
