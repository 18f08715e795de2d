/* SPDX-License-Identifier: MIT */
/* In a file of its own, so that a test can have another. */
#include "util.h"

#include <stdarg.h>
#include <stdlib.h>

void complain(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) >= 0) {
		fprintf(stderr, "stele: %s\n", text);
		free(text);
	}
	va_end(args);
}
