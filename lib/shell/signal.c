/* SPDX-License-Identifier: MIT */
/*
 * The ways to set a signal's action. With leak= some signals have handlers of
 * ours, which the program is not to see or to lose; without it, these are libc's.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>

#include "observe/catch.h"
#include "observe/trigger.h"
#include "os/libc.h"
#include "os/proc.h"
#include "shell/shell.h"

/* Elsewhere there is no way to libc's own: see os/os_symbol.c. */
#ifdef __GLIBC__

typedef void (*handler_t)(int);

__public int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return catch_sigaction(sig, act, old);
}

int __sigaction(int sig, const struct sigaction *act, struct sigaction *old);
__public int __sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return catch_sigaction(sig, act, old);
}

static handler_t set(int sig, handler_t handler, int flags, bool blocks)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = flags }, old;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (blocks)
		LIBC(sigaddset)(&act.sa_mask, sig);
	return catch_sigaction(sig, &act, &old) ? SIG_ERR : old.sa_handler;
}

/* libc's, to do what siginterrupt() has said; and what it answers, as the program sees it. */
static handler_t through_libc(handler_t (*next)(int, handler_t), int sig, handler_t handler)
{
	struct sigaction before;
	handler_t result;

	if (!next || catch_sigaction(sig, NULL, &before)) {
		errno = EINVAL;
		return SIG_ERR;
	}
	result = next(sig, handler);
	return catch_is_ours((void *)result) ? before.sa_handler : result;
}

__public handler_t signal(int sig, handler_t handler)
{
	if (leak_on && (handler == SIG_DFL || catch_holds(sig)))
		return set(sig, handler, catch_restart_flag(sig), true);
	return through_libc(NEXT(handler_t (*)(int, handler_t), "signal"), sig, handler);
}

handler_t bsd_signal(int sig, handler_t handler);
__public handler_t bsd_signal(int sig, handler_t handler)
{
	return signal(sig, handler);
}

handler_t ssignal(int sig, handler_t handler);
__public handler_t ssignal(int sig, handler_t handler)
{
	return signal(sig, handler);
}

handler_t __sysv_signal(int sig, handler_t handler);
__public handler_t __sysv_signal(int sig, handler_t handler)
{
	return set(sig, handler, (int)(SA_RESETHAND | SA_NODEFER) | SA_INTERRUPT, false);
}

handler_t sysv_signal(int sig, handler_t handler);
__public handler_t sysv_signal(int sig, handler_t handler)
{
	return __sysv_signal(sig, handler);
}

/* libc's changes what the kernel has, and what its own signal() will set. */
int siginterrupt(int sig, int interrupt);
__public int siginterrupt(int sig, int interrupt)
{
	int (*next)(int, int) = NEXT(int (*)(int, int), "siginterrupt");
	int err = next ? next(sig, interrupt) : -1;

	if (!err)
		catch_interrupt(sig, interrupt);
	return err;
}

handler_t sigset(int sig, handler_t handler);
__public handler_t sigset(int sig, handler_t handler)
{
	handler_t result = through_libc(NEXT(handler_t (*)(int, handler_t), "sigset"), sig,
					handler);

	/* The default action was set behind our back. */
	if (handler == SIG_DFL && result != SIG_ERR)
		catch_default(sig);
	return result;
}

#endif
