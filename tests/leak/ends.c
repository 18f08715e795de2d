/* SPDX-License-Identifier: MIT */
/* The ways in which a process ends, forks or becomes another program. */
#include "truth.h"

#include "ends.h"

#include <alloca.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

extern char **environ;

/* A block that is lost before the scene ends, so that every report has something to say. */
#define LEAK(scene, name, want, size) \
	CALLED(scene, name, want, void, (void)) \
	{ \
		use(malloc(size)); \
	}

/* As LEAK, and the pointer is the caller's. */
#define BLOCK(scene, name, want, size) \
	CALLED(scene, name, want, void *, (void)) \
	{ \
		void *p = malloc(size); \
\
		use(p); \
		return p; \
	}

/* --- the plain ones --- */

BLOCK("held", case_main_stack, "reachable 1 541 root=stack|reg", 541)

static int end_exit(void)
{
	exit(0);
}

static int end_held(void)
{
	void *volatile mine = case_main_stack();

	scrub();
	exit(0);
	use(mine);
}

/* The frame that holds is gone when main has returned. */
BLOCK("return", case_returned_frame, "direct 1 1001", 1001)
APART static void *far_down(void)
{
	void *volatile frame[40000];

	frame[0] = case_returned_frame();
	use((void *)frame);
	return NULL;
}

static int end_return(void)
{
	use(far_down());
	return 3;
}

CASE("_exit", case_before__exit, "direct 1 1002")
{
	use(malloc(1002));
}

static int end__exit(void)
{
	_exit(4);
}

CASE("_Exit", case_before__Exit, "direct 1 1003")
{
	use(malloc(1003));
}

static int end__Exit(void)
{
	_Exit(5);
}

CASE("quick", case_before_quick, "direct 1 1004")
{
	use(malloc(1004));
}

LEAK("quick", case_at_quick_exit, "direct 1 1005", 1005)
static int end_quick(void)
{
	NEED(at_quick_exit(case_at_quick_exit) == 0);
	quick_exit(6);
}

CASE("abort", case_before_abort, "direct 1 1006")
{
	use(malloc(1006));
}

static int end_abort(void)
{
	abort();
}

/* --- signals --- */

CASE("segv", case_before_segv, "direct 1 1011")
{
	use(malloc(1011));
}

static int end_segv(void)
{
	volatile int *volatile null = NULL;

	return *null;
}

CASE("overflow", case_before_overflow, "direct 1 1012")
{
	use(malloc(1012));
}

APART static int endless(volatile char *above)
{
	volatile char room[4096];

	room[0] = *above;
	if (!room[0])
		return 0;
	return endless(room) + room[1];
}

static int end_overflow(void)
{
	volatile char start = 1;

	return endless(&start);
}

CASE("term", case_before_term, "direct 1 1013")
{
	use(malloc(1013));
}

static int end_term(void)
{
	kill(getpid(), SIGTERM);
	return 9;
}

/* A signal that arrives from outside while all threads sleep. */
CASE("idle_term", case_before_idle_term, "direct 1 1014")
{
	use(malloc(1014));
}

APART static void *sleep_only(void *arg)
{
	sleep_forever();
	return arg;
}

static int end_idle_term(void)
{
	start_sleeper(sleep_only, NULL);
	if (fork() == 0) {
		usleep(100000);
		kill(getppid(), SIGTERM);
		syscall(SYS_exit_group, 0);
	}
	sleep_forever();
	return 9;
}

CASE("term_handler", case_before_term_handler, "direct 1 1015")
{
	use(malloc(1015));
}

static void exit_seven(int sig)
{
	(void)sig;
	exit(7);
}

static int end_term_handler(void)
{
	NEED(signal(SIGTERM, exit_seven) != SIG_ERR);
	kill(getpid(), SIGTERM);
	return 9;
}

/* The program mends the cause and goes on: a handled fault is no end. */
CASE("fault_handled", case_before_fault, "direct 1 1016")
{
	use(malloc(1016));
}

