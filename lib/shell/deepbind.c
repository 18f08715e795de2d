/* SPDX-License-Identifier: MIT */
/*
 * RTLD_DEEPBIND: a library that is loaded so has libc's own malloc() and free(), past us.
 * A block of libc's that comes to us is known (os/foreign.h); one of ours that comes to
 * libc is not, and ends the program: so ends PHP, as soon as it has loaded an extension. So
 * the flag is taken away, unless deepbind=keep says otherwise.
 */
#include <dlfcn.h>
#include <stddef.h>

#include "life/fork.h"
#include "life/init.h"
#include "shell/shell.h"
#include "tune/tune.h"

#ifdef __GLIBC__

/* Both for os/dlopen.S. */
int dlopen_mode(int mode);
void *dlopen_next(void);

int dlopen_mode(int mode)
{
	/* Libc's own fork() may be what is looked for. */
	fork_register();
	if (!(mode & RTLD_DEEPBIND))
		return mode;
	/* The first request may be yet to come, and the environment to be read. */
	if (!READ_ONCE(life_ready))
		life_init();
	return READ_ONCE(life_ready) && tune.deepbind == DEEPBIND_DROP ? mode & ~RTLD_DEEPBIND :
									 mode;
}

static void *none(const char *file __unused_arg, int mode __unused_arg)
{
	return NULL;
}

void *dlopen_next(void)
{
	void *next = NEXT(void *, "dlopen");

	return next ? next : (void *)none;
}

#endif
