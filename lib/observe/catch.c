/* SPDX-License-Identifier: MIT */
/*
 * What the kernel has for a signal, and what the program believes:
 *
 *	kernel			program
 *	on_fatal		SIG_DFL
 *	on_once			a handler with SA_RESETHAND
 *	on_request		anything (the signal of leak_signal=)
 *	anything else		the same
 *
 * believed[] counts where the kernel has one of ours. It is written before the
 * kernel is told: a handler that runs at once must find it. Flags that are not ours
 * are the kernel's: it has all that the program wants, and drops what it does not
 * know; siginterrupt() changes them there. Until the program has said something of a
 * signal it reads what the process was born with. Two threads that set
 * the action of one signal at a time get one of the two, as without us. Children
 * that share this memory (vfork) write nothing here, and get what they ask for.
 */
#include "observe/catch.h"

#include <errno.h>

#include "base/fmt.h"
#include "observe/helper.h"
#include "observe/trigger.h"
#include "os/libc.h"
#include "os/proc.h"
#include "tune/tune.h"

typedef int (*sigaction_t)(int, const struct sigaction *, struct sigaction *);

#define OUR_FLAGS	(SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND)

static struct sigaction believed[OS_NR_SIGNALS + 1];
static bool told[OS_NR_SIGNALS + 1];		/* the program has set an action */
static bool interrupts[OS_NR_SIGNALS + 1];	/* by siginterrupt() */
static sigaction_t libc_sigaction;
static bool catching;		/* fatal ones */
static bool first_process;	/* of its name space: they do nothing to it by default */
static int request_signal;	/* 0: none */

static const char *const names[] = {
	"0", "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE",
	"SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT",
	"SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU",
	"SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
};

const char *catch_name(int sig)
{
	static char number[16];

	if (sig > 0 && (size_t)sig < ARRAY_SIZE(names))
		return names[sig];
	fmt_print(number, sizeof(number), "%d", sig);
	return number;
}

static int real(int sig, const struct sigaction *act, struct sigaction *old)
{
	sigaction_t f = READ_ONCE(libc_sigaction);

	if (!f) {
		f = (sigaction_t)os_next_symbol("sigaction");
		WRITE_ONCE(libc_sigaction, f);
	}
	if (f)
		return f(sig, act, old);
	errno = ENOSYS;
	return -1;
}

/* Does its default action end the process? libc's own signals are left alone. */
static bool ends(int sig)
{
	switch (sig) {
	case SIGKILL: case SIGSTOP: case SIGTSTP: case SIGTTIN: case SIGTTOU:
	case SIGCHLD: case SIGCONT: case SIGURG: case SIGWINCH:
	case 32: case OS_SIGNAL_SYNC:
		return false;
	default:
		return sig != request_signal;
	}
}

static bool is_ours_to_catch(int sig)
{
	return catching && ends(sig) &&
	       (!first_process || sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE ||
		sig == SIGILL || sig == SIGABRT || sig == SIGTRAP);
}

static void on_fatal(int sig, siginfo_t *info, void *context)
{
	int saved = errno;

	leak_at_signal(sig, context);
	os_sigaction(sig, &(struct os_sigaction){ 0 }, NULL);
	os_signal_info(os_tid(), sig, info);
	errno = saved;
}

static void call(const struct sigaction *act, int sig, siginfo_t *info, void *context)
{
	if (act->sa_handler == SIG_DFL || act->sa_handler == SIG_IGN)
		return;
	if (act->sa_flags & SA_SIGINFO)
		act->sa_sigaction(sig, info, context);
	else
		act->sa_handler(sig);
}

static struct sigaction fatal_action(int flags)
{
	struct sigaction act = { .sa_flags = (flags & ~OUR_FLAGS) | SA_SIGINFO | SA_ONSTACK };

	act.sa_sigaction = on_fatal;
	LIBC(sigfillset)(&act.sa_mask);
	return act;
}

/* The kernel gets ours for the default action that the program reads as @act. */
static __far void become_default(int sig, const struct sigaction *act)
{
	struct sigaction set = fatal_action(act->sa_flags);

	if (!leak_is_home()) {
		os_sigaction(sig, &(struct os_sigaction){ 0 }, NULL);
		return;
	}
	believed[sig] = *act;
	believed[sig].sa_handler = SIG_DFL;
	real(sig, &set, NULL);
}

/* What SA_RESETHAND asks for, with ours as the default; flags and mask stay. */
static void on_once(int sig, siginfo_t *info, void *context)
{
	struct sigaction act = believed[sig];

	become_default(sig, &act);
	call(&act, sig, info, context);
}

