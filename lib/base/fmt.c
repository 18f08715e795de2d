/* SPDX-License-Identifier: MIT */
#include "base/fmt.h"

void (*fmt_symbol)(char *buf, size_t size, const void *ip) __initdata;

struct out {
	char *p, *end;
};

struct spec {
	int width;
	bool left, zero, wide;
};

static void put(struct out *o, char c)
{
	if (o->p < o->end)
		*o->p++ = c;
}

static void put_padded(struct out *o, const char *s, size_t n, const struct spec *sp)
{
	size_t pad = sp->width > 0 && (size_t)sp->width > n ? (size_t)sp->width - n : 0;

	if (!sp->left) {
		while (pad) {
			put(o, sp->zero ? '0' : ' ');
			pad--;
		}
	}
	for (size_t i = 0; i < n; i++)
		put(o, s[i]);
	while (pad--)
		put(o, ' ');
}

static void put_number(struct out *o, unsigned long v, unsigned base, bool neg,
		       const char *prefix, const struct spec *sp)
{
	char tmp[32], *p = tmp + sizeof(tmp);

	do {
		*--p = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	for (size_t i = 0; prefix[i]; i++)
		*--p = prefix[1 - i];
	if (neg && sp->zero) {
		/* The sign stands before the zeros. */
		struct spec rest = *sp;

		put(o, '-');
		rest.width--;
		put_padded(o, p, (size_t)(tmp + sizeof(tmp) - p), &rest);
		return;
	}
	if (neg)
		*--p = '-';
	put_padded(o, p, (size_t)(tmp + sizeof(tmp) - p), sp);
}

static size_t length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

static const char *parse_spec(const char *f, struct spec *sp)
{
	*sp = (struct spec){ 0 };
	for (;; f++) {
		if (*f == '-')
			sp->left = true;
		else if (*f == '0')
			sp->zero = true;
		else
			break;
	}
	while (*f >= '0' && *f <= '9')
		sp->width = sp->width * 10 + (*f++ - '0');
	while (*f == 'l' || *f == 'z') {
		sp->wide = true;
		f++;
	}
	return f;
}

static void put_symbol(struct out *o, const void *ip, const struct spec *sp)
{
	char name[128];

	fmt_symbol(name, sizeof(name), ip);
	put_padded(o, name, length(name), sp);
}

size_t fmt_vprint(char *buf, size_t size, const char *f, va_list ap)
{
	struct out o = { buf, buf + size - 1 };
	struct spec sp;

	for (; *f; f++) {
		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		f = parse_spec(f + 1, &sp);
		switch (*f) {
		case 's': {
			const char *s = va_arg(ap, const char *);

			put_padded(&o, s, length(s), &sp);
			break;
		}
		case 'c':
			put(&o, (char)va_arg(ap, int));
			break;
		case 'd': {
			long v = sp.wide ? va_arg(ap, long) : va_arg(ap, int);

			put_number(&o, v < 0 ? 0ul - (unsigned long)v : (unsigned long)v,
				   10, v < 0, "", &sp);
			break;
		}
		case 'u':
		case 'x': {
			unsigned long v = sp.wide ? va_arg(ap, unsigned long) :
						    va_arg(ap, unsigned);

			put_number(&o, v, *f == 'u' ? 10 : 16, false, "", &sp);
			break;
		}
		case 'p': {
			const void *ptr = va_arg(ap, const void *);

			if (f[1] == 'S')
				f++;
			if (*f == 'S' && fmt_symbol)
				put_symbol(&o, ptr, &sp);
			else
				put_number(&o, (unsigned long)ptr, 16, false, "0x", &sp);
			break;
		}
		case '%':
			put(&o, '%');
			break;
		default:
			/* An unknown letter is a bug in the caller: show it. */
			put(&o, '%');
			if (*f)
				put(&o, *f);
			else
				f--;
		}
	}
	*o.p = '\0';
	return (size_t)(o.p - buf);
}

size_t fmt_print(char *buf, size_t size, const char *f, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, f);
	n = fmt_vprint(buf, size, f, ap);
	va_end(ap);
	return n;
}
