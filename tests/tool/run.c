/* SPDX-License-Identifier: MIT */
/*
 * A program with known leaks for `stele run`, that then does what its arguments say, one after another:
 * fork, leave, exec, abort, _exit, raise=N, exit=N, wait (for signals; says which), stdin (copies it),
 * sometimes (frees some), grow (in half a second).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct node {
	struct node *next;
	char rest[40];
};
struct node *kept;

__attribute__((noinline)) void leak_direct(size_t size)
{
	char *volatile p = malloc(size);

	p[0] = 1;
	p = NULL;
}

static __attribute__((noinline)) struct node *make(struct node *next)
{
	struct node *n = malloc(sizeof(*n));

	n->next = next;
	return n;
}

__attribute__((noinline)) void leak_chain(void)
{
	struct node *volatile n = NULL;
	int i;

	for (i = 0; i < 5; i++)
		n = make(n);
	n = NULL;
}

__attribute__((noinline)) void keep(void)
{
	kept = make(NULL);
	kept->next = (struct node *)strdup("hello");
}

static __attribute__((noinline)) void drop(void *p)
{
	free(p);
}

/* Ten blocks of one stack: six are dropped, three grow and are dropped, one leaks. */
__attribute__((noinline)) void leak_one_of_ten(void)
{
	int i;

	for (i = 0; i < 10; i++) {
		char *volatile p = malloc(70);

		if (i >= 7)
			p = realloc(p, 3000);
		if (i > 0)
			drop(p);
		p = NULL;
	}
}

/* Half a second with little, and half with much. */
static void grow(void)
{
	static char *much[20];
	size_t i;

	usleep(500000);
	for (i = 0; i < sizeof(much) / sizeof(much[0]); i++) {
		much[i] = malloc(100000);
		memset(much[i], 1, 100000);
	}
	usleep(500000);
}

/* Overwrites what the calls before left on the stack. */
__attribute__((noinline)) void wipe(void)
{
	volatile char space[4096];

	memset((char *)space, 0, sizeof(space));
}

static void handler(int sig)
{
	static const char got[] = "got the signal\n";

	(void)sig;
	if (write(1, got, sizeof(got) - 1) < 0)
		_exit(1);
}

static void act(char **argv, const char *what)
{
	static const int handled[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1 };
	sigset_t set, old;
	char buf[256];
	size_t i;
	ssize_t n;

	if (strcmp(what, "fork") == 0) {
		if (fork() == 0) {
			leak_direct(7);
			wipe();
			exit(0);
		}
		wait(NULL);
	} else if (strncmp(what, "leave=", 6) == 0) {
		/* a grandchild that goes on, in a session of its own */
		if (fork() == 0) {
			if (setsid() < 0 || fork() != 0)
				_exit(0);
			usleep((useconds_t)atoi(what + 6) * 1000);
			leak_direct(9);
			wipe();
			exit(0);
		}
		wait(NULL);
	} else if (strcmp(what, "exec") == 0) {
		execl(argv[0], "again", NULL);
	} else if (strcmp(what, "abort") == 0) {
		abort();
	} else if (strcmp(what, "_exit") == 0) {
		_exit(0);
	} else if (strncmp(what, "raise=", 6) == 0) {
		raise(atoi(what + 6));
	} else if (strncmp(what, "exit=", 5) == 0) {
		exit(atoi(what + 5));
	} else if (strcmp(what, "wait") == 0) {
		/* blocked until we wait: none comes in between */
		sigemptyset(&set);
		for (i = 0; i < sizeof(handled) / sizeof(handled[0]); i++) {
			signal(handled[i], handler);
			sigaddset(&set, handled[i]);
		}
		sigprocmask(SIG_BLOCK, &set, &old);
		if (write(1, "ready\n", 6) == 6)
			sigsuspend(&old);
		sigprocmask(SIG_SETMASK, &old, NULL);
	} else if (strcmp(what, "idle") == 0) {
		if (write(1, "ready\n", 6) == 6)
			for (;;)
				pause();
	} else if (strcmp(what, "sometimes") == 0) {
		leak_one_of_ten();
		wipe();
	} else if (strcmp(what, "grow") == 0) {
		grow();
	} else if (strcmp(what, "stdin") == 0) {
		while ((n = read(0, buf, sizeof(buf))) > 0)
			if (write(1, buf, (size_t)n) != n)
				_exit(1);
	} else if (strcmp(what, "terminal") == 0) {
		printf("%d %d\n", isatty(0), tcgetpgrp(0) == getpgrp());
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	int i;

	for (i = 0; i < 3; i++)
		leak_direct(100);
	leak_chain();
	keep();
	wipe();
	for (i = 1; i < argc; i++)
		act(argv, argv[i]);
	return 0;
}