static void on_request(int sig, siginfo_t *info, void *context)
{
	struct sigaction act = believed[sig];
	int saved = errno;

	if ((act.sa_flags & (int)SA_RESETHAND) && leak_is_home())
		believed[sig].sa_handler = SIG_DFL;
	helper_request();
	errno = saved;
	call(&act, sig, info, context);
}

bool catch_is_ours(const void *handler)
{
	return handler == (void *)on_fatal || handler == (void *)on_once ||
	       handler == (void *)on_request;
}

static bool is_ours(const struct sigaction *act)
{
	return catch_is_ours((void *)act->sa_sigaction);
}

bool catch_holds(int sig)
{
	return request_signal && sig == request_signal;
}

__far void catch_default(int sig)
{
	struct sigaction now;

	if (!is_ours_to_catch(sig) || real(sig, NULL, &now))
		return;
	if (is_ours(&now))
		now = believed[sig];
	become_default(sig, &now);
}

void catch_interrupt(int sig, bool interrupt)
{
	if (sig < 1 || sig > OS_NR_SIGNALS || !leak_is_home())
		return;
	interrupts[sig] = interrupt;
	if (sig == request_signal) {
		int restart = interrupt ? 0 : SA_RESTART;

		believed[sig].sa_flags = (believed[sig].sa_flags & ~SA_RESTART) | restart;
	}
	told[sig] = true;
}

int catch_restart_flag(int sig)
{
	return sig > 0 && sig <= OS_NR_SIGNALS && interrupts[sig] ? 0 : SA_RESTART;
}

/* What the kernel is to have when the program wants @act. */
static struct sigaction translate(int sig, const struct sigaction *act)
{
	struct sigaction set = *act;

	if (sig == request_signal) {
		set.sa_flags = (act->sa_flags & ~SA_RESETHAND) | SA_SIGINFO | SA_RESTART;
		set.sa_sigaction = on_request;
	} else if (act->sa_handler == SIG_DFL) {
		set = fatal_action(act->sa_flags);
	} else if (act->sa_handler != SIG_IGN && (act->sa_flags & (int)SA_RESETHAND)) {
		set.sa_flags = (act->sa_flags & ~(int)SA_RESETHAND) | SA_SIGINFO;
		set.sa_sigaction = on_once;
	}
	return set;
}

/* What the program reads where the kernel has ours as @was. */
static __far struct sigaction as_believed(int sig, const struct sigaction *was, bool said,
				    const struct sigaction *thought)
{
	struct sigaction act = *thought;
	int ours = OUR_FLAGS | (sig == request_signal ? SA_RESTART : 0);

	if (!said)
		return act;
	act.sa_flags = (act.sa_flags & ours) | (was->sa_flags & ~ours);
	act.sa_restorer = was->sa_restorer;
	return act;
}

int catch_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction set, was, before;
	bool said;
	int err;

	if (sig < 1 || sig > OS_NR_SIGNALS || (sig != request_signal && !is_ours_to_catch(sig)))
		return real(sig, act, old);
	/* A child of vfork() has actions of its own, but what is believed is its parent's. */
	if (act && !leak_is_home()) {
		err = real(sig, act, &was);
		if (!err && old)
			*old = is_ours(&was) ? as_believed(sig, &was, told[sig], &believed[sig]) :
					       was;
		return err;
	}
	before = believed[sig];
	said = told[sig];
	if (act) {
		struct sigaction wanted = *act;

		set = translate(sig, &wanted);
		/* As the kernel does. */
		LIBC(sigdelset)(&wanted.sa_mask, SIGKILL);
		LIBC(sigdelset)(&wanted.sa_mask, SIGSTOP);
		believed[sig] = wanted;
		told[sig] = true;
	}
	err = real(sig, act ? &set : NULL, &was);
	if (err && act) {
		believed[sig] = before;
		told[sig] = said;
	}
	if (!err && old)
		*old = is_ours(&was) ? as_believed(sig, &was, said, &before) : was;
	return err;
}

__far void catch_start(bool fatal)
{
	catching = fatal;
	first_process = os_pid() == 1;
	for (int sig = 1; sig <= OS_NR_SIGNALS; sig++) {
		struct sigaction now;

		if (is_ours_to_catch(sig) && !real(sig, NULL, &now) && now.sa_handler == SIG_DFL)
			catch_default(sig);
	}
	if (tune.leak_signal && tune.leak_signal <= OS_NR_SIGNALS) {
		struct sigaction act = { .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
		int sig = (int)tune.leak_signal;

		act.sa_sigaction = on_request;
		if (!real(sig, &act, &believed[sig]))
			request_signal = sig;
		if (is_ours(&believed[sig]))
			believed[sig] = (struct sigaction){ .sa_handler = SIG_DFL };
	}
}
