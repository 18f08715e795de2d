/* SPDX-License-Identifier: MIT */
/*
 * What a program reads back of the signal actions that it sets, by every way of setting
 * them: a line each, to be compared with what libc alone says (sigactions.sh).
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef void (*handler_t)(int);

handler_t bsd_signal(int sig, handler_t handler);

static volatile int calls;

static void one(int sig)
{
	(void)sig;
	calls++;
}

static void two(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	calls++;
}

static const char *name_of(handler_t h)
{
	return h == SIG_DFL ? "DFL" : h == SIG_IGN ? "IGN" : h == SIG_ERR ? "ERR" :
	       h == SIG_HOLD ? "HOLD" : h == one ? "one" : (void *)h == (void *)two ? "two" : "?";
}

static void show(const char *what, int sig, const struct sigaction *a)
{
	printf("%d %s: %s flags %x restorer %d mask", sig, what, name_of(a->sa_handler),
	       (unsigned)a->sa_flags, a->sa_restorer != NULL);
	for (int s = 1; s < 65; s++) {
		if (sigismember(&a->sa_mask, s) == 1)
			printf(" %d", s);
	}
	putchar('\n');
}

static void look(const char *what, int sig)
{
	struct sigaction now;

	memset(&now, 0, sizeof(now));
	if (sigaction(sig, NULL, &now))
		printf("%d %s: refused\n", sig, what);
	else
		show(what, sig, &now);
}

static void by_sigaction(int sig, handler_t h, int flags, int full)
{
	struct sigaction act = { .sa_handler = h, .sa_flags = flags }, old;
	char what[64];

	snprintf(what, sizeof(what), "sigaction %s %x%s", name_of(h), (unsigned)flags,
		 full ? " full" : "");
	if (full)
		memset(&act.sa_mask, 0xff, sizeof(unsigned long));
	else
		sigaddset(&act.sa_mask, SIGUSR2);
	memset(&old, 0, sizeof(old));
	if (sigaction(sig, &act, &old)) {
		printf("%d %s: refused\n", sig, what);
		return;
	}
	show("was", sig, &old);
	look(what, sig);
	if (h != SIG_DFL && h != SIG_IGN) {
		calls = 0;
		raise(sig);
		printf("%d calls\n", calls);
		look("raised", sig);
	}
}

static void by(const char *call, handler_t (*set)(int, handler_t), int sig, handler_t h)
{
	handler_t was = set(sig, h);

	printf("%d %s(%s) was %s\n", sig, call, name_of(h), name_of(was));
	look("now", sig);
	if (h == one && was != SIG_ERR) {
		calls = 0;
		raise(sig);
		printf("%d calls\n", calls);
		look("raised", sig);
	}
}

static void every_way(int sig)
{
	static const int flags[] = {
		0, SA_RESTART, SA_SIGINFO, SA_NODEFER | SA_ONSTACK, SA_RESETHAND,
		SA_RESETHAND | SA_NODEFER | SA_RESTART, SA_RESETHAND | SA_SIGINFO,
		0x400, 0x800, 0x40000000 | SA_NOCLDSTOP | SA_NOCLDWAIT, (int)0xffffffff,
	};
	static const struct {
		const char *name;
		handler_t (*set)(int, handler_t);
	} ways[] = {
		{ "signal", signal }, { "bsd_signal", bsd_signal }, { "ssignal", ssignal },
		{ "sysv_signal", sysv_signal }, { "sigset", sigset },
	};
	static const handler_t handlers[] = { SIG_DFL, one, SIG_IGN, one, SIG_DFL, SIG_ERR };

	look("born", sig);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		by_sigaction(sig, SIG_DFL, flags[i], i % 2);
		by_sigaction(sig, flags[i] & SA_SIGINFO ? (handler_t)(void *)two : one,
			     flags[i], i % 3 == 0);
		by_sigaction(sig, SIG_IGN, flags[i], 0);
	}
	for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
			by(ways[w].name, ways[w].set, sig, handlers[i]);
		for (int on = 1; on >= 0; on--) {
			printf("siginterrupt %d\n", siginterrupt(sig, on));
			look("now", sig);
			by(ways[w].name, ways[w].set, sig, SIG_DFL);
			by(ways[w].name, ways[w].set, sig, one);
		}
	}
	by("sigset", sigset, sig, SIG_HOLD);
	by("sigset", sigset, sig, SIG_DFL);
	printf("sigignore %d\n", sigignore(sig));
	look("now", sig);
}

int main(void)
{
	static const int sigs[] = { SIGTERM, SIGSEGV, SIGUSR1, SIGUSR2, SIGCHLD, SIGTSTP, SIGKILL,
				    40 };
	static char out[1 << 20];

	setvbuf(stdout, out, _IOFBF, sizeof(out));
	/* Before anything else is said of it. */
	printf("siginterrupt %d\n", siginterrupt(SIGALRM, 1));
	look("now", SIGALRM);
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		every_way(sigs[i]);
	printf("%d\n", siginterrupt(70, 1));
	fflush(stdout);
	_exit(0);
}
