/* SPDX-License-Identifier: MIT */
/*
 * startup NAME COUNT [LIBRARY]: what a process costs that calls malloc COUNT times, with
 * LD_PRELOAD set to LIBRARY, as one number:
 *
 *	faults	page faults, the fewest of several runs
 *	calls	system calls, from exec to exit; -1: they cannot be counted here
 *	memory	KiB of memory of its own when it is about to end
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

/* The child: its own memory to the pipe at @fd, unless that is -1. */
static int serve(int count, int fd)
{
	static char text[4096];
	const char *anonymous;
	ssize_t n;
	int file;

	for (int i = 0; i < count; i++)
		free(malloc(100));
	if (fd < 0)
		return 0;
	file = open("/proc/self/smaps_rollup", O_RDONLY);
	n = read(file, text, sizeof(text) - 1);
	anonymous = n > 0 ? strstr(text, "Anonymous:") : NULL;
	if (anonymous && write(fd, anonymous + 10, 20) == 20)
		return 0;
	return 1;
}

static pid_t start(char *self, char *count, char *fd, const char *library, int traced)
{
	char preload[4096];
	char *argv[] = { self, (char *)"-", count, fd, NULL }, *envp[] = { preload, NULL };
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

		if (wait4(start(self, count, (char *)"-1", library, 0), &status, 0, &ru) < 0 || status)
			return -1;
		if (least < 0 || ru.ru_minflt + ru.ru_majflt < least)
			least = ru.ru_minflt + ru.ru_majflt;
	}
	return least;
}

static long calls(char *self, char *count, const char *library)
{
	pid_t pid = start(self, count, (char *)"-1", library, 1);
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

static long memory(char *self, char *count, const char *library)
{
	char text[21] = "", fd[12];
	int ends[2], status;
	ssize_t n;

	if (pipe(ends))
		return -1;
	snprintf(fd, sizeof(fd), "%d", ends[1]);
	waitpid(start(self, count, fd, library, 0), &status, 0);
	close(ends[1]);
	n = read(ends[0], text, sizeof(text) - 1);
	close(ends[0]);
	return n > 0 && !status ? strtol(text, NULL, 10) : -1;
}

int main(int argc, char **argv)
{
	const char *library;
	long n = -1;

	if (argc < 3)
		return 2;
	if (!strcmp(argv[1], "-"))
		return serve(atoi(argv[2]), atoi(argv[3]));
	library = argc > 3 ? argv[3] : NULL;
	if (!strcmp(argv[1], "faults"))
		n = faults(argv[0], argv[2], library);
	else if (!strcmp(argv[1], "calls"))
		n = calls(argv[0], argv[2], library);
	else if (!strcmp(argv[1], "memory"))
		n = memory(argv[0], argv[2], library);
	printf("%ld\n", n);
	return 0;
}
