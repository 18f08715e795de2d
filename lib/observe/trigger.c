/* SPDX-License-Identifier: MIT */
/*
 * When a report is made.
 *
 *	at the end	exit, _exit, quick_exit, abort, a fatal signal, exec: whichever
 *			comes first, once per process
 *	on demand	a signal, the control file, the API, every so many seconds: see
 *			helper.c
 *
 * exit: our handler is registered by our constructor, before libc registers the
 * dynamic linker's, which calls all destructors; handlers run last to first. It
 * has no module's handle, so that it stays when our own destructors run.
 *
 * A child of vfork() runs on its parent's memory: whoever is not the process that
 * this memory belongs to makes no report.
 */
#include "observe/trigger.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fmt.h"
#include "debug/track.h"
#include "observe/catch.h"
#include "observe/helper.h"
#include "observe/leak.h"
#include "observe/names.h"
#include "os/libc.h"
#include "os/proc.h"
#include "tune/tune.h"

#define SCRUB_BYTES	2048
#define TAKEN_MS	20u	/* from the taking of a handler to its begin */
#define REPORT_MS	10000u

bool leak_on;

static int home;		/* the process that this memory belongs to */
static bool at_the_end;		/* a report is to be made */
static uint32_t ended;		/* the report at the end was begun */

bool leak_is_home(void)
{
	return leak_on && os_pid() == home;
}

/*
 * Nobody dies before a report that another thread is making is there, or half of it
 * would be. After exec none is left: it is not the end if it fails.
 */
static bool may_end(void)
{
	if (!leak_is_home())
		return false;
	if (!at_the_end || __atomic_exchange_n(&ended, 1, __ATOMIC_ACQ_REL)) {
		leak_wait();
		return false;
	}
	return true;
}

/*
 * Below the caller's frame lies what its earlier calls have left. Our own frames
 * will lie there, and are scanned with the rest of the stack, for they hold the
 * program's registers: so nothing else may show through them.
 */
static __noinline void scrub(void)
{
	char dead[SCRUB_BYTES];

	memset(dead, 0, sizeof(dead));
	__asm__ __volatile__("" : : "r"(dead) : "memory");
}

static __noinline void end(const char *reason, const char *detail)
{
	struct reporter r = { 0 };

	if (may_end())
		leak_report(reason, detail, &r, true, NULL);
}

void leak_at_end(const char *reason, const char *detail)
{
	scrub();
	end(reason, detail);
	if (leak_is_home() && strcmp(reason, "exec"))
		leak_hold();
}

/* The lock is left to fork(), which takes it; of the child nothing has been told. */
void leak_at_daemon(void)
{
	scrub();
	end("_exit", "daemon");
}

void leak_not_ended(void)
{
	if (leak_is_home())
		WRITE_ONCE(ended, 0);
}

void leak_at_signal(int sig, const void *context)
{
	struct reporter r = { .context = context };

	os_context_regs(context, &r.regs, &r.regs_bytes, &r.sp);
	if (may_end())
		leak_report("signal", catch_name(sig), &r, true, NULL);
	if (leak_is_home())
		leak_hold();
}

static bool in_path(const char *name)
{
	const char *path = NULL;
	char full[LEAK_PATH_MAX];
	bool format;

	for (char **e = environ; e && *e && !path; e++) {
		if (!__builtin_strncmp(*e, "PATH=", 5))
			path = *e + 5;
	}
	for (path = path ? path : "/bin:/usr/bin"; ; path++) {
		size_t n = 0;

		for (; *path && *path != ':' && n < sizeof(full) - 2; path++)
			full[n++] = *path;
		if (n)
			full[n++] = '/';
		for (const char *c = name; *c && n < sizeof(full) - 1; c++)
			full[n++] = *c;
		full[n] = '\0';
		if (os_executable(full, &format))
			return true;
		while (*path && *path != ':')
			path++;
		if (!*path)
			return false;
	}
}

void leak_at_exec(const char *path, bool search)
{
	bool format, slash = false;

	if (!leak_is_home() || !at_the_end || !path)
		return;
	for (const char *c = path; *c; c++)
		slash |= *c == '/';
	if (search && !slash ? in_path(path) : os_executable(path, &format) && (format || search))
		leak_at_end("exec", path);
}

void leak_at_exec_fd(int fd, const char *path, bool empty_path)
{
	char full[LEAK_PATH_MAX];

	if (!leak_is_home() || !path)
		return;
	if (path[0] == '/' || (fd == OS_CWD && path[0]))
		fmt_print(full, sizeof(full), "%s", path);
	else if (path[0] && !empty_path)
		fmt_print(full, sizeof(full), "/proc/self/fd/%d/%s", fd, path);
	else
		fmt_print(full, sizeof(full), "/proc/self/fd/%d", fd);
	leak_at_exec(full, false);
}

