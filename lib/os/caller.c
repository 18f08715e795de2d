/* SPDX-License-Identifier: MIT */
#include "os/caller.h"

#include <dlfcn.h>
#include <string.h>

#include "base/fmt.h"
#include "os/libc.h"

void caller_name(char *buf, size_t size, const void *ip)
{
	Dl_info info;
	const char *base;

	if (!LIBC(dladdr)(ip, &info) || !info.dli_fname) {
		fmt_print(buf, size, "%p", ip);
		return;
	}
	base = strrchr(info.dli_fname, '/');
	base = base ? base + 1 : info.dli_fname;
	if (info.dli_sname)
		fmt_print(buf, size, "%s(%s+0x%lx)", base, info.dli_sname,
			  (unsigned long)((uintptr_t)ip - (uintptr_t)info.dli_saddr));
	else
		fmt_print(buf, size, "%s+0x%lx", base,
			  (unsigned long)((uintptr_t)ip - (uintptr_t)info.dli_fbase));
}
