/* SPDX-License-Identifier: MIT */
/* Threads: what their stacks and registers hold, and what ended ones have left; scene "threads". */
#include "truth.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ON_THREAD(name, want) \
	CALLED("threads", name, want, void *, (void)) \
	{ \
		void *p = malloc(600); \
\
		use(p); \
		return p; \
	}

/* --- stacks of threads that live --- */

ON_THREAD(case_thread_stack, "reachable 1 600 root=stack|reg")
APART static void *sleep_with_pointer(void *arg)
{
	void *volatile mine = case_thread_stack();

	sleep_forever();
	use(mine);
	return arg;
}

STEP("threads", hold_on_stack)
{
	start_sleeper(sleep_with_pointer, NULL);
}

ON_THREAD(case_own_stack, "reachable 1 600 root=stack|map")
APART static void *sleep_on_own_stack(void *arg)
{
	void *volatile mine = case_own_stack();

	sleep_forever();
	use(mine);
	return arg;
}

/* A stack that the program made: pthread_attr_setstack. */
STEP("threads", hold_on_own_stack)
{
	void *stack = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attr;
	pthread_t thread;

	NEED(stack != MAP_FAILED && pthread_attr_init(&attr) == 0);
	NEED(pthread_attr_setstack(&attr, stack, 1 << 20) == 0);
	NEED(pthread_create(&thread, &attr, sleep_on_own_stack, NULL) == 0);
	pthread_attr_destroy(&attr);
	wait_for_sleeper();
}

#ifdef MAP_32BIT
/* Where addresses are as small as sizes. */
ON_THREAD(case_low_stack, "reachable 1 600 root=stack|reg")
ON_THREAD(case_below_low_stack, "reachable 1 600 root=map")
APART static void *sleep_low(void *arg)
{
	void *volatile mine = case_low_stack();

	sleep_forever();
	use(mine);
	return arg;
}

STEP("threads", hold_on_low_stack)
{
	char *low = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	pthread_attr_t attr;
	pthread_t thread;

	NEED(low != MAP_FAILED && pthread_attr_init(&attr) == 0);
	*(void **)low = case_below_low_stack();
	NEED(pthread_attr_setstack(&attr, low + (1 << 20), 1 << 20) == 0);
	NEED(pthread_create(&thread, &attr, sleep_low, NULL) == 0);
	pthread_attr_destroy(&attr);
	wait_for_sleeper();
}
#endif

/* The same in a block, of which the dead part holds nothing. */
ON_THREAD(case_block_stack, "reachable 1 600 root=stack|reg")
ON_THREAD(case_below_block_stack, "direct 1 600")
APART static void forget_in_block(void)
{
	void *volatile dead[4000];

	dead[0] = dead[1] = case_below_block_stack();
	use((void *)dead);
}

APART static void *sleep_on_block(void *arg)
{
	void *volatile mine;

	forget_in_block();
	mine = case_block_stack();
	sleep_forever();
	use(mine);
	return arg;
}

CALLED("threads", case_stack_in_block, "reachable 1 1048576", void *, (void))
{
	void *p = calloc(1, 1 << 20);

	use(p);
	return p;
}

STEP("threads", hold_on_block)
{
	void *stack = case_stack_in_block();
	pthread_attr_t attr;
	pthread_t thread;

	NEED(pthread_attr_init(&attr) == 0 && pthread_attr_setstack(&attr, stack, 1 << 20) == 0);
	NEED(pthread_create(&thread, &attr, sleep_on_block, NULL) == 0);
	pthread_attr_destroy(&attr);
	wait_for_sleeper();
}

ON_THREAD(case_detached_stack, "reachable 1 600 root=stack|reg")
APART static void *sleep_detached(void *arg)
{
	void *volatile mine = case_detached_stack();

	pthread_detach(pthread_self());
	sleep_forever();
	use(mine);
	return arg;
}

STEP("threads", hold_on_detached)
{
	start_sleeper(sleep_detached, NULL);
}

ON_THREAD(case_below_thread, "direct 1 600")
APART static void forget_below(void)
{
	void *volatile dead[4000];

	dead[0] = case_below_thread();
	use((void *)dead);
}

APART static void *sleep_above(void *arg)
{
	forget_below();
	sleep_forever();
	return arg;
}

STEP("threads", leave_below_stack)
{
	start_sleeper(sleep_above, NULL);
}

