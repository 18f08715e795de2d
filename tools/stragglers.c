/* SPDX-License-Identifier: MIT */
/*
 * A process is one of ours if the directory of its snapshots stands in its environment: whose child it
 * is, and of which session or group, daemons change.
 */
#include "stragglers.h"

#include "util.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define UNWATCHED_MS 10 /* between two looks at a process that cannot be waited for */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool holds(int fd, const char *text)
{
	size_t len = strlen(text), n = 0, rest;
	char buf[1 << 14];
	ssize_t got;

	while ((got = read(fd, buf + n, sizeof(buf) - n)) > 0) {
		n += (size_t)got;
		if (memmem(buf, n, text, len))
			return true;
		rest = n < len ? n : len - 1;
		memmove(buf, buf + n - rest, rest);
		n = rest;
	}
	return false;
}

/* 0: none. */
static pid_t find(const char *dir)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while (proc && found == 0 && (entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);
		char *file;
		int fd;

		if (pid <= 0 || pid == getpid())
			continue;
		file = xasprintf("/proc/%d/environ", (int)pid);
		fd = open(file, O_RDONLY | O_CLOEXEC);
		free(file);
		if (fd < 0)
			continue;
		if (holds(fd, dir))
			found = pid;
		close(fd);
	}
	if (proc)
		closedir(proc);
	return found;
}

static void wait_for_end(pid_t pid, int ms)
{
	struct pollfd ended = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };

	poll(&ended, ended.fd >= 0, ended.fd >= 0 || ms < UNWATCHED_MS ? ms : UNWATCHED_MS);
	if (ended.fd >= 0)
		close(ended.fd);
}

void stragglers_wait(const char *dir, uint64_t ms)
{
	uint64_t begin = now_ms(), gone;
	pid_t pid;

	while (ms > 0 && (pid = find(dir)) != 0) {
		gone = now_ms() - begin;
		if (gone >= ms) {
			complain("process %d goes on: what it has to report is lost", (int)pid);
			return;
		}
		wait_for_end(pid, ms - gone < 1000 ? (int)(ms - gone) : 1000);
	}
}
