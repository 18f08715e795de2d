/* SPDX-License-Identifier: MIT */
#include "os/bug.h"

#include "base/fmt.h"
#include "os/os.h"

#define LINE_MAX	512

int report_fd = 2;

static void line(const char *prefix, const char *fmt, va_list ap)
{
	char buf[LINE_MAX];
	size_t n = fmt_print(buf, sizeof(buf) - 1, "%s", prefix);

	n += fmt_vprint(buf + n, sizeof(buf) - 1 - n, fmt, ap);
	buf[n++] = '\n';
	os_write(report_fd, buf, n);
}

__cold_path void bug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("stele: ", fmt, ap);
	va_end(ap);
	os_abort();
}

__cold_path void warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("stele: ", fmt, ap);
	va_end(ap);
}

void report(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("", fmt, ap);
	va_end(ap);
}
