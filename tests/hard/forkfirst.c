/* SPDX-License-Identifier: MIT */
/*
 * The library's handlers of fork are registered when the first is needed, and before those of
 * others: by each way to a child that goes on, while four threads allocate. A process that does
 * not fork registers none. A hang ends in an alarm.
 */
#include <dlfcn.h>
#include <pty.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <threads.h>

#include "../mallopt/again.h"
#include "lib_atfork.h"

#define THREADS 4
#define FORKS 40
#define CHILD_SECONDS 60
#define SLOTS 300
#define SIZE_BITS 16

#ifdef __GLIBC__

static struct atfork *seen;
static atomic_bool stop;

static void churn(unsigned seed, int rounds)
{
	uint64_t rnd = hard_seed(seed);
	char *p[SLOTS] = { NULL };
	size_t i;

	while (rounds-- && !atomic_load(&stop)) {
		i = hard_rand(&rnd) % SLOTS;
		free(p[i]);
		p[i] = hard_malloc(hard_rand_size(&rnd, SIZE_BITS));
	}
	for (i = 0; i < SLOTS; i++)
		free(p[i]);
}

static void *worker(void *arg)
{
	churn((unsigned)(uintptr_t)arg, -1);
	return NULL;
}

static int c11_worker(void *arg)
{
	churn((unsigned)(uintptr_t)arg, -1);
	return 0;
}

static void on_timer(union sigval v)
{
	churn((unsigned)v.sival_int, 500);
}

/* ---- ways to a child ---- */

typedef pid_t fork_fn(void);
pid_t __fork(void);

static pid_t by_forkpty(void)
{
	static int fd = -1;

	/* Not before the last child has ended: it would have no terminal. */
	if (fd >= 0)
		close(fd);
	return forkpty(&fd, NULL, NULL, NULL);
}

/* libc's own: a look-up by its handle finds nobody else's. */
static pid_t by_handle(void)
{
	static fork_fn *libc_fork;

	if (!libc_fork) {
		void *libc = dlopen("libc.so.6", RTLD_NOW);

		CHECK(libc, "dlopen: %s", dlerror());
		libc_fork = (fork_fn *)dlsym(libc, "fork");
	}
	return libc_fork();
}

static void storm(fork_fn *way)
{
	int i;

	for (i = 0; i < FORKS; i++) {
		pid_t pid = way();

		CHECK(pid >= 0, "fork %d: errno %d", i, errno);
		if (pid == 0) {
			atomic_store(&stop, false);
			alarm(CHILD_SECONDS);
			churn((unsigned)i, 1000);
			_exit(0);
		}
		hard_reap(pid, "child");
	}
}

static void among_threads(fork_fn *way)
{
	pthread_t t[THREADS];
	uintptr_t i;

	for (i = 0; i < THREADS; i++)
		hard_start(&t[i], worker, (void *)i);
	storm(way);
	atomic_store(&stop, true);
	for (i = 0; i < THREADS; i++)
		hard_join(t[i]);
}

static void among_c11_threads(void)
{
	thrd_t t[THREADS];
	uintptr_t i;

	for (i = 0; i < THREADS; i++)
		CHECK(thrd_create(&t[i], c11_worker, (void *)i) == thrd_success, "thrd_create");
	storm(fork);
	atomic_store(&stop, true);
	for (i = 0; i < THREADS; i++)
		thrd_join(t[i], NULL);
}

/* Threads that libc makes by itself. */
static void among_timers(void)
{
	struct itimerspec every = { { 0, 2000000 }, { 0, 2000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_timer };
	timer_t timer;

	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "timer_create: errno %d", errno);
	CHECK(timer_settime(timer, 0, &every, NULL) == 0, "timer_settime: errno %d", errno);
	storm(fork);
	timer_delete(timer);
}

static pid_t by_popen(void)
{
	FILE *f = popen("exit 0", "r");

	CHECK(f && pclose(f) == 0 && system("exit 0") == 0, "popen or system: errno %d", errno);
	return fork();
}

/* ---- what each has to have registered ---- */

static bool registered(void)
{
	return seen->calls > 0 && seen->first != seen->own;
}

/* The parent ends in daemon(); what the child has to say is read until it ends, too. */
static void run_daemon(void)
{
	pthread_t t[THREADS];
	uintptr_t i;

	for (i = 0; i < THREADS; i++)
		hard_start(&t[i], worker, (void *)i);
	hard_usleep(20000);
	CHECK(daemon(1, 1) == 0, "daemon: errno %d", errno);
	alarm(CHILD_SECONDS);
	churn(5, 10000);
	if (hard_on_stele())
		CHECK(registered(), "daemon: %d calls", seen->calls);
}

static void run(const char *what)
{
	int before = seen->calls;
	bool early = getenv("ATFORK_EARLY");

	alarm(4 * CHILD_SECONDS);
	churn(1, 10000);
	if (hard_on_stele())
		CHECK(early ? registered() : before == 0, "%d calls before any", before);
	if (strcmp(what, "fork") == 0)
		among_threads(fork);
	else if (strcmp(what, "__fork") == 0)
		among_threads(__fork);
	else if (strcmp(what, "forkpty") == 0)
		among_threads(by_forkpty);
	else if (strcmp(what, "handle") == 0)
		among_threads(by_handle);
	else if (strcmp(what, "popen") == 0)
		among_threads(by_popen);
	else if (strcmp(what, "c11") == 0)
		among_c11_threads();
	else if (strcmp(what, "timer") == 0)
		among_timers();
	else if (strcmp(what, "daemon") == 0)
		run_daemon();
	else if (strcmp(what, "add") == 0) {
		seen->add();
		among_threads(fork);
	}
	/* Of libc's own timers, too, there may be one that is registered first. */
	if (hard_on_stele() && strcmp(what, "none") != 0)
		CHECK(registered(), "%s: %d calls", what, seen->calls);
	if (early || strcmp(what, "add") == 0)
		CHECK(seen->ran >= 2 * FORKS, "%d handlers of 2 * %d have run", seen->ran, FORKS);
}

static void again(const char *what, const char *early)
{
	const char *env[] = { early, NULL };
	int status = again_run("/proc/self/exe", what, env);

	CHECK(status == 0 && !again_text[0], "%s %s: %d: %s", what, early ? early : "", status,
	      again_text);
}

/* Behind the library that is tested, in front of libc. */
static void preload(void)
{
	const char *old = getenv("LD_PRELOAD");
	char both[8192];

	snprintf(both, sizeof(both), "%s:%s", old ? old : "", hard_lib("lib_atfork"));
	setenv("LD_PRELOAD", both, 1);
}

int main(int argc, char **argv)
{
	static const char *const ways[] = { "none", "fork", "__fork", "forkpty", "handle", "popen",
					    "c11", "timer", "daemon", "add" };
	size_t i;

	if (argc > 1) {
		seen = (struct atfork *)dlsym(RTLD_DEFAULT, "atfork");
		CHECK(seen, "lib_atfork is not there");
		run(argv[1]);
		return 0;
	}
	preload();
	for (i = 0; i < ARRAY_LEN(ways); i++)
		again(ways[i], NULL);
	again("fork", "ATFORK_EARLY=1");
	return 0;
}

#else

int main(void)
{
	SKIP("handlers are registered at the start");
}

#endif
