/* SPDX-License-Identifier: MIT */
/*
 * The ways out of a process: a report of leaks comes before. Without leak= each
 * is what libc's is. All may be called in signal handlers and in children of
 * vfork, so nothing here allocates, locks or writes where a parent reads.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "life/fork.h"
#include "observe/catch.h"
#include "observe/trigger.h"
#include "os/proc.h"
#include "shell/shell.h"

/* Elsewhere there is no way to libc's own: see os/os_symbol.c. */
#ifdef __GLIBC__

static int missing(void)
{
	errno = ENOSYS;
	return -1;
}

_Noreturn __public __near void _exit(int status)
{
	if (leak_on)
		leak_at_end("_exit", "");
	os_exit_group(status);
}

_Noreturn __public __near void _Exit(int status)
{
	if (leak_on)
		leak_at_end("_exit", "");
	os_exit_group(status);
}

/*
 * libc's raises the signal, and if a handler returns, raises it again with the
 * default action. That second one would pass us by: so the first is raised here.
 */
_Noreturn void abort(void);
_Noreturn __public void abort(void)
{
	void (*next)(void) = NEXT(void (*)(void), "abort");

	if (leak_on) {
		os_unblock_signal(SIGABRT);
		os_signal_self(SIGABRT);
		leak_at_end("abort", "");
		catch_default(SIGABRT);
	}
	if (next)
		next();
	os_exit_group(127);
}

__public int execve(const char *path, char *const argv[], char *const envp[])
{
	int (*next)(const char *, char *const[], char *const[]) =
		NEXT(int (*)(const char *, char *const[], char *const[]), "execve");

	if (leak_on)
		leak_at_exec(path, false);
	return next ? next(path, argv, envp) : missing();
}

__public int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

__public int execvpe(const char *file, char *const argv[], char *const envp[])
{
	int (*next)(const char *, char *const[], char *const[]) =
		NEXT(int (*)(const char *, char *const[], char *const[]), "execvpe");

	if (leak_on)
		leak_at_exec(file, true);
	return next ? next(file, argv, envp) : missing();
}

__public int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

__public int fexecve(int fd, char *const argv[], char *const envp[])
{
	int (*next)(int, char *const[], char *const[]) =
		NEXT(int (*)(int, char *const[], char *const[]), "fexecve");

	if (leak_on)
		leak_at_exec_fd(fd, "", true);
	return next ? next(fd, argv, envp) : missing();
}

/* Not every libc has it. */
int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags);
__public int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
	int (*next)(int, const char *, char *const[], char *const[], int) =
		NEXT(int (*)(int, const char *, char *const[], char *const[], int), "execveat");

	if (leak_on)
		leak_at_exec_fd(fd, path, false);
	return next ? next(fd, path, argv, envp, flags) : missing();
}

/* The parent's _exit() is libc's own, which does not come by here. */
__public int daemon(int nochdir, int noclose)
{
	int (*next)(int, int) = NEXT(int (*)(int, int), "daemon");
	int err;

	fork_register();
	if (leak_on)
		leak_at_daemon();
	err = next ? next(nochdir, noclose) : missing();
	if (err && leak_on)
		leak_not_ended();
	return err;
}

static size_t count(const char *first, va_list ap)
{
	size_t n = 1;

	for (const char *a = first; a; a = va_arg(ap, const char *))
		n++;
	return n;
}

/* The arguments up to NULL, as an array in the caller's frame. */
#define COLLECT(argv, first, ap) \
	va_list count_; \
	va_start(count_, first); \
	size_t n_ = count(first, count_); \
	va_end(count_); \
	char *argv[n_ + 1]; \
	va_start(ap, first); \
	argv[0] = (char *)(uintptr_t)(first); \
	for (size_t i_ = 1; i_ < n_; i_++) \
		argv[i_] = va_arg(ap, char *); \
	argv[n_] = NULL

__public int execl(const char *path, const char *arg, ...)
{
	va_list ap;
	COLLECT(argv, arg, ap);

	va_end(ap);
	return execve(path, argv, environ);
}

__public int execlp(const char *file, const char *arg, ...)
{
	va_list ap;
	COLLECT(argv, arg, ap);

	va_end(ap);
	return execvpe(file, argv, environ);
}

__public int execle(const char *path, const char *arg, ...)
{
	va_list ap;
	COLLECT(argv, arg, ap);
	char **envp = va_arg(ap, char **);

	va_end(ap);
	return execve(path, argv, envp);
}

#endif
