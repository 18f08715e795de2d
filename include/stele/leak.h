/* SPDX-License-Identifier: MIT */
/*
 * Reports of leaks, asked for by the program itself.
 *
 * Blocks are tracked when STELE_CONF has leak=exit or leak=on, see stele.conf(5).
 * A report stops the other threads for a moment and looks for blocks that
 * nothing points to any more, as the Linux kernel's kmemleak does. These functions
 * may be called by any thread that holds no lock which a signal handler could
 * want; not in signal handlers.
 */
#ifndef STELE_LEAK_H
#define STELE_LEAK_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct stele_leak_class {
	size_t blocks, bytes;
};

/* What was found, without the leaks that leak_suppress= names. */
struct stele_leak_count {
	struct stele_leak_class direct;		/* nothing leads to them */
	struct stele_leak_class indirect;	/* only lost blocks lead to them */
	struct stele_leak_class possible;	/* only pointers into their middle do */
	struct stele_leak_class reachable;
	struct stele_leak_class young;		/* not old enough to tell, see leak_young= */
};

/* Are blocks tracked in this process? */
int stele_leak_on(void);

/*
 * Write a report, to where reports go: a snapshot for leak_output=, else text on
 * standard error, if there is anything to be shown. 0; -ENOTSUP: blocks are not
 * tracked; -EIO: nothing could be found out, and a line says why.
 */
int stele_leak_report(void);

/* Count only. Returns as stele_leak_report(). */
int stele_leak_get_count(struct stele_leak_count *count);

/*
 * The block that begins at p is no leak: it counts as reachable, and what it points to
 * as well. This holds until it is freed or resized. 0; -ENOTSUP: blocks are not tracked;
 * -EINVAL: p is not the begin of a block; -ENOMEM.
 */
int stele_leak_not_leak(const void *p);

/*
 * The same, but the block is not looked into: what only it points to is a leak. For data that
 * looks like pointers.
 */
int stele_leak_ignore(const void *p);

/*
 * Pointers in [start, start + size) count as the program's. For memory that no report
 * looks into otherwise: a block that nothing points to, memory of a device. Returns as
 * above; stele_leak_remove_root() needs the same two values, or returns -ENOENT.
 */
int stele_leak_add_root(const void *start, size_t size);
int stele_leak_remove_root(const void *start, size_t size);

#ifdef __cplusplus
}
#endif

#endif