static sigjmp_buf *after_fault;
static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(*after_fault, 1);
}

LEAK("fault_handled", case_after_fault, "direct 1 1017", 1017)
static int end_fault_handled(void)
{
	static sigjmp_buf buf;
	volatile int *volatile null = NULL;

	after_fault = &buf;
	NEED(signal(SIGSEGV, on_fault) != SIG_ERR);
	if (!sigsetjmp(buf, 1))
		return *null;
	case_after_fault();
	return 0;
}

/* --- threads --- */

CASE("thread_exit", case_before_thread_exit, "direct 1 1021")
{
	use(malloc(1021));
}

BLOCK("thread_exit", case_on_main_stack, "reachable 1 1022 root=stack|reg", 1022)
APART static void *exit_eight(void *arg)
{
	usleep(50000);
	exit(8);
	return arg;
}

static int end_thread_exit(void)
{
	void *volatile mine = case_on_main_stack();
	pthread_t thread;

	NEED(pthread_create(&thread, NULL, exit_eight, NULL) == 0);
	for (;;)
		pause();
	use(mine);
}

CASE("two_exits", case_before_two_exits, "direct 1 1019")
{
	use(malloc(1019));
}

static pthread_barrier_t both_exit;

APART static void *exit_nine(void *arg)
{
	pthread_barrier_wait(&both_exit);
	exit(9);
	return arg;
}

/* libc's exit() lets the second one pass: neither may end the other's report. */
static int end_two_exits(void)
{
	pthread_t thread;

	NEED(pthread_barrier_init(&both_exit, NULL, 2) == 0);
	NEED(pthread_create(&thread, NULL, exit_nine, NULL) == 0);
	pthread_barrier_wait(&both_exit);
	return 9;
}

CASE("last_thread", case_before_last_thread, "direct 1 1023")
{
	use(malloc(1023));
}

BLOCK("last_thread", case_main_gone, "direct 1 1024", 1024)
LEAK("last_thread", case_in_last_thread, "direct 1 1025", 1025)
APART static void *end_last(void *arg)
{
	wait_main_ended();
	case_in_last_thread();
	return arg;
}

/* main ends by pthread_exit: the process ends with its last thread, and its status is 0. */
static int end_last_thread(void)
{
	void *volatile mine[4000];
	pthread_t thread;

	mine[0] = case_main_gone();
	use((void *)mine);
	NEED(pthread_create(&thread, NULL, end_last, NULL) == 0);
	pthread_exit(NULL);
}

/* exit on a coroutine's stack: what main's stack holds is alive. */
CASE("coroutine_exit", case_before_coroutine_exit, "direct 1 1026")
{
	use(malloc(1026));
}

BLOCK("coroutine_exit", case_under_coroutine, "reachable 1 1027", 1027)
BLOCK("coroutine_exit", case_on_coroutine, "reachable 1 1028", 1028)
static void exit_ten(void)
{
	void *volatile mine = case_on_coroutine();

	exit(10);
	use(mine);
}

