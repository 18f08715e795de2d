/* SPDX-License-Identifier: MIT */
/*
 * One line per area, by address: what it spans (guards included), in bytes too,
 * who asked for it, and what it is. A copy of each area is taken under the lock
 * and printed without: areas that come meanwhile may or may not be listed.
 */
#include "observe/vminfo.h"

#include "base/fmt.h"
#include "os/os.h"
#include "page/vmap.h"

#define LINE_MAX	320

static size_t describe(char *buf, size_t size, const struct vmap_area *a)
{
	static const char *const huge[] = { "", " transparent-huge", " hugetlb" };
	unsigned long pages = (a->addr + a->size - a->base + os_page_size() - 1) / os_page_size();

	if (a->freed)
		return fmt_print(buf, size, "unpurged");
	if (a->kind == VMAP_ALLOC)
		return fmt_print(buf, size, "pages=%lu vmalloc%s", pages, a->low ? " dma32" : "");
	if (a->kind == VMAP_PINNED)
		return fmt_print(buf, size, "pages=%lu pinned%s phys=0x%lx", pages, huge[a->huge],
				 (unsigned long)os_phys((void *)a->addr));
	return fmt_print(buf, size, "pages=%lu region dev=%lx:%lx inode=%lu offset=0x%lx %s", pages,
			 (unsigned long)a->file.dev >> 8, (unsigned long)a->file.dev & 255,
			 (unsigned long)a->file.inode, (unsigned long)a->offset,
			 a->file.writable ? "rw" : "ro");
}

void vminfo_print(int fd)
{
	struct vmap_area a;
	uintptr_t from = 0;

	while (vmap_next(from, &a)) {
		char line[LINE_MAX];
		size_t n = fmt_print(line, sizeof(line) - 1, "0x%016lx-0x%016lx %8lu %pS ",
				     (unsigned long)a.node.key, (unsigned long)a.node.key + a.len,
				     (unsigned long)a.len, a.caller);

		n += describe(line + n, sizeof(line) - 1 - n, &a);
		line[n++] = '\n';
		os_write(fd, line, n);
		from = a.node.key + a.len;
	}
}
