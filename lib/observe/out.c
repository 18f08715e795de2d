/* SPDX-License-Identifier: MIT */
#include "observe/out.h"

#include "base/fmt.h"
#include "os/proc.h"

void out_open(struct out *o, int fd)
{
	o->fd = fd;
	o->used = o->lines = 0;
	o->error = 0;
}

void out_flush(struct out *o)
{
	if (!o->error)
		o->error = os_write_all(o->fd, o->buf, o->used);
	o->used = 0;
}

static void put(struct out *o, char c)
{
	if (o->used == OUT_BYTES)
		out_flush(o);
	o->buf[o->used++] = c;
	o->lines += c == '\n';
}

void out_text(struct out *o, const char *s)
{
	while (*s)
		put(o, *s++);
}

void out_print(struct out *o, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	fmt_vprint(line, sizeof(line), fmt, ap);
	va_end(ap);
	out_text(o, line);
}

void out_address(struct out *o, uintptr_t addr)
{
	char digits[2 * sizeof(addr)];
	size_t n = 0;

	do {
		digits[n++] = "0123456789abcdef"[addr & 15];
		addr >>= 4;
	} while (addr);
	while (n)
		put(o, digits[--n]);
}

static void put_hex(struct out *o, unsigned char byte, const char *digits)
{
	put(o, digits[byte >> 4]);
	put(o, digits[byte & 15]);
}

void out_escaped(struct out *o, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c > 0x20 && c != '%' && c <= 0x7e) {
			put(o, *s);
			continue;
		}
		put(o, '%');
		put_hex(o, c, "0123456789ABCDEF");
	}
}

void out_hex(struct out *o, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_hex(o, ((const unsigned char *)bytes)[i], "0123456789abcdef");
}