/* A thread that takes no signal. */
ON_THREAD(case_blocked_stack, "reachable 1 600 root=stack|map")
APART static void *sleep_blocked(void *arg)
{
	void *volatile mine = case_blocked_stack();
	sigset_t all;

	sigfillset(&all);
	NEED(pthread_sigmask(SIG_SETMASK, &all, NULL) == 0);
	sleep_forever();
	use(mine);
	return arg;
}

STEP("threads", hold_blocked)
{
	start_sleeper(sleep_blocked, NULL);
}

/* --- registers --- */

/*
 * The thread has its pointer in a register and nowhere else: it was hidden until now, the stack
 * below is clear, and from here on there is no call.
 */
#define IN_REGISTER(name, reg) \
	ON_THREAD(case_register_##name, "reachable 1 600 root=reg|stack") \
	static uintptr_t hidden_##name; \
	APART static void *sleep_in_##name(void *arg) \
	{ \
		scrub(); \
		sleeper_is_ready(); \
		scrub(); \
		__asm__ volatile("movabs $0xa5a5a5a5a5a5a5a5, %%rax\n\t" \
				 "mov %0, %%rcx\n\t" \
				 "xor %%rax, %%rcx\n\t" \
				 "mov %%rcx, %%" reg "\n" \
				 "1:\n\t" \
				 "mov $34, %%eax\n\t" /* pause */ \
				 "syscall\n\t" \
				 "jmp 1b" \
				 : \
				 : "m"(hidden_##name) \
				 : "rax", "rcx", "r11", reg, "memory"); \
		return arg; \
	} \
	STEP("threads", hold_in_##name) \
	{ \
		HOLD(hidden_##name, hide(case_register_##name())); \
		start_sleeper(sleep_in_##name, NULL); \
	}

#ifdef __x86_64__
IN_REGISTER(rbx, "rbx")
IN_REGISTER(r12, "r12")
IN_REGISTER(r15, "r15")
IN_REGISTER(rdx, "rdx")
IN_REGISTER(r9, "r9")

/* A busy one, in a register that a system call would not keep. */
ON_THREAD(case_register_busy, "reachable 1 600 root=reg|stack")
static uintptr_t hidden_busy;
APART static void *spin_in_r11(void *arg)
{
	scrub();
	sleeper_is_ready();
	scrub();
	__asm__ volatile("movabs $0xa5a5a5a5a5a5a5a5, %%rax\n\t"
			 "mov %1, %%r11\n\t"
			 "xor %%rax, %%r11\n\t"
			 "xor %%eax, %%eax\n\t"
			 "movl $1, %0\n"
			 "1:\n\t"
			 "pause\n\t"
			 "jmp 1b"
			 : "=m"(truth_spinning)
			 : "m"(hidden_busy)
			 : "rax", "r11", "memory");
	return arg;
}

STEP("threads", hold_in_busy)
{
	HOLD(hidden_busy, hide(case_register_busy()));
	start_sleeper(spin_in_r11, NULL);
	while (!truth_spinning)
		usleep(1000);
}

/* What the kernel saves of the vector unit lies on the stack of a stopped thread. */
ON_THREAD(case_register_xmm7, "reachable 1 600 root=reg|stack")
static uintptr_t hidden_xmm7;
APART static void *sleep_in_xmm7(void *arg)
{
	scrub();
	sleeper_is_ready();
	scrub();
	__asm__ volatile("movabs $0xa5a5a5a5a5a5a5a5, %%rax\n\t"
			 "xor %0, %%rax\n\t"
			 "movq %%rax, %%xmm7\n"
			 "1:\n\t"
			 "mov $34, %%eax\n\t"
			 "syscall\n\t"
			 "jmp 1b"
			 :
			 : "m"(hidden_xmm7)
			 : "rax", "rcx", "r11", "xmm7", "memory");
	return arg;
}

STEP("threads", hold_in_xmm7)
{
	HOLD(hidden_xmm7, hide(case_register_xmm7()));
	start_sleeper(sleep_in_xmm7, NULL);
}
#endif

/*
 * Of who waits in a call they are dead, also where what the kernel has saved lies on a stack that
 * counts as a whole.
 */
#ifdef __x86_64__
static ucontext_t in_coroutine;
static uintptr_t hidden_dead_vector;

ON_THREAD(case_dead_vector, "direct 1 600")
static void sleep_in_coroutine(void)
{
	sleeper_is_ready();
	for (;;) {
		__asm__ volatile("movabs $0xa5a5a5a5a5a5a5a5, %%rax\n\t"
				 "xor %0, %%rax\n\t"
				 "movq %%rax, %%xmm7\n\t"
				 "xor %%eax, %%eax\n\t"
				 :
				 : "m"(hidden_dead_vector)
				 : "rax", "xmm7", "memory");
		pause();
	}
}

APART static void *enter_coroutine(void *arg)
{
	setcontext(&in_coroutine);
	return arg;
}

CALLED("threads", case_coroutine_in_block, "reachable 1 65536", void *, (void))
{
	void *p = calloc(1, 65536);

	use(p);
	return p;
}

STEP("threads", wait_in_coroutine)
{
	HOLD(hidden_dead_vector, hide(case_dead_vector()));
	NEED(getcontext(&in_coroutine) == 0);
	in_coroutine.uc_stack.ss_sp = case_coroutine_in_block();
	in_coroutine.uc_stack.ss_size = 65536;
	makecontext(&in_coroutine, sleep_in_coroutine, 0);
	start_sleeper(enter_coroutine, NULL);
}
#endif

/* --- alternate signal stacks --- */

ON_THREAD(case_interrupted_frame, "reachable 1 600 root=stack|map")
ON_THREAD(case_on_alternate_stack, "reachable 1 600 root=map|stack")

static void on_alternate_stack(int sig)
{
	void *volatile mine = case_on_alternate_stack();

	(void)sig;
	sleep_forever();
	use(mine);
}

/* Stopped in a handler: the thread's stack pointer is elsewhere, its frames are alive. */
APART static void *sleep_in_handler(void *arg)
{
	void *volatile mine = case_interrupted_frame();
	stack_t ss = {.ss_size = 65536};

	ss.ss_sp = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(ss.ss_sp != MAP_FAILED && sigaltstack(&ss, NULL) == 0);
	pthread_kill(pthread_self(), SIGUSR1);
	use(mine);
	return arg;
}

STEP("threads", hold_in_handler)
{
	struct sigaction sa = {.sa_handler = on_alternate_stack, .sa_flags = SA_ONSTACK};

	NEED(sigaction(SIGUSR1, &sa, NULL) == 0);
	start_sleeper(sleep_in_handler, NULL);
}

/* Only the kernel knows where the alternate stack is: the block is in use all the same. */
APART static void set_alternate_stack(void *(*make)(void))
{
	stack_t ss = {.ss_size = 65536, .ss_sp = make()};

	NEED(sigaltstack(&ss, NULL) == 0);
}

CALLED("threads", case_alternate_stack, "reachable 1 65536", void *, (void))
{
	void *p = malloc(65536);

	use(p);
	return p;
}

APART static void *sleep_with_alternate_stack(void *arg)
{
	set_alternate_stack(case_alternate_stack);
	scrub();
	sleep_forever();
	return arg;
}

STEP("threads", hold_alternate_stack)
{
	start_sleeper(sleep_with_alternate_stack, NULL);
}

CALLED("threads", case_alternate_stack_main, "reachable 1 65536", void *, (void))
{
	void *p = malloc(65536);

	use(p);
	return p;
}

STEP("threads", hold_alternate_stack_main)
{
	set_alternate_stack(case_alternate_stack_main);
}

/* --- threads that have ended --- */

/*
 * Their stacks are small, so that libc gives them to no thread that lives on: what they leave on
 * them might show through the gaps of its frames.
 */
static pthread_t start_small(void *(*fn)(void *), int detached)
{
	pthread_attr_t attr;
	pthread_t thread;

	NEED(pthread_attr_init(&attr) == 0);
	NEED(pthread_attr_setstacksize(&attr, 256 << 10) == 0);
	NEED(pthread_attr_setdetachstate(&attr, detached) == 0);
	NEED(pthread_create(&thread, &attr, fn, NULL) == 0);
	pthread_attr_destroy(&attr);
	return thread;
}

APART static void run_thread(void *(*fn)(void *))
{
	NEED(pthread_join(start_small(fn, PTHREAD_CREATE_JOINABLE), NULL) == 0);
}

ON_THREAD(case_ended_thread, "direct 1 600")
APART static void *end_with_pointer(void *arg)
{
	void *volatile mine[8];

	mine[3] = case_ended_thread();
	use(mine[3]);
	return arg;
}

STEP("threads", leave_by_end)
{
	run_thread(end_with_pointer);
}

/* After pthread_exit, from some calls deep. */
ON_THREAD(case_exited_thread, "direct 1 600")
APART static void *exit_with_pointer(void *arg)
{
	void *volatile mine[8];

	mine[3] = case_exited_thread();
	use(mine[3]);
	pthread_exit(arg);
}

STEP("threads", leave_by_pthread_exit)
{
	run_thread(exit_with_pointer);
}

ON_THREAD(case_cancelled_thread, "direct 1 600")
APART static void *wait_for_cancel(void *arg)
{
	void *volatile mine[8];

	mine[3] = case_cancelled_thread();
	sleep_forever();
	return arg + (mine[3] == arg);
}

STEP("threads", leave_by_cancel)
{
	pthread_t thread = start_small(wait_for_cancel, PTHREAD_CREATE_JOINABLE);

	wait_for_sleeper();
	NEED(pthread_cancel(thread) == 0);
	NEED(pthread_join(thread, NULL) == 0);
}

ON_THREAD(case_joined_result, "direct 1 600")
APART static void *return_pointer(void *arg)
{
	(void)arg;
	return case_joined_result();
}

STEP("threads", leave_result)
{
	run_thread(return_pointer);
}

/* Whoever joins it gets the pointer still; what its stack held is gone. */
ON_THREAD(case_unjoined_result, "reachable 1 600")
ON_THREAD(case_unjoined_stack, "direct 1 600")
APART static void *return_unjoined(void *arg)
{
	void *volatile mine[8];

	(void)arg;
	mine[3] = case_unjoined_stack();
	use((void *)mine);
	return case_unjoined_result();
}

STEP("threads", leave_unjoined)
{
	static pthread_t unjoined;
	long before = truth_threads();

	HOLD(unjoined, start_small(return_unjoined, PTHREAD_CREATE_JOINABLE));
	wait_threads(before);
}

static _Thread_local void *tls_of_ended;
ON_THREAD(case_tls_of_ended, "direct 1 600")
APART static void *end_with_tls(void *arg)
{
	HOLD(tls_of_ended, case_tls_of_ended());
	return arg;
}

STEP("threads", leave_tls)
{
	run_thread(end_with_tls);
}

static pthread_key_t key;
ON_THREAD(case_specific_of_ended, "direct 1 600")
ON_THREAD(case_in_key_destructor, "direct 1 600")
APART static void *end_with_specific(void *arg)
{
	NEED(pthread_setspecific(key, case_specific_of_ended()) == 0);
	return arg;
}

static void on_key(void *p)
{
	use(p);
	use(case_in_key_destructor());
}

STEP("threads", leave_specific)
{
	NEED(pthread_key_create(&key, on_key) == 0);
	run_thread(end_with_specific);
}

ON_THREAD(case_detached_ended, "direct 20 12000")
APART static void *end_detached(void *arg)
{
	void *volatile mine = case_detached_ended();

	use(mine);
	return arg;
}

STEP("threads", leave_detached)
{
	long before = truth_threads();
	int i;

	for (i = 0; i < 20; i++)
		start_small(end_detached, PTHREAD_CREATE_DETACHED);
	wait_threads(before);
}

ON_THREAD(case_freed_elsewhere, "none")
APART static void *free_it(void *arg)
{
	free(arg);
	return NULL;
}

STEP("threads", free_elsewhere)
{
	pthread_t thread;

	NEED(pthread_create(&thread, NULL, free_it, case_freed_elsewhere()) == 0);
	NEED(pthread_join(thread, NULL) == 0);
}

/* --- in a signal handler --- */

CALLED("threads", case_in_handler, "direct 1 600 then=^case_in_handler<.*<main$", void, (int sig))
{
	(void)sig;
	use(malloc(600));
}

STEP("threads", leave_in_handler)
{
	struct sigaction sa = {.sa_handler = case_in_handler};

	NEED(sigaction(SIGUSR2, &sa, NULL) == 0);
	raise(SIGUSR2);
}

/* A library's frame stands between; the handler runs on the stack of the thread that it hit. */
CALLED("threads", case_in_siginfo, "direct 1 600 then=^case_in_siginfo<", void,
       (int sig, siginfo_t *si, void *context))
{
	(void)sig, (void)si, (void)context;
	use(malloc(600));
}

APART static void *wait_for_handler(void *arg)
{
	pthread_kill(pthread_self(), SIGUSR2);
	return arg;
}

STEP("threads", leave_in_siginfo)
{
	struct sigaction sa = {.sa_sigaction = case_in_siginfo, .sa_flags = SA_SIGINFO};

	NEED(sigaction(SIGUSR2, &sa, NULL) == 0);
	run_thread(wait_for_handler);
}
