/* SPDX-License-Identifier: MIT */
/* A program that leaks and ends in a way that its first argument says: see leak.sh. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stele/leak.h"

#define APART __attribute__((noinline))

/* Linked without the library: there when it is preloaded. */
#pragma weak stele_leak_get_count
#pragma weak stele_leak_report

static void *volatile held;

APART void leak_here(void);
APART void leak_here(void)
{
	void *volatile p = malloc(1001);

	p = NULL;
	(void)p;
}

APART void leak_known(void);
APART void leak_known(void)
{
	void *volatile p = malloc(1002);

	p = NULL;
	(void)p;
}

APART static void scrub(void)
{
	char dead[8192];

	memset(dead, 0, sizeof(dead));
	__asm__ __volatile__("" : : "r"(dead) : "memory");
}

static volatile char *volatile nowhere;

static void come_back(int sig)
{
	signal(sig, come_back);
}

static void say_disposition(void)
{
	struct sigaction act;
	void (*before)(int) = signal(SIGTERM, SIG_IGN);

	sigaction(SIGSEGV, NULL, &act);
	printf("%s %s\n", before == SIG_DFL ? "default" : "handled",
	       act.sa_handler == SIG_DFL ? "default" : "handled");
	signal(SIGTERM, SIG_DFL);
}

static int by_call(void)
{
	struct stele_leak_count c;

	if (!stele_leak_get_count || stele_leak_get_count(&c))
		return 1;
	printf("%zu %zu\n", c.direct.blocks, c.direct.bytes);
	fflush(stdout);
	return stele_leak_report();
}

static int end(const char *how, char **argv)
{
	if (!strcmp(how, "_exit"))
		_exit(3);
	if (!strcmp(how, "quick_exit"))
		quick_exit(4);
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "abort_handled")) {
		signal(SIGABRT, come_back);
		abort();
	}
	if (!strcmp(how, "term"))
		raise(SIGTERM);
	if (!strcmp(how, "once")) {
		struct sigaction act = { .sa_handler = come_back, .sa_flags = (int)SA_RESETHAND };

		sigaction(SIGUSR1, &act, NULL);
		raise(SIGUSR1);
		signal(SIGUSR1, SIG_DFL);
		raise(SIGUSR1);
	}
	if (!strcmp(how, "segv"))
		*nowhere = 1;
	if (!strcmp(how, "exec"))
		execle("/bin/sh", "sh", "-c", "exit 5", (char *)NULL, (char *[]){ NULL });
	if (!strcmp(how, "no_exec"))
		execv("/nonexistent", argv);
	if (!strcmp(how, "disposition"))
		say_disposition();
	if (!strcmp(how, "call"))
		return by_call();
	if (!strcmp(how, "wait"))
		for (int i = 0; i < 1000 && access(argv[2], F_OK); i++)
			usleep(10000);
	if (!strcmp(how, "fork")) {
		int status;

		if (!fork())
			exit(0);
		wait(&status);
	}
	return 0;
}

int main(int argc, char **argv)
{
	held = malloc(1003);
	leak_here();
	leak_known();
	scrub();
	return argc > 1 ? end(argv[1], argv) : 0;
}
