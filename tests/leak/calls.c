/* SPDX-License-Identifier: MIT */
/*
 * A thread waits in a system call while reports stop it. Which calls notice? Those that can be made
 * again go on, to their end or for ever; the rest return EINTR, as stele(7) says. And a signal of the
 * program's own ends a call as ever, also one that comes while the thread is stopped.
 */
#include "../pages/tap.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <time.h>

#include "stele/leak.h"

#define LIMIT_MS	400
#define REPORTS		4	/* one each 50 ms, so the last is well before the limit */
#define LATE_MS		30000	/* so late a busy machine may let a thread go on */
#define TRIES		5	/* on a busy machine a limit may have passed before the first report */
#define ROUNDS		300

static int pipe_ends[2], epoll_fd, queue, semaphores;
static sem_t never;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int word;

static struct timespec span(void)
{
	return (struct timespec){ 0, LIMIT_MS * 1000000L };
}

static struct timespec until(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_nsec += LIMIT_MS * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_nsec -= 1000000000L;
		t.tv_sec++;
	}
	return t;
}

/* ---- calls, each with 0 or -1 and errno ---- */

static int wait_poll(void)
{
	struct pollfd p = { .fd = pipe_ends[0], .events = POLLIN };

	return poll(&p, 1, LIMIT_MS);
}

static int wait_poll_for_ever(void)
{
	struct pollfd p = { .fd = pipe_ends[0], .events = POLLIN };

	return poll(&p, 1, -1) == 1 ? 0 : -1;
}

static int wait_ppoll(void)
{
	struct pollfd p = { .fd = pipe_ends[0], .events = POLLIN };
	struct timespec t = span();

	return ppoll(&p, 1, &t, NULL);
}

