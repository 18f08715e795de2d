/* SPDX-License-Identifier: MIT */
/*
 * Watching system calls from inside. A seccomp filter turns the chosen calls into SIGSYS; the
 * handler writes the call down and makes it again from one address that the filter lets pass. So
 * the program runs as ever, and a test knows which call of malloc or free entered the kernel.
 *
 * A trapped call ends the process where the signal is blocked, as in a thread of glibc that is
 * being started or ends: watch when no thread does that.
 */
#ifndef WATCH_H
#define WATCH_H

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "../hard/hard.h"

#define WATCH_CALLS 4096
#define WATCH_RULES 32

struct watch_call {
	long nr;
	unsigned long arg[3];
	long ret;
};

static struct {
	unsigned int count;			/* may exceed WATCH_CALLS: the rest is not kept */
	struct watch_call call[WATCH_CALLS];
	int fatal;				/* a watched call ends the process with 1 */
} watched;

#if defined(__x86_64__)
#define WATCH_ARCH AUDIT_ARCH_X86_64

__attribute__((noinline, used))
static long watch_raw(long nr, const unsigned long *a)
{
	register unsigned long r10 __asm__("r10") = a[3];
	register unsigned long r8 __asm__("r8") = a[4];
	register unsigned long r9 __asm__("r9") = a[5];
	long ret;

	__asm__ volatile("syscall\nwatch_pass:"
			 : "=a"(ret)
			 : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline void watch_args(const ucontext_t *uc, unsigned long *a)
{
	const greg_t *g = uc->uc_mcontext.gregs;

	a[0] = (unsigned long)g[REG_RDI];
	a[1] = (unsigned long)g[REG_RSI];
	a[2] = (unsigned long)g[REG_RDX];
	a[3] = (unsigned long)g[REG_R10];
	a[4] = (unsigned long)g[REG_R8];
	a[5] = (unsigned long)g[REG_R9];
}

static inline void watch_return(ucontext_t *uc, long ret)
{
	uc->uc_mcontext.gregs[REG_RAX] = ret;
}
#elif defined(__aarch64__)
#define WATCH_ARCH AUDIT_ARCH_AARCH64

__attribute__((noinline, used))
static long watch_raw(long nr, const unsigned long *a)
{
	register unsigned long x0 __asm__("x0") = a[0];
	register unsigned long x1 __asm__("x1") = a[1];
	register unsigned long x2 __asm__("x2") = a[2];
	register unsigned long x3 __asm__("x3") = a[3];
	register unsigned long x4 __asm__("x4") = a[4];
	register unsigned long x5 __asm__("x5") = a[5];
	register long x8 __asm__("x8") = nr;

	__asm__ volatile("svc #0\nwatch_pass:"
			 : "+r"(x0)
			 : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5), "r"(x8)
			 : "memory");
	return (long)x0;
}

static inline void watch_args(const ucontext_t *uc, unsigned long *a)
{
	for (int i = 0; i < 6; i++)
		a[i] = uc->uc_mcontext.regs[i];
}

static inline void watch_return(ucontext_t *uc, long ret)
{
	uc->uc_mcontext.regs[0] = (unsigned long)ret;
}
#else
#error "the registers of a system call are not known here"
#endif

extern const char watch_pass[] __attribute__((visibility("hidden")));

static void watch_trap(int sig, siginfo_t *si, void *context)
{
	ucontext_t *uc = context;
	unsigned long a[6];
	unsigned int i;
	long ret;

	(void)sig;
	watch_args(uc, a);
	if (watched.fatal)
		hard_end(1, __FILE__, __LINE__, "forbidden", "system call %d(%#lx, %#lx, %#lx)",
			 si->si_syscall, a[0], a[1], a[2]);
	ret = watch_raw(si->si_syscall, a);
	i = __atomic_fetch_add(&watched.count, 1, __ATOMIC_RELAXED);
	if (i < WATCH_CALLS)
		watched.call[i] = (struct watch_call){ si->si_syscall, { a[0], a[1], a[2] }, ret };
	watch_return(uc, ret);
}

static inline void watch_rule(struct sock_fprog *prog, unsigned int code, unsigned int k,
			      unsigned int jt, unsigned int jf)
{
	prog->filter[prog->len++] = (struct sock_filter){ (unsigned short)code, (unsigned char)jt,
							  (unsigned char)jf, k };
}

#define WATCH_LOAD(field) BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field)
#define WATCH_EQUAL BPF_JMP | BPF_JEQ | BPF_K

/* Traps the @n calls of @nr, in all threads; with @others all but these. */
static inline void watch_start(const int *nr, size_t n, int others)
{
	struct sock_filter rules[WATCH_RULES];
	struct sock_fprog prog = { .filter = rules };
	struct sigaction sa = { .sa_sigaction = watch_trap, .sa_flags = SA_SIGINFO | SA_NODEFER };
	unsigned int hit = others ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRAP;
	unsigned int miss = others ? SECCOMP_RET_TRAP : SECCOMP_RET_ALLOW;
	uint64_t pass = (uint64_t)(uintptr_t)watch_pass;

	CHECK(2 * n + 10 <= WATCH_RULES, "too many calls to watch");
	watch_rule(&prog, WATCH_LOAD(arch), 0, 0);
	watch_rule(&prog, WATCH_EQUAL, WATCH_ARCH, 1, 0);
	watch_rule(&prog, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	watch_rule(&prog, WATCH_LOAD(instruction_pointer), 0, 0);
	watch_rule(&prog, WATCH_EQUAL, (unsigned int)pass, 0, 3);
	watch_rule(&prog, WATCH_LOAD(instruction_pointer) + 4, 0, 0);
	watch_rule(&prog, WATCH_EQUAL, (unsigned int)(pass >> 32), 0, 1);
	watch_rule(&prog, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	watch_rule(&prog, WATCH_LOAD(nr), 0, 0);
	for (size_t i = 0; i < n; i++) {
		watch_rule(&prog, WATCH_EQUAL, (unsigned int)nr[i], 0, 1);
		watch_rule(&prog, BPF_RET | BPF_K, hit, 0, 0);
	}
	watch_rule(&prog, BPF_RET | BPF_K, miss, 0, 0);

	CHECK(sigaction(SIGSYS, &sa, NULL) == 0, "sigaction: errno %d", errno);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog))
		SKIP("no seccomp filter here: errno %d", errno);
}

/* What takes memory from the kernel, and gives it back. */
static inline void watch_memory(void)
{
	static const int nr[] = { SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap, SYS_madvise };

	watch_start(nr, ARRAY_LEN(nr), 0);
}

static inline void watch_clear(void)
{
	watched.count = 0;
}

/* How many calls of @nr since watch_clear(). */
static inline unsigned int watch_count(long nr)
{
	unsigned int i, n = 0;

	for (i = 0; i < watched.count && i < WATCH_CALLS; i++)
		n += watched.call[i].nr == nr;
	return n;
}

/* The latest call of @nr; there must be one. */
static inline const struct watch_call *watch_last(long nr)
{
	unsigned int i = watched.count < WATCH_CALLS ? watched.count : WATCH_CALLS;

	while (i-- > 0)
		if (watched.call[i].nr == nr)
			return &watched.call[i];
	CHECK(0, "system call %ld was not made", nr);
}

static inline char *the_break(void)
{
	return sbrk(0);
}

/* Page faults of the process so far. */
static inline long faults(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_minflt + ru.ru_majflt;
}

/* Where one touch makes 2 MiB resident, nothing can be said about pages. */
static inline void no_huge_pages(void)
{
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

/* As hard_rss(), without stdio and hence without malloc. */
static inline size_t rss(void)
{
	char buf[128];
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, buf, sizeof(buf) - 1);
	char *second;

	CHECK(n > 0, "no /proc/self/statm");
	close(fd);
	buf[n] = '\0';
	second = strchr(buf, ' ');
	CHECK(second, "statm: %s", buf);
	return strtoul(second, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

/* Writes to every page of a block. */
static inline void touch(void *p, size_t n)
{
	volatile char *c = p;

	for (size_t i = 0; i < n; i += 4096)
		c[i] = 1;
	if (n)
		c[n - 1] = 1;
}

#endif
