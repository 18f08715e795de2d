/* SPDX-License-Identifier: MIT */
/*
 * The program is in our process group, so the terminal's signals reach it without us: Ctrl-C and
 * Ctrl-\ are ignored here while it runs, and it decides. Signals that are sent to a process,
 * such as kill's, come to us and are passed on. When the terminal stops the program
 * we stop too, so that the shell sees a stopped job, and when we are continued it is.
 */
#include "launch.h"

#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const int ignored[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU };
static const int passed_on[] = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH };
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Set before passed_on signals are let in. */
static volatile pid_t program;

static void pass_on(int sig, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)context;
	/* the kernel's own, such as a hang-up, reached the whole group */
	if (info->si_code <= 0 && info->si_pid != program)
		kill(program, sig);
	errno = saved;
}

struct saved {
	struct sigaction ignored[COUNT(ignored)], passed_on[COUNT(passed_on)];
	sigset_t mask;
};

static void take_signals(struct saved *saved)
{
	struct sigaction action = { .sa_handler = SIG_IGN };
	sigset_t all;
	size_t i;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &saved->mask);
	for (i = 0; i < COUNT(ignored); i++)
		sigaction(ignored[i], &action, &saved->ignored[i]);
	action = (struct sigaction){ .sa_sigaction = pass_on, .sa_flags = SA_RESTART | SA_SIGINFO };
	/* under nohup too: the program starts with it ignored, and may have decided otherwise */
	for (i = 0; i < COUNT(passed_on); i++)
		sigaction(passed_on[i], &action, &saved->passed_on[i]);
}

static void give_signals_back(const struct saved *saved)
{
	size_t i;

	for (i = 0; i < COUNT(ignored); i++)
		sigaction(ignored[i], &saved->ignored[i], NULL);
	for (i = 0; i < COUNT(passed_on); i++)
		sigaction(passed_on[i], &saved->passed_on[i], NULL);
	sigprocmask(SIG_SETMASK, &saved->mask, NULL);
}

static _Noreturn void become(char **argv, const struct saved *saved, int report)
{
	int error;

	give_signals_back(saved);
	execvp(argv[0], argv);
	error = errno;
	if (write(report, &error, sizeof(error)) < 0)
		_exit(126);
	_exit(127);
}

/* waitpid() that goes on after signals. */
static pid_t await(pid_t pid, int *status, int options)
{
	pid_t got;

	do
		got = waitpid(pid, status, options);
	while (got < 0 && errno == EINTR);
	return got;
}

static int wait_for(pid_t pid)
{
	int status;
	pid_t got = await(pid, &status, WUNTRACED);

	while (got > 0 && (WIFSTOPPED(status) || WIFCONTINUED(status))) {
		/* not the terminal's: who sent it will continue the program, and not us */
		if (WIFCONTINUED(status) || WSTOPSIG(status) == SIGSTOP) {
			got = await(pid, &status, WUNTRACED);
			continue;
		}
		raise(SIGSTOP);
		/*
		 * A shell has continued the program as well, which may be stopped again by now,
		 * and must stay so. Who continued us alone means the program too.
		 */
		got = await(pid, &status, WUNTRACED | WCONTINUED | WNOHANG);
		if (got == 0) {
			kill(pid, SIGCONT);
			got = await(pid, &status, WUNTRACED);
		}
	}
	return got < 0 ? -1 : status;
}

int launch(char **argv, pid_t *pid)
{
	int channel[2], error = 0, status = -1;
	struct saved saved;
	ssize_t got;

	if (pipe2(channel, O_CLOEXEC) != 0) {
		complain("pipe: %s", strerror(errno));
		*pid = STATUS_TROUBLE;
		return -1;
	}
	take_signals(&saved);
	*pid = fork();
	if (*pid == 0)
		become(argv, &saved, channel[1]);
	close(channel[1]);
	if (*pid < 0) {
		error = errno;
	} else {
		program = *pid;
		sigprocmask(SIG_SETMASK, &saved.mask, NULL);
		do
			got = read(channel[0], &error, sizeof(error));
		while (got < 0 && errno == EINTR);
		status = wait_for(*pid);
	}
	close(channel[0]);
	give_signals_back(&saved);
	if (error == 0)
		return status;
	complain("%s: %s", argv[0], strerror(error));
	*pid = *pid < 0 ? STATUS_TROUBLE : error == ENOENT ? 127 : 126;
	return -1;
}

_Noreturn void launch_end_like(int wait_status)
{
	struct rlimit no_core = { 0, 0 };
	int sig;

	if (WIFEXITED(wait_status))
		exit(WEXITSTATUS(wait_status));
	sig = WTERMSIG(wait_status);
	/* the program's core is the one that matters */
	setrlimit(RLIMIT_CORE, &no_core);
	signal(sig, SIG_DFL);
	fflush(NULL);
	raise(sig);
	exit(128 + sig);
}
