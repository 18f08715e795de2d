/* SPDX-License-Identifier: MIT */
/*
 * kswapd=1: a thread of this name, with all signals blocked, brings the resident size of an idle
 * program down within a second. It starts when there is something to give back and not before, it
 * starts anew in a child of fork, and it leaves a load that takes and frees the same alone.
 */
#include <dirent.h>
#include <malloc.h>
#include <setjmp.h>

#include "again.h"
#include "watch.h"

#define BLOCKS 300000
#define NAP 10000		/* microseconds */
#define NAPS 200		/* two seconds, or more where all that sleep are late */
#define STOP 0.05		/* seconds: of a load that never rests, so long is not its own */

static char *p[BLOCKS];

/* Reads /proc/self/task/TID/@file; without malloc. */
static void read_task(const char *tid, const char *file, char *text, size_t size)
{
	char path[300];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%s/%s", tid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	close(fd);
}

/* How many threads have this name; checks their signals. */
static int threads_named(const char *name)
{
	char text[4096], line[64];
	struct dirent *e;
	DIR *d = opendir("/proc/self/task");
	int n = 0;

	CHECK(d, "no /proc/self/task");
	snprintf(line, sizeof(line), "%s\n", name);
	while ((e = readdir(d))) {
		char *blocked;

		if (e->d_name[0] == '.')
			continue;
		read_task(e->d_name, "comm", text, sizeof(text));
		if (strcmp(text, line) != 0)
			continue;
		n++;
		read_task(e->d_name, "status", text, sizeof(text));
		blocked = strstr(text, "SigBlk:");
		/* SIGKILL and SIGSTOP cannot be */
		CHECK(blocked && strtoull(blocked + 7, NULL, 16) == 0xfffffffffffbfeff, "%.40s",
		      blocked);
	}
	closedir(d);
	return n;
}

/* Blocks of all sizes, of which one in ten stays: bytes that do, and that go. */
static size_t make_garbage(size_t *freed)
{
	uint64_t rand = hard_seed(3);
	size_t live = 0;

	*freed = 0;
	for (size_t i = 0; i < BLOCKS; i++) {
		size_t n = i % 64 ? 16 + hard_rand(&rand) % 1000 : 16 + hard_rand(&rand) % 60000;

		p[i] = hard_malloc(n);
		memset(p[i], (int)i, n);
		*(i % 10 ? freed : &live) += n;
	}
	for (size_t i = 0; i < BLOCKS; i++)
		if (i % 10)
			free(p[i]);
	return live;
}

/* Idle until no more than @most is resident, or for too long. */
static void comes_down(size_t most)
{
	double start = hard_now();

	for (int i = 0; i < NAPS && rss() > most; i++)
		hard_usleep(NAP);
	CHECK(rss() <= most, "%zu MiB after %.1f s, not %zu", rss() >> 20, hard_now() - start,
	      most >> 20);
}

/* @before: is there a thread already? -1: whether or not. */
static void idle(int before)
{
	size_t base = rss(), live, freed;

	CHECK(before < 0 || threads_named("kswapd") == before, "%d threads at first, not %d",
	      threads_named("kswapd"), before);
	live = make_garbage(&freed);
	CHECK(threads_named("kswapd") == 1, "%d threads are called kswapd",
	      threads_named("kswapd"));
	/* a survivor of 500 bytes keeps its page; free() alone leaves half of it all */
	comes_down(base + live + freed / 5 * 2);
	for (size_t i = 0; i < BLOCKS; i += 10)
		CHECK(p[i][15] == (char)i, "block %zu was changed", i);
	for (size_t i = 0; i < BLOCKS; i += 10)
		free(p[i]);
	comes_down(base + 16 * MIB);	/* tables, and the list of blocks */
	CHECK(threads_named("kswapd") == 1, "%d threads are called kswapd",
	      threads_named("kswapd"));
}

static void quiet(void)
{
	for (size_t i = 0; i < 1000; i++)
		free(hard_malloc(i));
	hard_usleep(300000);
	CHECK(threads_named("kswapd") == 0, "a thread without need");
}

/*
 * A load that takes and frees 32 MiB again and again takes no faults once it has them. A
 * machine that stops us makes us idle, and has all of it given back: so often it may be.
 */
