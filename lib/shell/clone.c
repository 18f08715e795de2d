/* SPDX-License-Identifier: MIT */
/*
 * clone(): a child on the program's memory that libc knows nothing of.
 *
 * The kernel registers it for no restartable sequences, but the thread-local storage that it
 * was given, its parent's or a bare one, says otherwise. So there are none while it lives, as
 * with vfork(); and of a child that does not stop its parent nobody learns when it ends.
 * libc's own threads and posix_spawn() do not come by here.
 */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>

#include "os/thread.h"
#include "shell/shell.h"
#include "slab/percpu.h"

/* Elsewhere there is no way to libc's own: see os/os_symbol.c. */
#ifdef __GLIBC__

typedef int start_fn(void *arg);

__public int clone(start_fn *fn, void *stack, int flags, void *arg, ...)
{
	int (*next)(start_fn *, void *, int, void *, ...) = NEXT(__typeof__(&clone), "clone");
	void *ptid, *tls, *ctid;
	va_list ap;
	int ret;

	/* Passed on also where they were not given, as libc takes them. */
	va_start(ap, arg);
	ptid = va_arg(ap, void *);
	tls = va_arg(ap, void *);
	ctid = va_arg(ap, void *);
	va_end(ap);
	if (!next) {
		errno = ENOSYS;
		return -1;
	}
	if (!(flags & CLONE_VM))
		return next(fn, stack, flags, arg, ptid, tls, ctid);
	vfork_begin();
	if (!(flags & CLONE_VFORK)) {
		/* libc's word that there is one thread is not true any more. */
		WRITE_ONCE(os_thread_any, true);
		slot_note_threads(true);
	}
	ret = next(fn, stack, flags, arg, ptid, tls, ctid);
	if (ret < 0 || flags & CLONE_VFORK)
		return vfork_end(ret < 0 ? -errno : ret);
	return ret;
}

#endif
