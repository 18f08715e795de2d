/* SPDX-License-Identifier: MIT */
/* Reports of leaks by the program's own call, and what it says of its blocks: <stele/leak.h>. */
#include <errno.h>

#include "base/compiler.h"
#include "debug/track.h"
#include "observe/excuse.h"
#include "observe/leak.h"
#include "observe/trigger.h"
#include "stele/leak.h"

__public int stele_leak_on(void)
{
	return leak_on && track_on;
}

__public int stele_leak_report(void)
{
	if (!stele_leak_on())
		return -ENOTSUP;
	return leak_by_call(NULL) ? 0 : -EIO;
}

static struct stele_leak_class class_of_kind(const struct leak_counts *c, enum leak_kind kind)
{
	return (struct stele_leak_class){ c->blocks[kind], c->bytes[kind] };
}

__public int stele_leak_get_count(struct stele_leak_count *count)
{
	struct leak_counts c;

	if (!stele_leak_on())
		return -ENOTSUP;
	if (!leak_by_call(&c))
		return -EIO;
	count->direct = class_of_kind(&c, LEAK_DIRECT);
	count->indirect = class_of_kind(&c, LEAK_INDIRECT);
	count->possible = class_of_kind(&c, LEAK_POSSIBLE);
	count->reachable = class_of_kind(&c, LEAK_REACHABLE);
	count->young = class_of_kind(&c, LEAK_YOUNG);
	return 0;
}

__public int stele_leak_not_leak(const void *p)
{
	return stele_leak_on() ? excuse_block(p, true) : -ENOTSUP;
}

__public int stele_leak_ignore(const void *p)
{
	return stele_leak_on() ? excuse_block(p, false) : -ENOTSUP;
}

static int check_range(const void *start, size_t size)
{
	if (!stele_leak_on())
		return -ENOTSUP;
	return size && (uintptr_t)start + size > (uintptr_t)start ? 0 : -EINVAL;
}

__public int stele_leak_add_root(const void *start, size_t size)
{
	int err = check_range(start, size);

	return err ? err : excuse_add_range((uintptr_t)start, size);
}

__public int stele_leak_remove_root(const void *start, size_t size)
{
	int err = check_range(start, size);

	return err ? err : excuse_remove_range((uintptr_t)start, size);
}
