/* SPDX-License-Identifier: MIT */
/*
 * Running the program itself again: what is read once at start, the environment above all, can
 * be tested in no other way. The second run has an argument, which says what it is to do.
 */
#ifndef AGAIN_H
#define AGAIN_H

#include "../hard/hard.h"

#define AGAIN_TEXT 16384

/* What the run wrote to stderr. */
static char again_text[AGAIN_TEXT];

/* Adds to the mode that the runner may have put in STELE_CONF. */
static inline void again_setenv(const char *assignment)
{
	const char *value = strchr(assignment, '=');
	const char *old = getenv("STELE_CONF");
	char name[64], both[256];

	CHECK(value && (size_t)(value - assignment) < sizeof(name), "bad %s", assignment);
	snprintf(name, sizeof(name), "%.*s", (int)(value - assignment), assignment);
	if (strcmp(name, "STELE_CONF") == 0 && old)
		snprintf(both, sizeof(both), "%s,%s", old, value + 1);
	else
		snprintf(both, sizeof(both), "%s", value + 1);
	setenv(name, both, 1);
}

static inline void again_read(int fd)
{
	size_t have = 0;
	ssize_t n;

	while ((n = read(fd, again_text + have, sizeof(again_text) - 1 - have)) > 0)
		have += (size_t)n;
	again_text[have] = '\0';
}

/*
 * Runs @path with the argument @arg and the assignments @env (up to a NULL) added to the
 * environment; returns the exit status, or minus the signal.
 */
static inline int again_run(const char *path, const char *arg, const char *const *env)
{
	int fd[2], status;
	pid_t pid;

	CHECK(pipe(fd) == 0, "pipe: errno %d", errno);
	pid = fork();
	CHECK(pid >= 0, "fork: errno %d", errno);
	if (pid == 0) {
		for (; *env; env++)
			again_setenv(*env);
		dup2(fd[1], 2);
		close(fd[0]);
		close(fd[1]);
		execl(path, path, arg, (char *)NULL);
		_exit(126);
	}
	close(fd[1]);
	again_read(fd[0]);
	close(fd[0]);
	CHECK(waitpid(pid, &status, 0) == pid, "waitpid: errno %d", errno);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* The same program, which must succeed. */
static inline void again_expect(const char *arg, const char *const *env)
{
	int status = again_run("/proc/self/exe", arg, env);

	CHECK(status == 0, "%s with %s: status %d: %s", arg, env[0] ? env[0] : "no change", status,
	      again_text);
}

/* How often @what stands in the text; a line is counted by its '\n'. */
static inline unsigned int again_count(const char *what)
{
	unsigned int n = 0;

	for (const char *p = again_text; (p = strstr(p, what)); p += strlen(what))
		n++;
	return n;
}

#endif