static int wait_select(void)
{
	struct timeval t = { 0, LIMIT_MS * 1000 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(pipe_ends[0], &set);
	return select(pipe_ends[0] + 1, &set, NULL, NULL, &t);
}

static int wait_pselect(void)
{
	struct timespec t = span();
	fd_set set;

	FD_ZERO(&set);
	FD_SET(pipe_ends[0], &set);
	return pselect(pipe_ends[0] + 1, &set, NULL, NULL, &t, NULL);
}

static int wait_epoll(void)
{
	struct epoll_event e;

	return epoll_wait(epoll_fd, &e, 1, LIMIT_MS);
}

static int wait_epoll_for_ever(void)
{
	struct epoll_event e;

	return epoll_wait(epoll_fd, &e, 1, -1) == 1 ? 0 : -1;
}

static int wait_read(void)
{
	char c;

	return read(pipe_ends[0], &c, 1) == 1 ? 0 : -1;
}

static int wait_nanosleep(void)
{
	struct timespec t = span();

	return nanosleep(&t, NULL);
}

static int wait_nanosleep_until(void)
{
	struct timespec t = until(CLOCK_MONOTONIC);

	errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
	return errno ? -1 : 0;
}

/* These end with ETIMEDOUT. */
static int wait_semaphore(void)
{
	struct timespec t = until(CLOCK_REALTIME);

	return sem_timedwait(&never, &t);
}

static int wait_condition(void)
{
	struct timespec t = until(CLOCK_REALTIME);

	pthread_mutex_lock(&mutex);
	errno = pthread_cond_timedwait(&cond, &mutex, &t);
	pthread_mutex_unlock(&mutex);
	return errno ? -1 : 0;
}

static int wait_futex(void)
{
	struct timespec t = span();

	return (int)syscall(SYS_futex, &word, FUTEX_WAIT, 0, &t, NULL, 0);
}

static int wait_pause(void)
{
	return pause();
}

static int wait_sigsuspend(void)
{
	sigset_t none;

	sigemptyset(&none);
	return sigsuspend(&none);
}

static int wait_message(void)
{
	struct {
		long type;
		char text[8];
	} m;

	return (int)msgrcv(queue, &m, sizeof(m.text), 0, 0);
}

static int wait_semop(void)
{
	struct sembuf down = { 0, -1, 0 };

	return semop(semaphores, &down, 1);
}

static int wait_semop_for(void)
{
	struct sembuf down = { 0, -1, 0 };
	struct timespec t = span();

	return semtimedop(semaphores, &down, 1, &t);
}

/* ---- what comes of them ---- */

enum end { DONE, TIMED_OUT, INTERRUPTED, WAITS, NR_ENDS };

static const struct {
	const char *name;
	int (*wait)(void);
	enum end end;
	const char *end_name;
} calls[] = {
#define CALL(fn, end) { #fn, fn, end, #end }
	CALL(wait_ppoll, DONE), CALL(wait_select, DONE), CALL(wait_pselect, DONE),
	CALL(wait_nanosleep_until, DONE), CALL(wait_semaphore, TIMED_OUT),
	CALL(wait_condition, TIMED_OUT), CALL(wait_poll_for_ever, WAITS),
	CALL(wait_epoll_for_ever, WAITS), CALL(wait_read, WAITS), CALL(wait_pause, WAITS),
	CALL(wait_sigsuspend, WAITS), CALL(wait_message, WAITS), CALL(wait_semop, WAITS),
	CALL(wait_poll, INTERRUPTED), CALL(wait_epoll, INTERRUPTED),
	CALL(wait_nanosleep, INTERRUPTED), CALL(wait_futex, INTERRUPTED),
	CALL(wait_semop_for, INTERRUPTED),
};

static volatile bool over;
static volatile int result, error, waiter_tid;

static void *waiter(void *wait)
{
	waiter_tid = (int)syscall(SYS_gettid);
	errno = 0;
	result = ((int (*)(void))wait)();
	error = errno;
	over = true;
	return NULL;
}

static void on_signal(int sig)
{
	(void)sig;
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static enum end end_of(long ms)
{
	if (!over)
		return WAITS;
	if (result < 0 && error == EINTR)
		return INTERRUPTED;
	if (ms < LIMIT_MS - 10)
		return NR_ENDS;
	return result < 0 && error == ETIMEDOUT ? TIMED_OUT : result == 0 ? DONE : NR_ENDS;
}

/* Is the thread asleep, or through with it already? */
static bool is_in_call(void)
{
	char path[64], text[128] = "";
	const char *at;
	int fd;

	if (over)
		return true;
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", waiter_tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	at = strrchr(text, ')');
	return at && at[2] == 'S';
}

/* How a call of a thread ended that reports stopped meanwhile, and after how long. */
static enum end end_with_reports(size_t i, pthread_t *thread, long *took)
{
	long start = now_ms(), limit = calls[i].end == WAITS ? 2 * LIMIT_MS : LATE_MS;
	struct stele_leak_count count;

	over = false;
	waiter_tid = 0;
	pthread_create(thread, NULL, waiter, (void *)calls[i].wait);
	while (!is_in_call())
		usleep(100);
	for (int k = 0; k < REPORTS; k++) {
		stele_leak_get_count(&count);
		usleep(50000);
	}
	while (!over && now_ms() < start + limit)
		usleep(1000);
	*took = now_ms() - start;
	return end_of(*took);
}

static void test_call(size_t i)
{
	pthread_t thread;
	enum end end;
	long took;

	end = end_with_reports(i, &thread, &took);
	for (int k = 1; k < TRIES && calls[i].end == INTERRUPTED && over && end != INTERRUPTED; k++) {
		pthread_join(thread, NULL);
		end = end_with_reports(i, &thread, &took);
	}
	ok(end == calls[i].end, "%s: %s (%ld ms)", calls[i].name, calls[i].end_name, took);
	/* Each still takes a signal of the program's own. */
	while (!over) {
		pthread_kill(thread, SIGUSR1);
		usleep(1000);
	}
	pthread_join(thread, NULL);
	if (end == WAITS)
		ok(result == -1 && error == EINTR, "%s: a signal of the program's ends it",
		   calls[i].name);
}

static volatile unsigned rounds;

/* The signal is blocked but in the call: none may be lost. */
static void *suspend_often(void *arg)
{
	sigset_t usr1, none;

	(void)arg;
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	for (rounds = 0; rounds < ROUNDS; rounds++)
		sigsuspend(&none);
	over = true;
	return NULL;
}

static void *report_often(void *arg)
{
	struct stele_leak_count count;

	(void)arg;
	while (!over)
		stele_leak_get_count(&count);
	return NULL;
}

/* A signal for each round: who loses one waits for ever. */
static void test_signals(void)
{
	pthread_t thread, reporter;
	long limit = now_ms() + 60000;

	over = false;
	pthread_create(&thread, NULL, suspend_often, NULL);
	pthread_create(&reporter, NULL, report_often, NULL);
	for (unsigned i = 0; i < ROUNDS && now_ms() < limit; i++) {
		usleep(500);
		pthread_kill(thread, SIGUSR1);
		while (rounds <= i && now_ms() < limit)
			usleep(100);
	}
	ok(rounds == ROUNDS, "signals that come while reports are made: %u of %u", rounds, ROUNDS);
	if (rounds != ROUNDS)
		_exit(EXIT_FAILURE);
	pthread_join(thread, NULL);
	pthread_join(reporter, NULL);
}

int main(int argc, char **argv)
{
	struct epoll_event e = { .events = EPOLLIN };
	struct sigaction act = { .sa_handler = on_signal };

	if (argc == 1) {
		setenv("STELE_CONF", "leak=on", 1);
		execl("/proc/self/exe", argv[0], "tracked", (char *)NULL);
		return EXIT_FAILURE;
	}
	sigaction(SIGUSR1, &act, NULL);
	sem_init(&never, 0, 0);
	epoll_fd = epoll_create1(0);
	queue = msgget(IPC_PRIVATE, 0600);
	semaphores = semget(IPC_PRIVATE, 1, 0600);
	if (pipe(pipe_ends) || epoll_fd < 0 || queue < 0 || semaphores < 0 ||
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipe_ends[0], &e))
		return EXIT_FAILURE;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		test_call(i);
	test_signals();
	msgctl(queue, IPC_RMID, NULL);
	semctl(semaphores, 0, IPC_RMID);
	return tap_end();
}
