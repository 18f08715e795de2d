/* SPDX-License-Identifier: MIT */
/*
 * exercise WHAT [NUMBER]: attempts to break the leak mode; robust.py runs them and sets the
 * mode. Each ends by itself with status 0, fails with a line, or hangs. The number says for how
 * many seconds, how often or how much.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__has_attribute) && __has_attribute(noipa)
#define APART __attribute__((noipa))
#else
#define APART __attribute__((noinline))
#endif

#define CHECK(cond) ((cond) ? (void)0 : failed(#cond, __LINE__))

static double seconds = 1;
static int status = 7;
static atomic_bool stop;

__attribute__((noreturn)) static void failed(const char *what, int line)
{
	char buf[200];
	int n = snprintf(buf, sizeof(buf), "exercise.c:%d: %s: %s\n", line, what, strerror(errno));

	if (write(2, buf, (size_t)n) < 0)
		_exit(2);
	_exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void use(void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

/* One of many stacks: the bits of "way" choose the calls. */
APART static void *deep_left(unsigned int depth, unsigned int way, size_t size);
APART static void *deep_right(unsigned int depth, unsigned int way, size_t size)
{
	void *p = !depth ? malloc(size) :
		  way & 1 ? deep_left(depth - 1, way >> 1, size) :
			    deep_right(depth - 1, way >> 1, size);

	use(p);
	return p;
}

APART static void *deep_left(unsigned int depth, unsigned int way, size_t size)
{
	void *p = deep_right(depth, way, size);

	use(&p);
	return p;
}

APART static void churn(unsigned int *rnd)
{
	void *p[16];
	size_t i;

	for (i = 0; i < 16; i++) {
		*rnd = *rnd * 1103515245 + 12345;
		p[i] = deep_left(*rnd >> 8 & 15, *rnd >> 12, *rnd >> 16 & 1023);
		CHECK(p[i]);
		memset(p[i], 1, *rnd >> 16 & 1023);
	}
	for (i = 0; i < 16; i++)
		free(p[i]);
}

static void *churner(void *arg)
{
	unsigned int rnd = (unsigned int)(uintptr_t)arg + 1;

	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		churn(&rnd);
	return NULL;
}

static pthread_t start(void *(*fn)(void *), uintptr_t arg)
{
	pthread_t t;

	errno = pthread_create(&t, NULL, fn, (void *)arg);
	CHECK(!errno);
	return t;
}

static void run_with(void *(*fn)(void *), int threads, void (*meanwhile)(void))
{
	pthread_t t[64];
	double end = now() + seconds;
	int i;

	for (i = 0; i < threads; i++)
		t[i] = start(fn, (uintptr_t)i);
	while (now() < end)
		meanwhile();
	atomic_store(&stop, true);
	for (i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
}

static void nap(void)
{
	usleep(2000);
}

/* --- the dynamic linker's lock is held while a callback allocates --- */

static int on_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)info, (void)size;
	churn(arg);
	return 0;
}

static void iterate(void)
{
	static unsigned int rnd = 99;

	dl_iterate_phdr(on_object, &rnd);
}

static int phdr(void)
{
	run_with(churner, 3, iterate);
	return 0;
}

/* --- libraries come and go while others walk their stacks --- */

static const char *directory(void)
{
	static char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	CHECK(n > 0);
	path[n] = 0;
	*strrchr(path, '/') = 0;
	return path;
}

static void swap_once(const char *name, const char *function)
{
	char path[PATH_MAX + 64];
	void (*call)(void);
	void *lib;

	snprintf(path, sizeof(path), "%s/%s.so", directory(), name);
	if (access(path, R_OK) < 0)
		snprintf(path, sizeof(path), "%s/.libs/%s.so", directory(), name);
	lib = dlopen(path, RTLD_NOW);
	CHECK(lib);
	call = (void (*)(void))dlsym(lib, function);
	CHECK(call);
	call();
	dlclose(lib);
}

static void swap_both(void)
{
	swap_once("lib_swap1", "case_swap_one");
	swap_once("lib_swap2", "case_swap_two");
}

