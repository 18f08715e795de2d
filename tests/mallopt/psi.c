/* SPDX-License-Identifier: MIT */
/*
 * psi=1: when the system is short of memory, all that is free goes back. The shortage is made in a
 * memory cgroup, which holds nobody up but the child in it. Where no trigger is to be had, one line
 * says so.
 */
#include <malloc.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "again.h"
#include "watch.h"

#define FILE_SIZE (64 * MIB)
#define FREE (40 * MIB)		/* less than the watermark */
#define SECONDS 20

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	close(fd);
	return n < 0 ? -1 : 0;
}

static int has_trigger(void)
{
	char path[64], to[64];

	for (int fd = 3; fd < 1024; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, to, sizeof(to) - 1);
		to[n > 0 ? n : 0] = '\0';
		if (strcmp(to, "/proc/pressure/memory") == 0)
			return 1;
	}
	return 0;
}

static char group[128];

/* A group of 8 MiB, of the first or the second version. */
static int make_group(void)
{
	static const char *const way[][2] = {
		{ "/sys/fs/cgroup/memory/stele-psi-test", "memory.limit_in_bytes" },
		{ "/sys/fs/cgroup/stele-psi-test", "memory.max" },
	};
	char path[256];

	for (size_t i = 0; i < ARRAY_LEN(way); i++) {
		snprintf(group, sizeof(group), "%s-%d", way[i][0], (int)getpid());
		snprintf(path, sizeof(path), "%s/%s", group, way[i][1]);
		if (mkdir(group, 0755) == 0 && put(path, "8388608") == 0)
			return 0;
		rmdir(group);
	}
	return -1;
}

/* Reads a file that the group has no room for, again and again. */
static pid_t squeeze(void)
{
	char path[256];
	pid_t pid;
	FILE *f = tmpfile();

	CHECK(f && ftruncate(fileno(f), FILE_SIZE) == 0, "tmpfile: errno %d", errno);
	for (size_t at = 0; at < FILE_SIZE; at += 4096)
		CHECK(pwrite(fileno(f), "x", 1, (off_t)at) == 1, "errno %d", errno);
	fsync(fileno(f));
	posix_fadvise(fileno(f), 0, 0, POSIX_FADV_DONTNEED);
	pid = fork();
	if (pid == 0) {
		volatile char *q;
		char sum = 0;

		snprintf(path, sizeof(path), "%s/cgroup.procs", group);
		if (put(path, "0"))
			_exit(1);
		q = mmap(NULL, FILE_SIZE, PROT_READ, MAP_SHARED, fileno(f), 0);
		for (;;)
			for (size_t at = 0; at < FILE_SIZE; at += 4096)
				sum = (char)(sum + q[at]);
	}
	return pid;
}

static void under_pressure(void)
{
	char *p[FREE / 100000];
	double start;
	size_t base = rss();
	pid_t pid;

	CHECK(has_trigger(), "no trigger was opened");
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = hard_malloc(100000);
		touch(p[i], 100000);
	}
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		free(p[i]);
	hard_usleep(500000);
	CHECK(rss() - base > FREE / 2, "gone without pressure: %zu KiB left", (rss() - base) >> 10);

	if (make_group())
		SKIP("no memory cgroup can be made: errno %d", errno);
	pid = squeeze();
	start = hard_now();
	while (rss() - base > FREE / 4 && hard_now() - start < SECONDS)
		hard_usleep(20000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 100 && rmdir(group); i++)
		hard_usleep(20000);
	CHECK(rss() - base <= FREE / 4, "%zu KiB are left under pressure", (rss() - base) >> 10);
}

/* In a mount namespace where the file is not there. */
static void without(void)
{
	static const char *const env[] = { "STELE_CONF=psi=1", NULL };

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/proc/pressure", "tmpfs", 0, NULL))
		SKIP("/proc/pressure cannot be hidden: errno %d", errno);
	again_expect("nothing", env);
	CHECK(again_count("\n") == 1 &&
	      again_count("stele: psi: /proc/pressure/memory refuses a trigger, error 2") == 1,
	      "not one line: %s", again_text);
}

int main(int argc, char **argv)
{
	static const char *const env[] = { "STELE_CONF=psi=1", NULL };
	int status;

	if (!hard_on_stele())
		SKIP("plain libc has no trigger");
	if (argc > 1) {
		no_huge_pages();
		if (strcmp(argv[1], "pressure") == 0)
			under_pressure();
		else if (strcmp(argv[1], "without") == 0)
			without();
		else
			free(hard_malloc(8 * MIB));
		return 0;
	}
	if (access("/proc/pressure/memory", W_OK))
		SKIP("no /proc/pressure/memory: errno %d", errno);
	status = again_run("/proc/self/exe", "without", (const char *const[]){ NULL });
	CHECK(status == 0 || status == HARD_SKIP, "without: %d: %s", status, again_text);
	status = again_run("/proc/self/exe", "pressure", env);
	if (status == HARD_SKIP)
		SKIP("%.*s", (int)strcspn(again_text, "\n"), again_text);
	CHECK(status == 0, "pressure: %d: %s", status, again_text);
	return 0;
}
