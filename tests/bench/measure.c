/* SPDX-License-Identifier: MIT */
/*
 * measure [-t SECONDS] [-n TIMES] [-l PRELOAD] [-r FILE] PROG [ARG...]
 *
 * runs PROG, with LD_PRELOAD set for it alone, and writes the line described in bench.h, as
 * wait4 tells it for PROG and the children it waited for. It is a program and not part of
 * the driver because ru_maxrss survives execve: under a big parent every small program
 * would seem as big as the parent.
 *
 * PROG runs in a process group of its own, which is killed when the time runs out or when
 * measure is told to end. The exit status is PROG's, 128 + a signal, or 124 after a timeout.
 */
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static volatile pid_t child;
static volatile sig_atomic_t stopped;	/* the signal that made us end PROG, or 0 */

static void on_signal(int sig)
{
	stopped = sig;
	if (child > 0)
		kill(-child, SIGKILL);
}

static void start(char **argv)
{
	posix_spawnattr_t attr;
	pid_t pid;
	int err;

	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setpgroup(&attr, 0);
	err = posix_spawnp(&pid, argv[0], NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	if (err)
		bench_die(strerror(err));
	child = pid;
	if (stopped)
		kill(-pid, SIGKILL);
}

static int run_once(char **argv, struct rusage *ru)
{
	int status;

	start(argv);
	while (wait4(child, &status, 0, ru) < 0)
		if (errno != EINTR)
			bench_die("wait4 failed");
	if (stopped)
		return stopped == SIGALRM ? 124 : 128 + stopped;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	const char *preload = NULL;
	double cpu = 0, begin;
	long rss = 0, faults = 0, times = 1, i;
	unsigned int timeout = 0;
	int c, rc = 0;

	while ((c = getopt(argc, argv, "+t:n:l:r:")) != -1) {
		if (c == 't')
			timeout = (unsigned int)atoi(optarg);
		else if (c == 'n')
			times = atol(optarg);
		else if (c == 'l')
			preload = optarg;
		else if (c != 'r' || setenv("BENCH_REPORT", optarg, 1))
			return 2;
	}
	if (optind >= argc)
		bench_die("measure needs a program");
	if (preload && *preload)
		setenv("LD_PRELOAD", preload, 1);
	signal(SIGALRM, on_signal);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	alarm(timeout);

	begin = bench_now();
	for (i = 0; i < times && !rc; i++) {
		struct rusage ru;

		rc = run_once(argv + optind, &ru);
		cpu += bench_cpu(&ru);
		rss = ru.ru_maxrss > rss ? ru.ru_maxrss : rss;
		faults += ru.ru_minflt;
	}
	bench_report(bench_now() - begin, cpu, rss, faults);
	return rc;
}
