/* SPDX-License-Identifier: MIT */
/*
 * What makes a child that goes on in the program, and what registers handlers for that:
 * libc's, once our own handlers are registered. See life/fork.c.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/types.h>

#include "life/fork.h"
#include "os/os.h"
#include "shell/shell.h"

/* Elsewhere there is no way to libc's own: see os/os_symbol.c. */
#ifdef __GLIBC__

struct termios;
struct winsize;

/* As NEXT(), but libc's for who loads us behind it. */
#define PAST(type, name) \
	__extension__({ \
		static void *next_; \
		if (!READ_ONCE(next_)) \
			WRITE_ONCE(next_, os_next_or_libc(name)); \
		(type)READ_ONCE(next_); \
	})

/* libc's headers say more of them, not the same in each release. */
pid_t fork_public(void) __asm__("fork");
pid_t __fork(void);
int forkpty(int *fd, char *name, const struct termios *termios, const struct winsize *size);
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *dso);

static __cold_path int missing(void)
{
	errno = ENOSYS;
	return -1;
}

__public pid_t fork_public(void)
{
	pid_t (*next)(void) = PAST(pid_t (*)(void), "fork");

	fork_register();
	return next ? next() : missing();
}

__public pid_t __fork(void)
{
	return fork_public();
}

__public int forkpty(int *fd, char *name, const struct termios *termios,
		     const struct winsize *size)
{
	__typeof__(&forkpty) next = PAST(__typeof__(&forkpty), "forkpty");

	fork_register();
	return next ? next(fd, name, termios, size) : missing();
}

__public int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
			       void *dso)
{
	__typeof__(&__register_atfork) next =
		PAST(__typeof__(&__register_atfork), "__register_atfork");

	fork_register();
	return next ? next(prepare, parent, child, dso) : ENOSYS;
}

#endif