static int swap(void)
{
	run_with(churner, 3, swap_both);
	return 0;
}

/* --- forks while others are in the middle of anything --- */

static long forks;

static void fork_once(void)
{
	unsigned int rnd = 5;
	int ended, i;
	double end;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		for (i = 0; i < 20; i++)
			churn(&rnd);
		_exit(33);
	}
	for (end = now() + 20; waitpid(pid, &ended, WNOHANG) == 0;) {
		if (now() > end) {
			kill(pid, SIGKILL);
			failed("a child hangs", __LINE__);
		}
		usleep(300);
	}
	CHECK(WIFEXITED(ended) && WEXITSTATUS(ended) == 33);
	forks++;
}

static int fork_storm(void)
{
	pthread_t t[3];
	uintptr_t i;

	for (i = 0; i < 3; i++)
		t[i] = start(churner, i);
	while (forks < (long)seconds)
		fork_once();
	atomic_store(&stop, true);
	for (i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	return 0;
}

/* --- a fork while another thread has the dynamic linker's lock, as who walks by a library has --- */

static atomic_bool inside;

static int stay(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)info, (void)size, (void)arg;
	atomic_store(&inside, true);
	while (!atomic_load(&stop))
		usleep(1000);
	return 1;
}

static void *stayer(void *arg)
{
	dl_iterate_phdr(stay, NULL);
	return arg;
}

/* Nobody but the child allocates meanwhile: a walk in here would wait, and be right. */
static int fork_held(void)
{
	pthread_t t = start(stayer, 0);

	while (!atomic_load(&inside))
		usleep(1000);
	fork_once();
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	return 0;
}

/* --- a signal storm; where it hits no allocation, its handler allocates --- */

static atomic_long handled, allocated;
static _Thread_local volatile sig_atomic_t outside;

static void on_storm(int sig)
{
	static _Thread_local unsigned int rnd;
	int kept = errno;

	(void)sig;
	atomic_fetch_add(&handled, 1);
	if (outside) {
		outside = 0;
		churn(&rnd);
		outside = 1;
		atomic_fetch_add(&allocated, 1);
	}
	errno = kept;
}

static void churn_and_rest(unsigned int *rnd)
{
	volatile int i;

	churn(rnd);
	outside = 1;
	for (i = 0; i < 5000; i++)
		;
	outside = 0;
}

static void churn_here(void)
{
	static unsigned int rnd = 3;

	churn_and_rest(&rnd);
}

static void *storm_churner(void *arg)
{
	unsigned int rnd = (unsigned int)(uintptr_t)arg + 1;

	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		churn_and_rest(&rnd);
	return NULL;
}