static void busy(size_t n)
{
	size_t count = 32 * MIB / n;
	long before = 0, stops = 0;
	double start, last, now;

	for (int half = 0; half < 2; half++) {
		before = faults();
		stops = 0;
		start = last = hard_now();
		do {
			for (size_t i = 0; i < count; i++) {
				p[i] = hard_malloc(n);
				touch(p[i], n);
			}
			for (size_t i = 0; i < count; i++)
				free(p[i]);
			now = hard_now();
			stops += now - last > STOP;
			last = now;
		} while (now - start < 1.0);
	}
	before = faults() - before;
	CHECK(before <= (3 + stops) * (long)(32 * MIB / 4096),
	      "blocks of %zu: %ld faults in a second, %ld stops", n, before, stops);
}

static void forks(void)
{
	pid_t pid;

	idle(0);
	pid = fork();
	if (pid == 0) {
		CHECK(threads_named("kswapd") == 0, "the child has a thread");
		idle(-1);
		/* once more, of a process that had no other thread but ours */
		pid = fork();
		if (pid == 0) {
			idle(-1);
			_exit(0);
		}
		hard_reap(pid, "grandchild");
		_exit(0);
	}
	hard_reap(pid, "child");
	/* at any moment of the thread's */
	for (int i = 0; i < 200; i++) {
		for (size_t k = 0; k < 100; k++)
			p[k] = memset(hard_malloc(50000), 1, 50000);
		for (size_t k = 0; k < 100; k++)
			free(p[k]);
		pid = fork();
		if (pid == 0) {
			free(memset(hard_malloc(3 * MIB), 1, 3 * MIB));
			malloc_trim(0);
			_exit(0);
		}
		hard_reap(pid, "one of many");
		hard_usleep(3000);
	}
}

/* A vfork child must start no thread: it would be the child's, on the parent's memory. */
static void vforks(void)
{
	int status;
	pid_t pid = vfork();

	if (pid == 0) {
		void *q = malloc(8 * MIB);

		if (q)
			free(memset(q, 1, 8 * MIB));
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0, "status %#x", status);
	idle(0);
}

static void forbidden(void)
{
	size_t freed;

	mallopt(M_TRIM_THRESHOLD, -1);
	make_garbage(&freed);
	hard_usleep(300000);
	CHECK(threads_named("kswapd") == 0, "-1 means never");
}

static void keeps(void)
{
	size_t base = rss(), now;

	for (size_t i = 0; i < 600; i++) {
		p[i] = hard_malloc(100000);
		touch(p[i], 100000);
	}
	for (size_t i = 0; i < 600; i++)
		free(p[i]);
	comes_down(base + 40 * MIB);
	/* and no further */
	hard_usleep(500000);
	now = rss() - base;
	CHECK(now >= 28 * MIB && now <= 40 * MIB, "%zu MiB are kept, not 32", now >> 20);
}

static void *ends_alone(void *arg)
{
	hard_usleep(100000);
	return arg;
}

static void run(const char *what)
{
	pthread_t t;

	no_huge_pages();
	if (strcmp(what, "idle") == 0) {
		idle(0);
		idle(1);
	} else if (strcmp(what, "off") == 0) {
		size_t freed;

		make_garbage(&freed);
		CHECK(threads_named("kswapd") == 0, "a thread that nobody asked for");
	} else if (strcmp(what, "quiet") == 0) {
		quiet();
	} else if (strcmp(what, "busy") == 0) {
		busy(MIB);
		busy(1000);
		busy(20000);
	} else if (strcmp(what, "forks") == 0) {
		forks();
	} else if (strcmp(what, "vforks") == 0) {
		vforks();
	} else if (strcmp(what, "forbidden") == 0) {
		forbidden();
	} else if (strcmp(what, "keeps") == 0) {
		keeps();
	} else {
		/* the program's last thread ends: so does the process */
		idle(0);
		hard_start(&t, ends_alone, NULL);
		pthread_exit(NULL);
	}
}

#define CONF(more) { "STELE_CONF=kswapd=1" more, NULL }

int main(int argc, char **argv)
{
	static const char *const off[] = { "STELE_CONF=kswapd=0", NULL }, *const on[] = CONF("");
	static const char *const slow[] = CONF(",kswapd_keep=32M,kswapd_delay=50");
	static const char *const what[] = { "idle", "quiet", "busy", "forks", "vforks",
					    "forbidden", "exit" };

	if (!hard_on_stele())
		SKIP("plain libc has no such thread");
	if (argc > 1) {
		run(argv[1]);
		return 0;
	}
	again_expect("off", off);
	for (size_t i = 0; i < ARRAY_LEN(what); i++)
		again_expect(what[i], on);
	again_expect("keeps", slow);
	return 0;
}
