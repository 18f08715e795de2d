/* SPDX-License-Identifier: MIT */
/* mallopt, malloc_trim. */
#include <errno.h>

#include "life/init.h"
#include "page/reclaim.h"
#include "shell/shell.h"
#include "slab/kmalloc.h"
#include "slab/percpu.h"
#include "tune/tune.h"

__public int mallopt(int param, int value)
{
	/* The environment comes first, or it would overrule the program. */
	if (!READ_ONCE(life_ready))
		life_init();
	int ok = tune_mallopt(param, value);

	percpu_update_hit();
	if (tune.trim_threshold == SIZE_MAX && !tune.mmap_max)
		percpu_open_all();
	return ok;
}

__public int malloc_trim(size_t pad)
{
	int saved = errno;
	bool given;

	if (!READ_ONCE(life_ready))
		return 0;
	kmalloc_drain();
	given = reclaim_all(pad);
	given |= kmalloc_purge() != 0;
	errno = saved;
	return given;
}
