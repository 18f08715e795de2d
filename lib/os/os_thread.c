/* SPDX-License-Identifier: MIT */
/* Threads of the library's own: see thread.h. */
#include "os/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sched.h>
#include <sys/prctl.h>
#include <time.h>

#include "os/os.h"
#include "os/syscall.h"

#define RSEQ_CPU_ID	4	/* offset in the kernel's area */
#define HEAD		4096	/* what libc has behind the thread pointer, at most */
#define NEAR		256	/* the rest of our own thread-local data lies so near */
#define ALL_SIGNALS	(~0ull)
#define THREAD_FLAGS	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | \
			 CLONE_SYSVSEM | CLONE_SETTLS)

bool os_thread_any __initdata;

/* Of the latest: more than there are at a time. */
static struct {
	uintptr_t low, high;
} stacks[4];
static uint32_t nr_stacks;

bool os_thread_is_own(void)
{
	char here;

	for (uint32_t i = 0; i < ARRAY_SIZE(stacks); i++) {
		if ((uintptr_t)&here - stacks[i].low < stacks[i].high - stacks[i].low)
			return true;
	}
	return false;
}

void os_thread_fork_child(void)
{
	WRITE_ONCE(os_thread_any, false);
}

/*
 * The thread pointer in the block of @t, so that every field that is used of the
 * caller's own block lies within; 0: they lie too far apart.
 *
 *	local |--- errno, ours ... ---|tp|--- libc's head, perhaps the rseq area ---|
 */
static uintptr_t place_local(struct os_thread *t, ptrdiff_t *area)
{
	char *tp = __builtin_thread_pointer();
	ptrdiff_t field[] = { (char *)&errno - tp, os_rseq_own_offset(), 0 };
	ptrdiff_t low = -NEAR, high = HEAD;
	bool mm_cid;

	*area = PTRDIFF_MAX;
	if (os_rseq_area(area, &mm_cid))
		field[2] = *area;
	for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
		low = MIN(low, ALIGN_DOWN(field[i] - NEAR, (ptrdiff_t)64));
		high = MAX(high, field[i] + NEAR);
	}
	if (high - low > (ptrdiff_t)sizeof(t->local))
		return 0;
	return (uintptr_t)t->local - (uintptr_t)low;
}

/* What code that runs before ours finds in the block. */
static void fill_local(uintptr_t tp, ptrdiff_t area)
{
#if defined(__x86_64__)
	/* The head: itself twice, and the guard of the stack, as any constant. */
	((uintptr_t *)tp)[0] = tp;
	((uintptr_t *)tp)[2] = tp;
#endif
	/* Not registered: no sequence will be tried. */
	if (area != PTRDIFF_MAX)
		*(int32_t *)(tp + (uintptr_t)area + RSEQ_CPU_ID) = -1;
	*(int32_t *)(tp + (uintptr_t)os_rseq_own_offset() + RSEQ_CPU_ID) = -1;
}

/* What the new thread finds on its stack. */
struct start {
	void (*fn)(void);
	const char *name;
};

static __attribute__((used, noreturn)) void thread_main(const struct start *s)
{
	raw_syscall(SYS_prctl, PR_SET_NAME, s->name, 0, 0);
	s->fn();
	for (;;)
		raw_syscall(SYS_exit, 0, 0, 0, 0);
}

#if defined(__x86_64__)

static long bare_clone(unsigned long flags, void *stack, uintptr_t tp, struct start *s)
{
	register uintptr_t r8 __asm__("r8") = tp;
	register long r10 __asm__("r10") = 0;
	long ret;

	__asm__ __volatile__("syscall\n\t"
			     "testq %%rax, %%rax\n\t"
			     "jnz 1f\n\t"
			     "xorl %%ebp, %%ebp\n\t"
			     "movq %[start], %%rdi\n\t"
			     "call thread_main\n"
			     "1:"
			     : "=a"(ret)
			     : "a"(SYS_clone), "D"(flags), "S"(stack), "d"(0), "r"(r10), "r"(r8),
			       [start] "r"(s)
			     : "rcx", "r11", "memory");
	return ret;
}

#elif defined(__aarch64__)

static long bare_clone(unsigned long flags, void *stack, uintptr_t tp, struct start *s)
{
	register long x8 __asm__("x8") = SYS_clone;
	register unsigned long x0 __asm__("x0") = flags;
	register void *x1 __asm__("x1") = stack;
	register long x2 __asm__("x2") = 0;
	register uintptr_t x3 __asm__("x3") = tp;
	register long x4 __asm__("x4") = 0;
	register struct start *x19 __asm__("x19") = s;

	__asm__ __volatile__("svc #0\n\t"
			     "cbnz x0, 1f\n\t"
			     "mov x29, xzr\n\t"
			     "mov x0, x19\n\t"
			     "bl thread_main\n"
			     "1:"
			     : "+r"(x0)
			     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x19)
			     : "memory");
	return (long)x0;
}

#endif

int os_thread_start(struct os_thread *t, const char *name, void (*fn)(void))
{
	uint64_t all = ALL_SIGNALS, before = 0;
	struct start *s = (struct start *)(t->stack + sizeof(t->stack)) - 1;
	ptrdiff_t area;
	uintptr_t tp = place_local(t, &area);
	uint32_t i = __atomic_fetch_add(&nr_stacks, 1, __ATOMIC_RELAXED);
	long ret;

	if (!tp)
		return -ENOSPC;
	memset(t->local, 0, sizeof(t->local));
	fill_local(tp, area);
	*s = (struct start){ fn, name };
	stacks[i % ARRAY_SIZE(stacks)].low = (uintptr_t)t->stack;
	stacks[i % ARRAY_SIZE(stacks)].high = (uintptr_t)t->stack + sizeof(t->stack);
	/* From here on the flags of locked slots must be atomic. */
	WRITE_ONCE(os_thread_any, true);
	raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, &before, sizeof(all));
	ret = bare_clone(THREAD_FLAGS, (void *)ALIGN_DOWN((uintptr_t)s, 16), tp, s);
	raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, sizeof(before));
	return ret < 0 ? (int)ret : 0;
}

static uint64_t clock_of(long clock)
{
	struct timespec ts = { 0, 0 };

	raw_syscall(SYS_clock_gettime, clock, &ts, 0, 0);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t os_process_time(void)
{
	return clock_of(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t os_thread_time(void)
{
	return clock_of(CLOCK_THREAD_CPUTIME_ID);
}

void os_sleep(uint64_t ms)
{
	struct timespec ts = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	raw_syscall(SYS_nanosleep, &ts, 0, 0, 0);
}

/* Held up for 150 ms of 2 seconds; shorter windows are for root alone. */
int os_psi_open(void)
{
	static const char trigger[] = "some 150000 2000000";
	long fd = raw_syscall(SYS_openat, AT_FDCWD, "/proc/pressure/memory",
			      O_RDWR | O_NONBLOCK | O_CLOEXEC, 0), high, err;

	if (fd < 0)
		return (int)fd;
	err = raw_syscall(SYS_write, fd, trigger, sizeof(trigger), 0);
	high = err < 0 ? err : os_dup((int)fd);
	raw_syscall(SYS_close, fd, 0, 0, 0);
	return (int)high;
}

int os_psi_wait(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };
	long n;

	do
		n = raw_syscall6(SYS_ppoll, (long)&p, 1, 0, 0, 0, 0);
	while (n == -EINTR);
	if (n < 0)
		return (int)n;
	return p.revents & POLLPRI && !(p.revents & (POLLERR | POLLNVAL)) ? 0 : -EBADF;
}
