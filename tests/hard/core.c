/* SPDX-License-Identifier: MIT */
/*
 * A program that dies leaves its heap in a core file, and hardly more: nothing that the allocator
 * has set aside, mapped or given back goes there with it.
 */
#include <dirent.h>
#include <malloc.h>
#include <signal.h>
#include <sys/stat.h>

#include "hard.h"

#define LIVE (8 * MIB)
#define FREED (64 * MIB)
#define BLOCK (32 * KIB)
#define MORE (3 * MIB)		/* stacks, libc's data, tables */
#define MORE_APPARENT (16 * MIB)	/* that too, and the second thread's stack */

/* Is a core written to a file in the working directory? */
static void need_plain_cores(void)
{
	struct rlimit lim;
	char pattern[256] = "";
	FILE *f = fopen("/proc/sys/kernel/core_pattern", "r");

	if (!f || !fgets(pattern, sizeof(pattern), f) || strchr("|/\n", pattern[0]) ||
	    strchr(pattern, '/'))
		SKIP("cores do not go to a file here: %s", pattern);
	fclose(f);
	CHECK(getrlimit(RLIMIT_CORE, &lim) == 0, "errno %d", errno);
	lim.rlim_cur = lim.rlim_max;
	if (lim.rlim_max != RLIM_INFINITY || setrlimit(RLIMIT_CORE, &lim))
		SKIP("no cores are allowed here");
}

static void *in_thread(void *arg)
{
	free(hard_malloc(100));
	return arg;
}

/* All is touched, most is given back, and what stays lies in between. */
__attribute__((noreturn)) static void die(void)
{
	static char *p[(LIVE + FREED) / BLOCK];
	pthread_t t;

	hard_start(&t, in_thread, NULL);
	hard_join(t);
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = hard_malloc(BLOCK);
		memset(p[i], 1, BLOCK);
	}
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		if (i % (ARRAY_LEN(p) / (LIVE / BLOCK)))
			free(p[i]);
	}
	malloc_trim(0);
	free(memset(hard_malloc(FREED), 1, FREED));
	abort();
}

/* What a core takes on disk and what it says it is; of the one file there. */
static size_t core_bytes(size_t *apparent)
{
	DIR *d = opendir(".");
	struct dirent *e;
	struct stat st = {0};
	int n = 0;

	CHECK(d, "opendir: errno %d", errno);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		CHECK(stat(e->d_name, &st) == 0, "%s: errno %d", e->d_name, errno);
		n++;
		unlink(e->d_name);
	}
	closedir(d);
	CHECK(n == 1, "%d files", n);
	*apparent = (size_t)st.st_size;
	return (size_t)st.st_blocks * 512;
}

int main(void)
{
	char dir[] = "/tmp/stele-core-XXXXXX";
	size_t bytes, apparent;
	int status;
	pid_t pid;

	need_plain_cores();
	CHECK(mkdtemp(dir) && chdir(dir) == 0, "%s: errno %d", dir, errno);
	pid = fork();
	CHECK(pid >= 0, "fork: errno %d", errno);
	if (pid == 0)
		die();
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status), "status %#x", status);
	if (!WCOREDUMP(status)) {
		rmdir(dir);
		SKIP("no core was written");
	}
	bytes = core_bytes(&apparent);
	rmdir(dir);
	printf("%zu KiB, %zu KiB\n", bytes / KIB, apparent / KIB);
	CHECK(bytes >= LIVE, "only %zu KiB", bytes / KIB);
	CHECK(bytes <= LIVE + MORE, "%zu KiB on disk for %zu", bytes / KIB, LIVE / KIB);
	CHECK(apparent <= LIVE + FREED + MORE_APPARENT, "%zu KiB", apparent / KIB);
	return 0;
}
