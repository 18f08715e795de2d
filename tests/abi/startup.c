/* SPDX-License-Identifier: MIT */
/*
 * startup NAME COUNT [LIBRARY]: what a process costs that calls malloc COUNT times, with
 * LD_PRELOAD set to LIBRARY, as one number:
 *
 *	faults	page faults, the fewest of several runs
 *	calls	system calls, from exec to exit; -1: they cannot be counted here
 *	memory	KiB of memory of its own when it is about to end
 *	code	KiB of the library's code in memory then
 *
 * Addresses are not randomised: where a table begins in a page makes a difference of its own.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUNS		9
#define IS_CALL		(SIGTRAP | 0x80)

/* Without stdio, which would allocate. */
static const char *read_all(const char *path)
{
	static char text[64 << 10];
	size_t n = 0;
	ssize_t got;
	int file = open(path, O_RDONLY);

	while ((got = read(file, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	close(file);
	return text;
}

static long field(const char *text, const char *name)
{
	text = strstr(text, name);
	return text ? strtol(text + strlen(name), NULL, 10) : -1;
}

static long code_in_memory(void)
{
	const char *text = read_all("/proc/self/smaps"), *line;
	long sum = 0;

	while ((line = strstr(text, " r-xp "))) {
		text = strchr(line, '\n');
		if (memmem(line, (size_t)(text - line), "libstele", 8))
			sum += field(text, "Rss:");
	}
	return sum;
}

/* The child: what is asked for to the pipe at @fd, unless that is -1. */
static int serve(int count, int fd, const char *what)
{
	long n;

	for (int i = 0; i < count; i++)
		free(malloc(100));
	if (fd < 0)
		return 0;
	n = *what == 'c' ? code_in_memory() :
			   field(read_all("/proc/self/smaps_rollup"), "Anonymous:");
	return write(fd, &n, sizeof(n)) != sizeof(n);
}

static pid_t start(char *self, char *count, char *fd, char *what, const char *library, int traced)
{
	char preload[4096];
	char *argv[] = { self, (char *)"-", count, fd, what, NULL }, *envp[] = { preload, NULL };
	pid_t pid;

	snprintf(preload, sizeof(preload), "%s%s", library ? "LD_PRELOAD=" : "NONE=",
		 library ? library : "");
	pid = fork();
	if (pid)
		return pid;
	personality(ADDR_NO_RANDOMIZE);
	if (traced && ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(126);
	execve(self, argv, envp);
	_exit(127);
}

static long faults(char *self, char *count, const char *library)
{
	long least = -1;

	for (int i = 0; i < RUNS; i++) {
		struct rusage ru;
		int status;

		if (wait4(start(self, count, (char *)"-1", NULL, library, 0), &status, 0,
			  &ru) < 0 || status)
			return -1;
		if (least < 0 || ru.ru_minflt + ru.ru_majflt < least)
			least = ru.ru_minflt + ru.ru_majflt;
	}
	return least;
}

static long calls(char *self, char *count, const char *library)
{
	pid_t pid = start(self, count, (char *)"-1", NULL, library, 1);
	long stops = 0;
	int status;

	/* The first stop is exec's. */
	if (waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		return -1;
	while (!ptrace(PTRACE_SYSCALL, pid, NULL, NULL) && waitpid(pid, &status, 0) == pid) {
		if (WIFEXITED(status))
			return WEXITSTATUS(status) ? -1 : stops / 2;	/* in and out */
		if (WIFSTOPPED(status) && WSTOPSIG(status) == IS_CALL)
			stops++;
	}
	return -1;
}

static long told(char *self, char *count, char *what, const char *library)
{
	int ends[2], status;
	char fd[12];
	long n = -1;

	if (pipe(ends))
		return -1;
	snprintf(fd, sizeof(fd), "%d", ends[1]);
	waitpid(start(self, count, fd, what, library, 0), &status, 0);
	close(ends[1]);
	if (status || read(ends[0], &n, sizeof(n)) != sizeof(n))
		n = -1;
	close(ends[0]);
	return n;
}

int main(int argc, char **argv)
{
	const char *library;
	long n = -1;

	if (argc < 3)
		return 2;
	if (!strcmp(argv[1], "-"))
		return serve(atoi(argv[2]), atoi(argv[3]), argv[4]);
	library = argc > 3 ? argv[3] : NULL;
	if (!strcmp(argv[1], "faults"))
		n = faults(argv[0], argv[2], library);
	else if (!strcmp(argv[1], "calls"))
		n = calls(argv[0], argv[2], library);
	else if (!strcmp(argv[1], "memory") || !strcmp(argv[1], "code"))
		n = told(argv[0], argv[2], argv[1], library);
	printf("%ld\n", n);
	return 0;
}
