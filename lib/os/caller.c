/* SPDX-License-Identifier: MIT */
#include "os/caller.h"

#include <dlfcn.h>
#include <string.h>

#include "base/fmt.h"

const char *caller_name(struct caller_text *buf, const void *ip)
{
	Dl_info info;
	const char *base;

	if (!dladdr(ip, &info) || !info.dli_fname) {
		fmt_print(buf->text, sizeof(buf->text), "%p", ip);
		return buf->text;
	}
	base = strrchr(info.dli_fname, '/');
	base = base ? base + 1 : info.dli_fname;
	if (info.dli_sname)
		fmt_print(buf->text, sizeof(buf->text), "%s(%s+0x%lx)", base, info.dli_sname,
			  (unsigned long)((uintptr_t)ip - (uintptr_t)info.dli_saddr));
	else
		fmt_print(buf->text, sizeof(buf->text), "%s+0x%lx", base,
			  (unsigned long)((uintptr_t)ip - (uintptr_t)info.dli_fbase));
	return buf->text;
}
