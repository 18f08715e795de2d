/* SPDX-License-Identifier: MIT */
/*
 * truth SCENE: runs the cases of a scene, and ends in the scene's way.
 * truth -l: prints "scene case wanted" for each case; truth -s: "scene end" for each scene.
 *
 * TRUTH_ROLES names a file where a process of a scene with several writes "PID ROLE".
 */
#include "truth.h"

#include "ends.h"

#include <alloca.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern const struct truth_case __start_truth_cases[];
extern const struct truth_case __stop_truth_cases[];

static char directory[PATH_MAX];
static sem_t ready;
volatile int truth_spinning;

void truth_note(const char *line)
{
	char buf[256];
	int n = snprintf(buf, sizeof(buf), "truth: %s\n", line);

	if (write(2, buf, (size_t)n) < 0)
		_exit(126);
}

void truth_fail(const char *what)
{
	truth_note(what);
	_exit(125);
}

/* Deeper than any case goes but case_dead_stack. */
APART void scrub(void)
{
	volatile char *dead = alloca(256 << 10);
	size_t i;

	for (i = 0; i < 256 << 10; i++)
		dead[i] = 0;
}

const char *truth_dir(void)
{
	return directory;
}

/* Where libtool put the modules: beside the program, or in its .libs. */
static void find_directory(void)
{
	ssize_t n = readlink("/proc/self/exe", directory, sizeof(directory) - 1);

	NEED(n > 0);
	directory[n] = 0;
	*strrchr(directory, '/') = 0;
}

void *truth_load(const char *name)
{
	char path[PATH_MAX + 64];
	void *lib;

	snprintf(path, sizeof(path), "%s/%s.so", directory, name);
	if (access(path, R_OK) < 0)
		snprintf(path, sizeof(path), "%s/.libs/%s.so", directory, name);
	lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		truth_fail(dlerror());
	return lib;
}

void *truth_symbol(void *lib, const char *name)
{
	void *symbol = dlsym(lib, name);

	if (!symbol)
		truth_fail(name);
	return symbol;
}

void truth_role(const char *role)
{
	const char *path = getenv("TRUTH_ROLES");
	char line[64];
	int fd, n;

	if (!path)
		return;
	n = snprintf(line, sizeof(line), "%d %s\n", (int)getpid(), role);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	NEED(fd >= 0 && write(fd, line, (size_t)n) == n);
	close(fd);
}

void sleeper_is_ready(void)
{
	sem_post(&ready);
}

/* A sleeper has what its calls have left in registers that no call keeps. */
static void clear_vectors(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vzeroall"
				 :
				 :
				 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
				   "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
				   "xmm15");
	/* and the upper ones, which libc copies by; the compiler does not know them here */
	if (__builtin_cpu_supports("avx512f"))
		__asm__ volatile(".irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, "
				 "30, 31\n\t"
				 "vpxord %zmm\\n, %zmm\\n, %zmm\\n\n\t"
				 ".endr");
#endif
}

void sleep_forever(void)
{
	sleeper_is_ready();
	clear_vectors();
	for (;;)
		pause();
}

void wait_for_sleeper(void)
{
	while (sem_wait(&ready) < 0)
		NEED(errno == EINTR);
}

pthread_t start_sleeper(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	NEED(pthread_create(&thread, NULL, fn, arg) == 0);
	wait_for_sleeper();
	return thread;
}

/* A directory has a link from each of its own. */
long truth_threads(void)
{
	struct stat st;

	NEED(stat("/proc/self/task", &st) == 0);
	return (long)st.st_nlink - 2;
}

void wait_threads(long count)
{
	while (truth_threads() > count)
		usleep(1000);
}

static char thread_state(const char *tid)
{
	char path[300], text[256] = "";
	const char *at;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%s/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	at = strrchr(text, ')');
	return at && at[1] ? at[2] : 'X';
}

/* How many threads but the caller do not sleep; -1: the first one has not ended. Without malloc. */
static int at_work(bool ended)
{
	static char list[1 << 16] __attribute__((aligned(8)));
	int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), busy = 0;
	long n = syscall(SYS_getdents64, fd, list, sizeof(list));

	NEED(n > 0);
	close(fd);
	for (long at = 0; at < n; at += ((struct dirent64 *)(list + at))->d_reclen) {
		const char *tid = ((struct dirent64 *)(list + at))->d_name;
		pid_t number = atoi(tid);

		if (tid[0] == '.' || number == (pid_t)syscall(SYS_gettid))
			continue;
		if (ended && number == getpid() && thread_state(tid) != 'Z')
			return -1;
		busy += thread_state(tid) != 'S';
	}
	return busy;
}

void wait_rest(int spinning)
{
	while (at_work(false) > spinning)
		usleep(1000);
}

void wait_main_ended(void)
{
	while (at_work(true) < 0)
		usleep(1000);
}

static int print_table(void)
{
	const struct truth_case *c;

	for (c = __start_truth_cases; c < __stop_truth_cases; c++)
		if (c->want)
			printf("%s %s %s\n", c->scene, c->name, c->want);
	return 0;
}

static int print_scenes(void)
{
	const struct scene_end *e;

	for (e = scene_ends; e->scene; e++)
		printf("%s %s\n", e->scene, e->how);
	return 0;
}

/*
 * The cases' frames lie deeper than what the scene's end and the red zone below it may cover: a
 * frame of scrub() has holes as well.
 */
APART static void run_cases(const char *scene)
{
	volatile char between[1024];
	const struct truth_case *c;

	memset((void *)between, 0, sizeof(between));
	use((void *)between);
	for (c = __start_truth_cases; c < __stop_truth_cases; c++) {
		if (!c->run || strcmp(c->scene, scene))
			continue;
		c->run();
		scrub();
	}
}

int main(int argc, char **argv)
{
	const struct scene_end *e;

	if (argc == 2 && !strcmp(argv[1], "-l"))
		return print_table();
	if (argc == 2 && !strcmp(argv[1], "-s"))
		return print_scenes();
	if (argc != 2)
		truth_fail("usage: truth SCENE");
	find_directory();
	NEED(sem_init(&ready, 0, 0) == 0);
	for (e = scene_ends; e->scene; e++)
		if (!strcmp(e->scene, argv[1]))
			break;
	if (!e->scene)
		truth_fail("no such scene");
	run_cases(argv[1]);
	return e->end();
}
