/* SPDX-License-Identifier: MIT */
#include "step.h"

#include <dlfcn.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#define WALK_LIMIT 10000000ul	/* steps; more is a livelock */
#define CHILD_SECONDS 250
#define RSEQ_CS 8

extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned __rseq_size __attribute__((weak));

long step_sequences;

#ifdef __x86_64__

__asm__(".text\n"
	".globl step_mark\n"
	".type step_mark, @function\n"
	"step_mark:\n\t"
	"int3\n"
	"step_marked:\n\t"
	"ret\n"
	".size step_mark, . - step_mark\n");
extern const char step_marked[];
#define BREAKPOINT 0xccl

static struct user_regs_struct registers(pid_t pid)
{
	struct user_regs_struct r;

	CHECK(!ptrace(PTRACE_GETREGS, pid, NULL, &r), "errno %d", errno);
	return r;
}

static uintptr_t ip_of(pid_t pid)
{
	errno = 0;
	return (uintptr_t)ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rip), NULL);
}

static void set_ip(pid_t pid, uintptr_t ip)
{
	struct user_regs_struct r = registers(pid);

	r.rip = ip;
	CHECK(!ptrace(PTRACE_SETREGS, pid, NULL, &r), "errno %d", errno);
}

static bool at_mark(uintptr_t ip)
{
	return ip == (uintptr_t)step_marked;
}

/* Debug register 0, on execution; @ip 0: off. */
static bool watch(pid_t pid, uintptr_t ip)
{
	return !ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg[0]), ip) &&
	       !ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg[7]), ip != 0);
}

#else

void step_mark(void)
{
}

static uintptr_t ip_of(pid_t pid) { return (uintptr_t)pid; }
static void set_ip(pid_t pid, uintptr_t ip) { (void)pid; (void)ip; }
static bool at_mark(uintptr_t ip) { return ip == 0; }
static bool watch(pid_t pid, uintptr_t ip) { return pid && ip; }
#define BREAKPOINT 0l

#endif

struct step_code step_code(const char *function)
{
	void *at = dlsym(RTLD_DEFAULT, function);
	ElfW(Sym) *sym = NULL;
	Dl_info info;

	CHECK(at && dladdr1(at, &info, (void **)&sym, RTLD_DL_SYMENT) && sym, "%s: no symbol",
	      function);
	return (struct step_code){ (uintptr_t)at, (uintptr_t)at + sym->st_size };
}

static bool inside(const struct step_code *c, uintptr_t ip)
{
	return ip - c->start < c->end - c->start;
}

bool step_can_clear(void)
{
	return &__rseq_size && &__rseq_offset && __rseq_size;
}