static int end_coroutine_exit(void)
{
	static ucontext_t here, there;
	void *volatile mine = case_under_coroutine();

	NEED(getcontext(&there) == 0);
	there.uc_stack.ss_size = 256 << 10;
	there.uc_stack.ss_sp = mmap(NULL, there.uc_stack.ss_size, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(there.uc_stack.ss_sp != MAP_FAILED);
	makecontext(&there, exit_ten, 0);
	swapcontext(&here, &there);
	use(mine);
	return 1;
}

/* --- fork --- */

EXPECT("fork.parent", case_before_fork, "direct 1 1031");
CALLED("fork.child", case_before_fork, "direct 1 1031", void, (void))
{
	use(malloc(1031));
}
LEAK("fork.child", case_in_child, "direct 2 2064", 1032)
LEAK("fork.parent", case_in_parent, "direct 1 1033", 1033)
CALLED("fork.parent", case_freed_in_child, "reachable 1 1034", void *, (void))
{
	void *p = malloc(1034);

	use(p);
	return p;
}

static void *held_over_fork;

static void wait_for(pid_t pid, int status)
{
	int got;

	NEED(pid > 0 && waitpid(pid, &got, 0) == pid);
	NEED(WIFEXITED(got) && WEXITSTATUS(got) == status);
}

static int end_fork(void)
{
	pid_t pid;

	case_before_fork();
	HOLD(held_over_fork, case_freed_in_child());
	scrub();
	pid = fork();
	if (pid == 0) {
		truth_role("child");
		free(held_over_fork);
		held_over_fork = NULL;
		case_in_child();
		case_in_child();
		exit(11);
	}
	truth_role("parent");
	wait_for(pid, 11);
	case_in_parent();
	return 0;
}

/* With threads: they are not in the child. */
EXPECT("fork_threads.parent", case_before_threads, "direct 1 1035");
CALLED("fork_threads.child", case_before_threads, "direct 1 1035", void, (void))
{
	use(malloc(1035));
}
LEAK("fork_threads.child", case_in_thread_child, "direct 1 1036", 1036)

static int end_fork_threads(void)
{
	pid_t pid;
	int i;

	for (i = 0; i < 4; i++)
		start_sleeper(sleep_only, NULL);
	case_before_threads();
	scrub();
	pid = fork();
	if (pid == 0) {
		truth_role("child");
		case_in_thread_child();
		_exit(12);
	}
	truth_role("parent");
	wait_for(pid, 12);
	return 0;
}

/* A grandchild, whose parent is gone. */
EXPECT("daemon.parent", case_before_daemon, "direct 1 1037");
EXPECT("daemon.child", case_before_daemon, "direct 1 1037");
CALLED("daemon.grandchild", case_before_daemon, "direct 1 1037", void, (void))
{
	use(malloc(1037));
}
LEAK("daemon.grandchild", case_in_daemon, "direct 1 1038", 1038)

static int end_daemon(void)
{
	int gone[2];
	char c;
	pid_t pid;

	case_before_daemon();
	NEED(pipe(gone) == 0);
	pid = fork();
	if (pid == 0) {
		truth_role("child");
		if (fork())
			_exit(0);
		setsid();
		truth_role("grandchild");
		case_in_daemon();
		exit(0);
	}
	truth_role("parent");
	close(gone[1]);
	wait_for(pid, 0);
	return read(gone[0], &c, 1) == 0 ? 0 : 1;
}

/* The same by libc's function, whose parent ends inside of it. */
EXPECT("daemon_call.parent", case_before_call, "direct 1 1047");
EXPECT("daemon_call.child", case_before_call, "direct 1 1047");
CALLED("daemon_call.grandchild", case_before_call, "direct 1 1047", void, (void))
{
	use(malloc(1047));
}
LEAK("daemon_call.grandchild", case_in_call, "direct 1 1048", 1048)

static int end_daemon_call(void)
{
	int gone[2];
	char c;
	pid_t pid;

	case_before_call();
	NEED(pipe(gone) == 0);
	pid = fork();
	if (pid == 0) {
		truth_role("child");
		NEED(daemon(1, 1) == 0);
		truth_role("grandchild");
		case_in_call();
		exit(0);
	}
	truth_role("parent");
	close(gone[1]);
	wait_for(pid, 0);
	return read(gone[0], &c, 1) == 0 ? 0 : 1;
}

/* --- exec --- */

static char *self(const char *scene, char **argv)
{
	static char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	NEED(n > 0);
	path[n] = 0;
	argv[0] = path;
	argv[1] = (char *)(uintptr_t)scene;
	argv[2] = NULL;
	return path;
}

CASE("execd", case_after_exec, "direct 1 1041")
{
	use(malloc(1041));
}

CASE("exec", case_before_exec, "direct 1 1042")
{
	use(malloc(1042));
}

static int end_exec(void)
{
	char *argv[3], *path = self("execd", argv);

	execv(path, argv);
	return 9;
}

static int end_execd(void)
{
	return 13;
}

CASE("exec_failed", case_before_exec_failed, "direct 1 1043")
{
	use(malloc(1043));
}

LEAK("exec_failed", case_after_exec_failed, "direct 1 1044", 1044)
static int end_exec_failed(void)
{
	char *argv[] = {(char *)(uintptr_t)"none", NULL};

	NEED(execv("/nonexistent/program", argv) == -1 && errno == ENOENT);
	NEED(execve("/", argv, environ) == -1 && errno == EACCES);
	case_after_exec_failed();
	return 0;
}

EXPECT("fork_exec.parent", case_before_fork_exec, "direct 1 1045");
CALLED("fork_exec.child", case_before_fork_exec, "direct 1 1045", void, (void))
{
	use(malloc(1045));
}

static int end_fork_exec(void)
{
	char *argv[3], *path = self("execd", argv);
	pid_t pid;

	case_before_fork_exec();
	pid = fork();
	if (pid == 0) {
		truth_role("child");
		execv(path, argv);
		_exit(9);
	}
	truth_role("parent");
	wait_for(pid, 13);
	return 0;
}

/* The child of vfork is in its parent's memory: nothing of it is its own. */
CASE("vfork", case_before_vfork, "direct 1 1046")
{
	use(malloc(1046));
}

LEAK("vfork", case_after_vfork, "direct 1 1047", 1047)
static int end_vfork(void)
{
	char *argv[3], *path = self("execd", argv);
	volatile pid_t pid = vfork();

	if (pid == 0) {
		execv(path, argv);
		_exit(9);
	}
	wait_for(pid, 13);
	pid = vfork();
	if (pid == 0)
		_exit(14);
	wait_for(pid, 14);
	case_after_vfork();
	return 0;
}

CASE("spawn", case_before_spawn, "direct 1 1048")
{
	use(malloc(1048));
}

static int end_spawn(void)
{
	char *argv[3], *path = self("execd", argv);
	pid_t pid;

	NEED(posix_spawn(&pid, path, NULL, NULL, argv, environ) == 0);
	wait_for(pid, 13);
	return 0;
}

/* --- birth and death --- */

static int in_scene(const char *scene)
{
	char buf[64];
	int fd = open("/proc/self/cmdline", O_RDONLY);
	ssize_t n = read(fd, buf, sizeof(buf) - 1), i;
	size_t length = strlen(scene);

	close(fd);
	/* the last argument */
	for (i = n - 2; i > 0 && buf[i - 1]; i--)
		;
	return n > 2 && (size_t)(n - 1 - i) == length && !memcmp(buf + i, scene, length);
}

CALLED("life", case_constructor, "direct 1 1051", void, (void))
{
	use(malloc(1051));
}

CALLED("life", case_destructor, "direct 1 1052", void, (void))
{
	use(malloc(1052));
}

__attribute__((constructor)) static void born(void)
{
	if (in_scene("life"))
		case_constructor();
}

__attribute__((destructor)) static void dead(void)
{
	if (in_scene("life"))
		case_destructor();
}

LEAK("life", case_atexit, "direct 1 1053", 1053)
CALLED("life", case_on_exit, "direct 1 1054", void, (int status, void *arg))
{
	(void)status, (void)arg;
	use(malloc(1054));
}

/* Registered by a function that runs at exit. */
LEAK("life", case_atexit_late, "direct 1 1055", 1055)
static void register_late(void)
{
	NEED(atexit(case_atexit_late) == 0);
}

EXPECT("life", case_library_constructor, "direct 1 711");
EXPECT("life", case_library_destructor, "direct 1 712");

static int end_life(void)
{
	NEED(atexit(case_atexit) == 0 && atexit(register_late) == 0);
	NEED(on_exit(case_on_exit, NULL) == 0);
	truth_load("lib_life");
	return 0;
}

/* --- memory that must not be read as if it were there --- */

BLOCK("holes", case_sparse, "reachable 1 1061", 1061)
BLOCK("holes", case_truncated, "reachable 1 1062", 1062)
BLOCK("holes", case_guarded, "reachable 1 1063", 1063)

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static int end_holes(void)
{
	const size_t gib = (size_t)1 << 30;
	char path[] = "/tmp/truth-holes-XXXXXX";
	int fd = mkstemp(path);
	char *p;

	/* 64 GiB, of which one page is used */
	p = mmap(NULL, 64 * gib, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	NEED(p != MAP_FAILED);
	*(void **)(p + 40 * gib) = case_sparse();

	/* a file that got shorter */
	NEED(fd >= 0 && ftruncate(fd, 65536) == 0);
	p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	NEED(p != MAP_FAILED);
	*(void **)p = case_truncated();
	NEED(ftruncate(fd, 4096) == 0);
	unlink(path);

	/* pages that fault without a mapping of their own that would say so */
	p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(p != MAP_FAILED);
	memset(p, 0, 65536);
	if (madvise(p + 8192, 8192, MADV_GUARD_INSTALL) < 0)
		NEED(errno == EINVAL);
	*(void **)(p + 32768) = case_guarded();
	NEED(mprotect(p + 49152, 4096, PROT_NONE) == 0);
	NEED(mprotect(p + 40960, 4096, PROT_WRITE) == 0);
	return 0;
}

/* --- young ones: the runner sets the age --- */

CASE("young", case_young, "young 3 3213")
{
	int i;

	for (i = 0; i < 3; i++)
		use(malloc(1071));
}

CALLED("young", case_young_held, "reachable 1 1072", void *, (void))
{
	void *p = malloc(1072);

	use(p);
	return p;
}

static void *held_young;
STEP("young", hold_young)
{
	HOLD(held_young, case_young_held());
}

/* Sleeping threads have come to rest. */
static int end_rested(void)
{
	wait_rest(truth_spinning);
	exit(0);
}

const struct scene_end scene_ends[] = {
	{"plain", "exit 0", end_exit},
	{"held", "exit 0", end_held},
	{"large", "exit 0", end_exit},
	{"threads", "exit 0", end_rested},
	{"modules", "exit 0", end_rested},
	{"stacks", "exit 0", end_exit},
	{"cxx", "exit 0", end_exit},
	{"residue", "exit 0", end_exit},
	{"catch", "exit 0", end_exit},
	{"return", "exit 3", end_return},
	{"_exit", "exit 4", end__exit},
	{"_Exit", "exit 5", end__Exit},
	{"quick", "exit 6", end_quick},
	{"abort", "signal 6", end_abort},
	{"segv", "signal 11", end_segv},
	{"overflow", "signal 11", end_overflow},
	{"term", "signal 15", end_term},
	{"idle_term", "signal 15", end_idle_term},
	{"term_handler", "exit 7", end_term_handler},
	{"fault_handled", "exit 0", end_fault_handled},
	{"thread_exit", "exit 8", end_thread_exit},
	{"two_exits", "exit 9", end_two_exits},
	{"last_thread", "exit 0", end_last_thread},
	{"coroutine_exit", "exit 10", end_coroutine_exit},
	{"fork", "exit 0", end_fork},
	{"fork_threads", "exit 0", end_fork_threads},
	{"daemon", "exit 0", end_daemon},
	{"daemon_call", "exit 0", end_daemon_call},
	{"exec", "exit 13", end_exec},
	{"execd", "exit 13", end_execd},
	{"exec_failed", "exit 0", end_exec_failed},
	{"fork_exec", "exit 0", end_fork_exec},
	{"vfork", "exit 0", end_vfork},
	{"spawn", "exit 0", end_spawn},
	{"life", "exit 0", end_life},
	{"holes", "exit 0", end_holes},
	{"young", "exit 0", end_exit},
	{"said", "exit 0", end_exit},
	{NULL, NULL, NULL},
};