static int storm(void)
{
	struct sigaction sa = {.sa_handler = on_storm, .sa_flags = SA_RESTART};
	struct itimerval often = {{0, 150}, {0, 150}};

	CHECK(sigaction(SIGALRM, &sa, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	run_with(storm_churner, 2, churn_here);
	/* where others have the CPUs the time may have been too short */
	while (atomic_load(&handled) <= 50 || atomic_load(&allocated) <= 10)
		churn_here();
	memset(&often, 0, sizeof(often));
	setitimer(ITIMER_REAL, &often, NULL);
	CHECK(atomic_load(&handled) > 50 && atomic_load(&allocated) > 10);
	return 0;
}

/* --- threads --- */

static int many(void)
{
	run_with(churner, 64, nap);
	return 0;
}

/* Threads that sleep, as many as the argument says and the machine has. */
static _Atomic int up;

static void *asleep(void *arg)
{
	void *volatile mine = malloc(100);

	up++;
	for (;;)
		pause();
	free(mine);
	return arg;
}

static int crowd(void)
{
	int n = (int)seconds, begun = 0;
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	while (begun < n && !pthread_create(&t, &attr, asleep, NULL))
		begun++;
	while (up < begun)
		usleep(1000);
	fprintf(stderr, "%d threads\n", begun);
	exit(0);
}

static void *brief(void *arg)
{
	unsigned int rnd = (unsigned int)(uintptr_t)arg;
	int i;

	for (i = 0; i < 5; i++)
		churn(&rnd);
	return malloc(10);
}

static void *starter(void *arg)
{
	uintptr_t i = (uintptr_t)arg;
	void *p;

	while (!atomic_load(&stop)) {
		pthread_t t[4];
		int n;

		for (n = 0; n < 4; n++)
			t[n] = start(brief, ++i);
		for (n = 0; n < 4; n++) {
			CHECK(pthread_join(t[n], &p) == 0);
			free(p);
		}
	}
	return NULL;
}

/* Threads that begin and end all the time. */
static int coming(void)
{
	run_with(starter, 3, nap);
	return 0;
}

/* --- a process that waits --- */

/* What the calls before have left in registers and on the stack. */
APART static void forget(void)
{
	volatile char dead[16384];
	size_t i;

	for (i = 0; i < sizeof(dead); i++)
		dead[i] = 0;
#ifdef __x86_64__
	__asm__ volatile("xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\txor %%edx, %%edx\n\t"
			 "xor %%esi, %%esi\n\txor %%edi, %%edi\n\txor %%r8d, %%r8d\n\t"
			 "xor %%r9d, %%r9d\n\txor %%r10d, %%r10d\n\txor %%r11d, %%r11d\n\t"
			 "pxor %%xmm0, %%xmm0\n\tpxor %%xmm1, %%xmm1\n\tpxor %%xmm2, %%xmm2\n\t"
			 "pxor %%xmm3, %%xmm3\n\tpxor %%xmm4, %%xmm4\n\tpxor %%xmm5, %%xmm5\n\t"
			 "pxor %%xmm6, %%xmm6\n\tpxor %%xmm7, %%xmm7"
			 :
			 :
			 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm0",
			   "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
#endif
}

APART static void leak_some(void)
{
	int i;

	for (i = 0; i < 10; i++)
		use(malloc(77));
	forget();
}

APART static void leak_more(void)
{
	use(malloc(99));
	forget();
}

static int pipes[2];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

static void *in_read(void *arg)
{
	char c;

	/* a call that signals restart: neither EINTR nor anything else comes of a report */
	CHECK(read(pipes[0], &c, 1) == 1 && c == 'x');
	return arg;
}

static void *in_wait(void *arg)
{
	pthread_mutex_lock(&lock);
	pthread_cond_wait(&never, &lock);
	return arg;
}

static void *all_blocked(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	for (;;)
		pause();
	return arg;
}

/* Prints "ready", waits for end of input, and checks that nothing was disturbed. */
static int idle(void)
{
	pthread_t reader;
	char c;

	CHECK(pipe(pipes) == 0);
	reader = start(in_read, 0);
	start(in_wait, 0);
	start(all_blocked, 0);
	leak_some();
	CHECK(write(1, "ready\n", 6) == 6);
	while (read(0, &c, 1) == 1) {
		leak_more();
		CHECK(write(1, "more\n", 5) == 5);
	}
	CHECK(write(pipes[1], "x", 1) == 1);
	CHECK(pthread_join(reader, NULL) == 0);
	return 0;
}

/* A thread that no signal reaches: its child of vfork takes its time. */
static void *in_vfork(void *arg)
{
	pid_t pid = vfork();

	if (!pid) {
		struct timespec ts = {8, 0};

		nanosleep(&ts, NULL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	return arg;
}

static int suspended(void)
{
	pthread_t t = start(in_vfork, 0);

	leak_some();
	usleep(100000);
	CHECK(write(1, "ready\n", 6) == 6);
	pthread_join(t, NULL);
	return 0;
}

/* Busy for some seconds, and leaking all the while. */
static int busy(void)
{
	double end = now() + seconds;
	unsigned int rnd = 8;

	while (now() < end) {
		churn(&rnd);
		leak_more();
		usleep(2000);
	}
	return 0;
}

/* So many MiB of blocks that point to each other, for the speed of a scan. */
static int heap(void)
{
	static void **last;
	size_t size, total = 0;
	unsigned int rnd = 4;

	while (total < (size_t)seconds << 20) {
		void **p;

		rnd = rnd * 1103515245 + 12345;
		size = 64 + (rnd >> 16 & 1023) * 8;
		p = malloc(size);
		CHECK(p);
		memset(p, 0x11, size);
		p[0] = last;
		p[size / sizeof(*p) - 1] = &last;
		last = p;
		total += size;
	}
	use(&last);
	return 0;
}

/* --- amounts that a profile has to estimate --- */

APART static void *small_and_live(void)
{
	void *p = malloc(64);

	use(p);
	return p;
}

APART static void *big_and_live(void)
{
	void *p = malloc(16000);

	use(p);
	return p;
}

APART static void *gone(void)
{
	void *p = malloc(250);

	use(p);
	return p;
}

/* 40 MiB in small blocks, 40 in big ones, and 400 MiB that come and go. */
static int amounts(void)
{
	static void *held[700000];
	size_t n = 0, total;

	for (total = 0; total < (size_t)40 << 20; total += 64)
		held[n++] = small_and_live();
	for (total = 0; total < (size_t)40 << 20; total += 16000)
		held[n++] = big_and_live();
	for (total = 0; total < (size_t)400 << 20; total += 250)
		free(gone());
	use(held);
	return 0;
}

/* --- surroundings --- */

static int leaks(void)
{
	leak_some();
	leak_more();
	printf("output\n");
	return status;
}

static int clean(void)
{
	void *p = malloc(100);

	use(p);
	free(p);
	printf("output\n");
	return 0;
}

/* Descriptor 2 is a file of the program's by now. */
static int reused(void)
{
	leak_some();
	close(2);
	CHECK(open("/proc/self/cwd/data", O_CREAT | O_RDWR, 0600) == 2);
	CHECK(write(2, "data\n", 5) == 5);
	return 0;
}

static int no_files(void)
{
	struct rlimit none = {3, 3};

	leak_some();
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	return 6;
}

static int no_memory(void)
{
	struct rlimit rl = {0, 0};
	size_t n = 0;

	leak_some();
	CHECK(setrlimit(RLIMIT_AS, &rl) == 0);
	while (n < 100000 && malloc(4096))
		n++;
	return 5;
}

/* Every signal has a handler of the program's own, and is let in. */
static atomic_int seen;
static void on_any(int sig)
{
	atomic_store(&seen, sig);
}

static int all_handled(void)
{
	struct sigaction sa = {.sa_handler = on_any, .sa_flags = SA_RESTART};
	int sig;

	leak_some();
	for (sig = 1; sig <= SIGRTMAX; sig++)
		if (sig != SIGKILL && sig != SIGSTOP && (sig < 32 || sig >= SIGRTMIN))
			CHECK(sigaction(sig, &sa, NULL) == 0);
	start(in_wait, 0);
	start(all_blocked, 0);
	for (sig = SIGRTMIN; sig <= SIGRTMAX; sig++) {
		atomic_store(&seen, 0);
		CHECK(raise(sig) == 0 && atomic_load(&seen) == sig);
	}
	atomic_store(&seen, 0);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(void);
} exercises[] = {
	{"phdr", phdr}, {"swap", swap}, {"fork", fork_storm}, {"fork_held", fork_held},
	{"storm", storm},
	{"many", many}, {"crowd", crowd}, {"coming", coming}, {"idle", idle}, {"suspended", suspended},
	{"busy", busy}, {"leaks", leaks}, {"clean", clean}, {"reused", reused},
	{"heap", heap}, {"amounts", amounts},
	{"no_files", no_files}, {"no_memory", no_memory}, {"all_handled", all_handled},
};

int main(int argc, char **argv)
{
	size_t i;

	if (argc > 2) {
		seconds = atof(argv[2]);
		status = atoi(argv[2]);
	}
	for (i = 0; i < sizeof(exercises) / sizeof(exercises[0]); i++)
		if (argc > 1 && !strcmp(argv[1], exercises[i].name))
			return exercises[i].run();
	failed("no such exercise", __LINE__);
}
