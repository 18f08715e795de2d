/* SPDX-License-Identifier: MIT */
/*
 * malloc and free in the last moments: atexit handlers, destructors of the program and of a
 * library, TLS destructors of threads and of the thread that calls exit. Each stage of a
 * child process writes its letter to a pipe; the parent wants to see all of them.
 */
#include <dlfcn.h>

#include "hard.h"
#include "lib_late.h"

int __cxa_thread_atexit_impl(void (*fn)(void *), void *arg, void *dso) __attribute__((weak));
extern void *__dso_handle;

static int fd = -1;
static void *early;
static pthread_key_t key;

static void stage(char letter)
{
	void *small = hard_malloc(100), *large = hard_malloc(300000);

	hard_fill(small, 100, 1);
	hard_fill(large, 300000, 2);
	hard_verify(small, 100, 1);
	hard_verify(large, 300000, 2);
	free(small);
	free(large);
	CHECK(fd < 0 || write(fd, &letter, 1) == 1, "write: errno %d", errno);
}

static void at_exit(void)
{
	early = realloc(early, 20000);
	CHECK(early, "realloc");
	hard_verify(early, 10000, 3);
	hard_fill(early, 20000, 3);
	stage('A');
}

__attribute__((destructor)) static void last(void)
{
	if (fd < 0)
		return;
	hard_verify(early, 20000, 3);
	free(early);
	stage('D');
}

/* The first call sets the key anew, so that pthread comes back for a second round. */
static void key_gone(void *value)
{
	static int called;

	hard_verify(value, 600, 4);
	free(value);
	stage('K');
	if (called++)
		return;
	value = hard_malloc(600);
	hard_fill(value, 600, 4);
	pthread_setspecific(key, value);
}

static void thread_gone(void *value)
{
	hard_verify(value, 700, 5);
	free(value);
	stage('T');
}

static void *thread(void *arg)
{
	void *p = hard_malloc(600);

	hard_fill(p, 600, 4);
	pthread_setspecific(key, p);
	if (__cxa_thread_atexit_impl) {
		p = hard_malloc(700);
		hard_fill(p, 700, 5);
		__cxa_thread_atexit_impl(thread_gone, p, &__dso_handle);
	}
	return arg;
}

static void child(int out)
{
	void *handle = dlopen(hard_lib("lib_late"), RTLD_NOW);
	__typeof__(late_report_to) *report_to;
	pthread_t t;

	CHECK(handle, "dlopen: %s", dlerror());
	report_to = (__typeof__(report_to))dlsym(handle, "late_report_to");
	CHECK(report_to, "dlsym: %s", dlerror());
	report_to(out);
	fd = out;
	early = hard_malloc(10000);
	hard_fill(early, 10000, 3);
	CHECK(atexit(at_exit) == 0 && pthread_key_create(&key, key_gone) == 0, "set-up");
	hard_start(&t, thread, NULL);
	hard_join(t);
	thread(NULL);	/* exit runs the main thread's own TLS destructors, not its keys */
	exit(0);
}

int main(void)
{
	char seen[64] = "";
	int pipefd[2];
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	CHECK(pipe(pipefd) == 0, "pipe: errno %d", errno);
	pid = fork();
	CHECK(pid >= 0, "fork: errno %d", errno);
	if (pid == 0) {
		close(pipefd[0]);
		child(pipefd[1]);
	}
	close(pipefd[1]);
	while ((n = read(pipefd[0], seen + len, sizeof(seen) - 1 - len)) > 0)
		len += (size_t)n;
	seen[len] = '\0';
	hard_reap(pid, "late child");
	CHECK(strchr(seen, 'A') && strchr(seen, 'D') && strchr(seen, 'L') && strstr(seen, "KK"),
	      "stages seen: %s", seen);
	CHECK(!__cxa_thread_atexit_impl || strchr(seen, 'T') != strrchr(seen, 'T'),
	      "stages seen: %s", seen);
	return 0;
}
