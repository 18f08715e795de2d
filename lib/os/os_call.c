/* SPDX-License-Identifier: MIT */
/*
 * System calls that a signal of ours has cut short: see proc.h.
 *
 * The kernel begins some calls again by itself where the handler asks for it (SA_RESTART); others
 * return -EINTR whatever it asks for. Of those some mean the same when they are made again as they
 * stand: without a time limit, with a point in time as the limit, or where the kernel has written
 * back what is left of it. The others, with a span of time, would wait too long.
 */
#include "os/proc.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include "os/syscall.h"

#define CALL_LINE	256

/* Of linux/futex.h, which is not everywhere. */
#define FUTEX_WAIT_BITSET	9
#define FUTEX_CMD_MASK		(~(128 | 256))

/* The next number, "0x" before a hexadecimal one; moves behind it. */
static uint64_t number(const char **text)
{
	unsigned base = 10;
	uint64_t v = 0;

	while (**text == ' ')
		(*text)++;
	if ((*text)[0] == '0' && (*text)[1] == 'x') {
		base = 16;
		*text += 2;
	}
	for (;; (*text)++) {
		unsigned c = (unsigned char)**text;
		unsigned d = c - '0' < 10 ? c - '0' : c - 'a' < 6 ? c - 'a' + 10 : 99;

		if (d >= base)
			return v;
		v = v * base + d;
	}
}

/* "number args... sp pc"; "running" and "-1 sp pc" are of threads that are in none. */
bool os_read_call(int tid, struct os_call *call)
{
	char text[CALL_LINE];
	const char *at = text;

	if (os_read_task(tid, "syscall", text, sizeof(text)) <= 0 || *at < '0' || *at > '9')
		return false;
	call->number = (long)number(&at);
	for (unsigned i = 0; i < OS_CALL_ARGS; i++)
		call->arg[i] = number(&at);
	call->sp = number(&at);
	call->pc = number(&at);
	return *at == '\n';
}

bool os_call_repeats(const struct os_call *call)
{
	const uint64_t *arg = call->arg;

	switch (call->number) {
#ifdef SYS_pause
	case SYS_pause:
#endif
#ifdef SYS_select
	case SYS_select:
#endif
	case SYS_pselect6:
	case SYS_ppoll:
	case SYS_rt_sigsuspend:
	case SYS_msgrcv:
	case SYS_msgsnd:
	case SYS_semop:
		return true;
#ifdef SYS_poll
	case SYS_poll:
		return (int)arg[2] < 0;
#endif
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
#endif
	case SYS_epoll_pwait:
		return (int)arg[3] < 0;
#ifdef SYS_epoll_pwait2
	case SYS_epoll_pwait2:
#endif
	case SYS_semtimedop:
		return !arg[3];
	case SYS_rt_sigtimedwait:
		return !arg[2];
	case SYS_clock_nanosleep:
		return arg[1] & TIMER_ABSTIME;
	case SYS_futex:
		return (arg[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
	default:
		return false;
	}
}

#if defined(__x86_64__)

/* Places in gregs[]. */
enum { R8, R9, R10, RDI = 8, RSI, RDX = 12, RAX, RSP = 15, RIP };

#define CALL_BYTES	2	/* syscall */

static bool is_behind(const ucontext_t *uc, const struct os_call *call)
{
	static const unsigned char args[OS_CALL_ARGS] = { RDI, RSI, RDX, R10, R8, R9 };
	const greg_t *r = uc->uc_mcontext.gregs;

	for (unsigned i = 0; i < OS_CALL_ARGS; i++) {
		if ((uint64_t)r[args[i]] != call->arg[i])
			return false;
	}
	return r[RAX] == -EINTR && (uintptr_t)r[RSP] == call->sp && (uintptr_t)r[RIP] == call->pc;
}

static bool is_call(uintptr_t pc)
{
	static const unsigned char bytes[CALL_BYTES] = { 0x0f, 0x05 };
	unsigned char code[CALL_BYTES];

	return !os_peek((const void *)(pc - CALL_BYTES), code, sizeof(code)) &&
	       !memcmp(code, bytes, CALL_BYTES);
}

static void go_back(ucontext_t *uc, const struct os_call *call)
{
	uc->uc_mcontext.gregs[RAX] = call->number;
	uc->uc_mcontext.gregs[RIP] -= CALL_BYTES;
}

#else

#define CALL_BYTES	4	/* svc #0 */

/* The first argument's register has the result. */
static bool is_behind(const ucontext_t *uc, const struct os_call *call)
{
	const mcontext_t *m = &uc->uc_mcontext;

	for (unsigned i = 1; i < OS_CALL_ARGS; i++) {
		if (m->regs[i] != call->arg[i])
			return false;
	}
	return (long)m->regs[0] == -EINTR && (long)m->regs[8] == call->number &&
	       m->sp == call->sp && m->pc == call->pc;
}

static bool is_call(uintptr_t pc)
{
	uint32_t code;

	return !os_peek((const void *)(pc - CALL_BYTES), &code, sizeof(code)) &&
	       code == 0xd4000001;
}

static void go_back(ucontext_t *uc, const struct os_call *call)
{
	uc->uc_mcontext.regs[0] = call->arg[0];
	uc->uc_mcontext.pc -= CALL_BYTES;
}

#endif

void os_context_repeat(void *ucontext, const struct os_call *call)
{
	ucontext_t *uc = ucontext;
	uint64_t blocked;

	memcpy(&blocked, &uc->uc_sigmask, sizeof(blocked));
	/* A signal of the program's own is to end the call, as it would have without ours. */
	if (is_behind(uc, call) && is_call(call->pc) && !(os_pending_signals() & ~blocked))
		go_back(uc, call);
}
