/* SPDX-License-Identifier: MIT */
/* A buffered way to a file descriptor: reports are thousands of short lines. */
#ifndef STELE_OBSERVE_OUT_H
#define STELE_OBSERVE_OUT_H

#include "base/compiler.h"

#define OUT_BYTES	8192u

struct out {
	int fd;
	int error;		/* the first that a write met, negative; 0: none */
	size_t used;
	size_t lines;		/* written so far */
	char buf[OUT_BYTES];
};

void out_open(struct out *o, int fd);
void out_print(struct out *o, const char *fmt, ...) __printf_like(2, 3);
void out_text(struct out *o, const char *s);
/* With %XX for what would break a line of words: blanks, %, control, above 0x7e. */
void out_escaped(struct out *o, const char *s);
void out_hex(struct out *o, const void *bytes, size_t n);
/* A number in hex: snapshots are full of them, and a format takes ten times as long. */
void out_address(struct out *o, uintptr_t addr);
void out_flush(struct out *o);

#endif
