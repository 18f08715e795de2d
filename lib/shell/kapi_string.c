/* SPDX-License-Identifier: MIT */
/* Copies of memory and strings, and strings made by formats. */
#include "os/libc.h"
#include "shell/kapi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "stele/slab.h"

static void *dup_bytes(const void *src, size_t len, size_t room, stele_gfp_t gfp,
		       const char *call, const void *caller)
{
	void *p;

	if (!src)
		return NULL;
	p = kapi_alloc(room, gfp, call, caller);
	if (!p)
		return NULL;
	if (room > len)
		((char *)p)[len] = '\0';
	return len ? memcpy(p, src, len) : p;
}

__public void *stele_kmemdup(const void *src, size_t len, stele_gfp_t gfp)
{
	return dup_bytes(src, len, len, gfp, "kmemdup", CALLER);
}

__public void *stele_kvmemdup(const void *src, size_t len, stele_gfp_t gfp)
{
	return dup_bytes(src, len, len, gfp, "kvmemdup", CALLER);
}

__public char *stele_kmemdup_nul(const char *s, size_t len, stele_gfp_t gfp)
{
	return dup_bytes(s, len, len + 1, gfp, "kmemdup_nul", CALLER);
}

__public char *stele_kstrdup(const char *s, stele_gfp_t gfp)
{
	size_t len = s ? strlen(s) : 0;

	return dup_bytes(s, len, len + 1, gfp, "kstrdup", CALLER);
}

__public char *stele_kstrndup(const char *s, size_t max, stele_gfp_t gfp)
{
	size_t len = s ? strnlen(s, max) : 0;

	return dup_bytes(s, len, len + 1, gfp, "kstrndup", CALLER);
}

/* The length is asked first: the format may name memory that changes meanwhile. */
static char *print(stele_gfp_t gfp, const char *fmt, va_list ap, const void *caller)
{
	va_list again;
	int len, len2;
	char *p;

	va_copy(again, ap);
	len = LIBC(vsnprintf)(NULL, 0, fmt, again);
	va_end(again);
	if (len < 0)
		return NULL;	/* errno is vsnprintf's */
	p = kapi_alloc((size_t)len + 1, gfp, "kasprintf", caller);
	if (!p)
		return NULL;
	len2 = LIBC(vsnprintf)(p, (size_t)len + 1, fmt, ap);
	/* What was cut short is terminated; what became shorter too. */
	return len2 < 0 ? (p[0] = '\0', p) : p;
}

__public char *stele_kvasprintf(stele_gfp_t gfp, const char *fmt, va_list ap)
{
	return print(gfp, fmt, ap, CALLER);
}

__public char *stele_kasprintf(stele_gfp_t gfp, const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	p = print(gfp, fmt, ap, CALLER);
	va_end(ap);
	return p;
}
