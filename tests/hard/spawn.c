/* SPDX-License-Identifier: MIT */
/*
 * posix_spawn and vfork + exec in loops while other threads allocate; exec after clearenv().
 */
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "hard.h"

#define ROUNDS 150
#define THREADS 4

extern char **environ;

static atomic_bool stop;

static void *worker(void *arg)
{
	uint64_t rnd = hard_seed((uintptr_t)arg);
	void *p[64] = { NULL };
	size_t n[64] = { 0 };
	size_t i;

	while (!atomic_load(&stop)) {
		i = hard_rand(&rnd) % ARRAY_LEN(p);
		if (p[i])
			hard_verify(p[i], n[i], i);
		free(p[i]);
		n[i] = hard_rand_size(&rnd, 14);
		p[i] = hard_malloc(n[i]);
		hard_fill(p[i], n[i], i);
	}
	for (i = 0; i < ARRAY_LEN(p); i++)
		free(p[i]);
	return NULL;
}

static pid_t by_spawn(char **argv)
{
	pid_t pid;
	int err = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ);

	CHECK(err == 0, "posix_spawn: %s", strerror(err));
	return pid;
}

__attribute__((noinline)) static pid_t by_vfork(char **argv)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execve("/bin/true", argv, environ);
		_exit(127);
	}
	CHECK(pid > 0, "vfork: errno %d", errno);
	return pid;
}

/* What clearenv() has taken away exec does not bring back. */
static void bare_exec(unsigned way)
{
	char sh[] = "sh", option[] = "-c", script[] = "test -z \"$HARD_KEPT\"";
	char *argv[] = { sh, option, script, NULL };
	pid_t pid = fork();

	CHECK(pid >= 0, "fork: errno %d", errno);
	if (pid == 0) {
		setenv("HARD_KEPT", "1", 1);
		clearenv();
		switch (way) {
		case 0:
			execv("/bin/sh", argv);
			break;
		case 1:
			execvp("sh", argv);
			break;
		case 2:
			execl("/bin/sh", sh, option, script, (char *)NULL);
			break;
		default:
			execlp("sh", sh, option, script, (char *)NULL);
		}
		_exit(127);
	}
	hard_reap(pid, "exec with no environment");
}

int main(void)
{
	char name[] = "true";
	char *argv[] = { name, NULL };
	pthread_t t[THREADS];
	uintptr_t i;

	for (i = 0; i < 4; i++)
		bare_exec((unsigned)i);
	for (i = 0; i < THREADS; i++)
		hard_start(&t[i], worker, (void *)i);
	for (i = 0; i < ROUNDS; i++) {
		void *p = hard_malloc(i * 100);
		FILE *f;

		hard_reap(by_spawn(argv), "posix_spawn");
		hard_reap(by_vfork(argv), "vfork and exec");
		if (i % 10 == 0) {
			f = popen("exit 0", "r");
			CHECK(f && pclose(f) == 0, "popen: errno %d", errno);
		}
		free(p);
	}
	atomic_store(&stop, true);
	for (i = 0; i < THREADS; i++)
		hard_join(t[i]);
	return 0;
}