static __noinline bool call(struct leak_counts *counts)
{
	struct reporter r = { 0 };

	return leak_is_home() && leak_report("api", "", &r, !counts, counts);
}

bool leak_by_call(struct leak_counts *counts)
{
	scrub();
	return call(counts);
}

bool leak_on_request(const char *reason, const char *detail)
{
	return leak_is_home() && leak_report(reason, detail, NULL, true, NULL);
}

#if defined(__x86_64__)

#define EXIT_BYTES	128u	/* of exit(), at least as long as it is */
#define SEARCH_WORDS	48u
#define SAVED_WORDS	6u	/* registers that a function has to keep */

/*
 * Between us and the caller of exit() are two frames of libc. Of what lies in them
 * only saved registers are the program's, next to the return address into exit();
 * the rest is filled by libc, or not at all and shows what main has left there.
 */
static void skip_frames(uintptr_t frame, struct reporter *r)
{
	uintptr_t body = (uintptr_t)os_next_symbol("exit");
	const uintptr_t *w = (const uintptr_t *)frame;
	size_t i = 0;

	while (i < SEARCH_WORDS && w[i] - body - 1 >= EXIT_BYTES)
		i++;
	if (!body || i == SEARCH_WORDS || i < SAVED_WORDS)
		return;
	r->dead[0] = (struct os_range){ frame, (uintptr_t)&w[i - SAVED_WORDS] };
	/* What aligns the stack in exit() itself. */
	r->dead[1] = (struct os_range){ (uintptr_t)&w[i + 1], (uintptr_t)&w[i + 2] };
}

#else

static void skip_frames(uintptr_t frame __unused_arg, struct reporter *r __unused_arg)
{
}

#endif

static __noinline void finish(int status, uintptr_t frame)
{
	struct leak_counts counts = { 0 };
	struct reporter r = { 0 };

	skip_frames(frame, &r);
	if (may_end())
		leak_report("exit", "", &r, true, &counts);
	if (leak_is_home())
		leak_hold();
	/* The process is ending already: this changes its status, and goes on with it. */
	if (!track_sampling && !status && tune.leak_exit_code && leak_any(&counts))
		LIBC(exit)((int)tune.leak_exit_code);
}

#ifdef __GLIBC__
/*
 * glibc before 2.41 lets a second thread into exit(), where it finds the handler gone
 * that the first has taken, and ends the process in the middle of the report. So one
 * more lies behind that: who finds it while another thread reports leaves a next, and
 * waits. @waited: who has left it; that one has done its waiting.
 */
static void at_exit_beside(int status __unused_arg, void *waited)
{
	intptr_t me = os_tid();

	if (!leak_is_home() || !at_the_end || leak_is_mine() || (intptr_t)waited == me)
		return;
	LIBC(on_exit)(at_exit_beside, (void *)me);
	/* The other may have come as far as to take the handler, but not into it. */
	for (unsigned ms = 0; ms < (READ_ONCE(ended) ? REPORT_MS : TAKEN_MS); ms++)
		os_sleep_ms(1);
}

static void at_exit(int status, void *arg __unused_arg)
{
	scrub();
	finish(status, (uintptr_t)__builtin_frame_address(0) + 2 * sizeof(void *));
}
#else
/* Without the status nobody can tell a failure from what leak_exit_code= may replace. */
static void at_exit(void)
{
	scrub();
	finish(EXIT_FAILURE, (uintptr_t)__builtin_frame_address(0) + 2 * sizeof(void *));
}
#endif

#ifdef __GLIBC__
/* What the at_quick_exit() of libc_nonshared.a is. */
int __cxa_at_quick_exit(void (*f)(void *), void *dso);
static void at_quick(void *arg __unused_arg)
#else
static void at_quick(void)
#endif
{
	leak_at_end("exit", "quick_exit");
}

void leak_start(void)
{
	leak_on = true;
	leak_began_ns = os_clock_ns();
	at_the_end = track_sampling || tune.leak == LEAK_EXIT;
	home = os_pid();
	leak_names_read();
#ifdef __GLIBC__
	LIBC(on_exit)(at_exit_beside, NULL);
	LIBC(on_exit)(at_exit, NULL);
	LIBC(__cxa_at_quick_exit)(at_quick, NULL);
#else
	atexit(at_exit);
	at_quick_exit(at_quick);
#endif
	catch_start(at_the_end);
	helper_start();
}

void leak_fork_prepare(void)
{
	if (leak_on)
		lock_acquire_for_fork(&observe_lock);
}

void leak_fork_done(bool child)
{
	if (!leak_on)
		return;
	lock_after_fork(&observe_lock, child);
	if (!child)
		return;
	home = os_pid();
	leak_names.forked = true;
	WRITE_ONCE(ended, 0);
	leak_forked();
	helper_start();
}
