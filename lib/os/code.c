/* SPDX-License-Identifier: MIT */
#include "os/code.h"

#include <dlfcn.h>
#include <link.h>

/* Not in the headers before glibc 2.35, and not in its library either. */
#ifndef DLFO_STRUCT_HAS_EH_DBASE
struct dl_find_object {
	unsigned long long dlfo_flags;
	void *dlfo_map_start, *dlfo_map_end;
	struct link_map *dlfo_link_map;
	void *dlfo_eh_frame;
	unsigned long long reserved[7];
};
int _dl_find_object(void *pc, struct dl_find_object *result);
#endif

/* Lock-free by contract; no dl_iterate_phdr, whose lock a callback may hold. */
extern __typeof__(_dl_find_object) _dl_find_object __weak_ref;

bool os_code_known(void)
{
	return &_dl_find_object;
}

bool os_code_at(uintptr_t pc, struct os_code *code)
{
	struct dl_find_object o;

	if (!os_code_known() || _dl_find_object((void *)pc, &o))
		return false;
	code->start = (uintptr_t)o.dlfo_map_start;
	code->end = (uintptr_t)o.dlfo_map_end;
	code->eh_frame_hdr = o.dlfo_eh_frame;
	code->path = o.dlfo_link_map ? o.dlfo_link_map->l_name : "";
	code->bias = o.dlfo_link_map ? o.dlfo_link_map->l_addr : 0;
	return true;
}
