/* SPDX-License-Identifier: MIT */
/* dlclose(): what code was where is noted before its addresses become another's. */
#include <stddef.h>

#include "observe/module.h"
#include "observe/storage.h"
#include "observe/trigger.h"
#include "os/proc.h"
#include "shell/shell.h"

/* Elsewhere there is no way to libc's own: see os/os_symbol.c. */
#ifdef __GLIBC__

int dlclose(void *handle);
__public int dlclose(void *handle)
{
	static int (*next)(void *);
	int (*f)(void *) = READ_ONCE(next);
	struct storage_ids ids;
	int err;

	if (!f) {
		f = (int (*)(void *))os_next_symbol("dlclose");
		WRITE_ONCE(next, f);
	}
	if (!f)
		return -1;
	if (!leak_on)
		return f(handle);
	module_before_unload();
	storage_ids_read(&ids);
	err = f(handle);
	module_after_unload();
	storage_note_closed(&ids);
	return err;
}

#endif
