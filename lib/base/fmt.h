/* SPDX-License-Identifier: MIT */
/*
 * A printf into a fixed buffer that allocates nothing and calls nothing.
 *
 * Knows %s %c %d %u %x %p %% with the length l / z, a minimum width, a leading
 * '-' (left) or '0'; and %pS, a code address by its name, as the kernel has it. Always terminates; returns the length written (without
 * the NUL), never more than size - 1.
 */
#ifndef STELE_BASE_FMT_H
#define STELE_BASE_FMT_H

#include <stdarg.h>

#include "base/compiler.h"

/* Writes the name of a code address for %pS; NULL, as at first: the number will do. */
extern void (*fmt_symbol)(char *buf, size_t size, const void *ip);

size_t fmt_vprint(char *buf, size_t size, const char *fmt, va_list ap);
size_t fmt_print(char *buf, size_t size, const char *fmt, ...) __printf_like(3, 4);

#endif