/* Two processes that take turns do so fastest on one CPU. */
static void share_cpu(void)
{
	int cpu = sched_getcpu();
	cpu_set_t one;

	if (cpu < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

pid_t step_start(void (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid;

#ifndef __x86_64__
	SKIP("marks and registers are those of x86-64");
#endif
	share_cpu();
	pid = fork();
	CHECK(pid >= 0, "fork: errno %d", errno);
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(HARD_SKIP);
		alarm(CHILD_SECONDS);
		raise(SIGSTOP);
		fn(arg);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid, "errno %d", errno);
	if (WIFEXITED(status) && WEXITSTATUS(status) == HARD_SKIP)
		SKIP("no tracing here");
	CHECK(WIFSTOPPED(status), "status %#x", status);
	return pid;
}

/*
 * Lets it go until it stops. False: it has ended well. The end of a grandchild is of no
 * concern to it; anything else but a trap is not what was asked for.
 */
static bool go_on(pid_t pid, int request, int sig)
{
	int status;

	do {
		CHECK(!ptrace(request, pid, NULL, (void *)(uintptr_t)sig), "errno %d", errno);
		CHECK(waitpid(pid, &status, 0) == pid, "errno %d", errno);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			return false;
		CHECK(!WIFEXITED(status), "the child ended with %d", WEXITSTATUS(status));
		CHECK(!WIFSIGNALED(status), "the child died of signal %d", WTERMSIG(status));
		sig = 0;
	} while (WSTOPSIG(status) == SIGCHLD);
	CHECK(WSTOPSIG(status) == SIGTRAP, "the child got signal %d", WSTOPSIG(status));
	return true;
}

bool step_to_mark(pid_t pid)
{
	if (!go_on(pid, PTRACE_CONT, 0))
		return false;
	CHECK(at_mark(ip_of(pid)), "stopped at %#lx", (unsigned long)ip_of(pid));
	return true;
}

static uintptr_t one_step(pid_t pid)
{
	CHECK(go_on(pid, PTRACE_SINGLESTEP, 0), "the child ended between two marks");
	return ip_of(pid);
}

/* The child is a copy: its first thread's area is where ours is. */
static void *announced_at(void)
{
	return (char *)__builtin_thread_pointer() + __rseq_offset + RSEQ_CS;
}

static bool clear_announced(pid_t pid)
{
	errno = 0;
	return ptrace(PTRACE_PEEKDATA, pid, announced_at(), NULL) != 0 && !errno &&
	       !ptrace(PTRACE_POKEDATA, pid, announced_at(), NULL);
}

unsigned long step_walk(pid_t pid, const struct step_code *code, struct step_path *path,
			long abort)
{
	struct step_code hit[2] = { step_code("malloc"), step_code("free") };
	bool can_clear = step_can_clear();
	unsigned long steps = 0;
	uintptr_t ip = ip_of(pid);

	step_sequences = 0;
	if (path)
		path->n = 0;
	while (steps == 0 || !at_mark(ip)) {
		CHECK(steps++ < WALK_LIMIT, "no end");
		if (path && inside(code, ip) && path->n < STEP_MAX)
			path->ip[path->n++] = ip;
		ip = one_step(pid);
		if (!can_clear)
			continue;
		if (inside(&hit[0], ip) || inside(&hit[1], ip))
			clear_announced(pid);
		else if (step_sequences == abort) {
			errno = 0;
			if (ptrace(PTRACE_PEEKDATA, pid, announced_at(), NULL) && !errno)
				step_sequences++;
		} else if (clear_announced(pid)) {
			step_sequences++;
		}
	}
	return steps;
}

unsigned long step_plain(pid_t pid, const volatile unsigned long *op, unsigned long limit)
{
	unsigned long steps = 0, in_op = 0, last = *op;
	uintptr_t ip = 0;

	while (steps == 0 || !at_mark(ip)) {
		ip = one_step(pid);
		steps++;
		if (last != *op) {
			last = *op;
			in_op = 0;
		}
		CHECK(++in_op < limit, "call %lu has not ended after %lu steps", last, in_op);
	}
	return steps;
}

unsigned long step_some(pid_t pid, unsigned long n)
{
	unsigned long steps = 0;

	while (steps < n && (!steps || !at_mark(ip_of(pid)))) {
		one_step(pid);
		steps++;
	}
	return at_mark(ip_of(pid)) && steps ? steps - 1 : steps;
}

bool step_run_to(pid_t pid, uintptr_t ip)
{
	long word;
	bool there;

	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, pid, ip, NULL);
	CHECK(!errno, "errno %d", errno);
	CHECK(!ptrace(PTRACE_POKETEXT, pid, ip, (word & ~0xffl) | BREAKPOINT), "errno %d", errno);
	CHECK(go_on(pid, PTRACE_CONT, 0), "the child ended");
	CHECK(!ptrace(PTRACE_POKETEXT, pid, ip, word), "errno %d", errno);
	there = ip_of(pid) == ip + 1;
	if (there)
		set_ip(pid, ip);
	else
		CHECK(at_mark(ip_of(pid)), "stopped at %#lx", (unsigned long)ip_of(pid));
	return there;
}

bool step_thread_to(pid_t pid, uintptr_t ip)
{
	if (!watch(pid, ip))
		SKIP("no debug registers: errno %d", errno);
	CHECK(go_on(pid, PTRACE_CONT, 0), "the child ended");
	CHECK(watch(pid, 0), "errno %d", errno);
	if (ip_of(pid) == ip)
		return true;
	CHECK(at_mark(ip_of(pid)), "stopped at %#lx", (unsigned long)ip_of(pid));
	return false;
}

void step_on(pid_t pid, int sig)
{
	CHECK(go_on(pid, PTRACE_CONT, sig), "the child ended");
	CHECK(at_mark(ip_of(pid)), "stopped at %#lx", (unsigned long)ip_of(pid));
}
