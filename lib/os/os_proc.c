/* SPDX-License-Identifier: MIT */
/* Files, clocks, threads and signals on Linux: see proc.h. */
#include "os/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <ucontext.h>

#include "base/fmt.h"
#include "os/syscall.h"

#define RESTORER	0x04000000ul	/* SA_RESTORER of the kernel */
#define ALL_SIGNALS	(~0ull)
#define TCB_COPY	112		/* head of a control block: canary, pointer guard */
#define WRITE_PATIENCE_S	10		/* for a full pipe that does not block */
#define PTHREAD_ROOM	4096u		/* struct pthread, above the thread pointer */

long os_clone(unsigned long flags, void *stack, uint32_t *ctid, void *tls, void (*fn)(void *),
	      void *arg);
void os_sigreturn(void);

static int open_at(const char *path, int flags)
{
	long fd;

	do
		fd = raw_syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0666);
	while (fd == -EINTR);
	return (int)fd;
}

int os_open_read(const char *path)
{
	return open_at(path, O_RDONLY);
}

int os_open_write(const char *path)
{
	return open_at(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY);
}

int os_open_new(const char *path)
{
	return open_at(path, O_WRONLY | O_CREAT | O_EXCL | O_NOCTTY);
}

long os_read(int fd, void *buf, size_t len)
{
	long n;

	do
		n = raw_syscall(SYS_read, fd, buf, len, 0);
	while (n == -EINTR);
	return n;
}

long os_pread(int fd, void *buf, size_t len, uint64_t offset)
{
	return raw_syscall(SYS_pread64, fd, buf, len, offset);
}

/* Descriptors that do not block are the program's affair; a reader who sleeps is not waited for. */
static bool wait_writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	struct timespec limit = { WRITE_PATIENCE_S, 0 };
	long n;

	do
		n = raw_syscall6(SYS_ppoll, (long)&p, 1, (long)&limit, 0, 0, 0);
	while (n == -EINTR);
	return n > 0;
}

int os_write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		long n = raw_syscall(SYS_write, fd, p, len, 0);

		if (n == -EINTR || (n == -EAGAIN && wait_writable(fd)))
			continue;
		if (n <= 0)
			return n ? (int)n : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int os_close(int fd)
{
	return (int)raw_syscall(SYS_close, fd, 0, 0, 0);
}

int os_rename(const char *from, const char *to)
{
	return (int)raw_syscall6(SYS_renameat2, AT_FDCWD, (long)from, AT_FDCWD, (long)to, 0, 0);
}

long os_readlink(const char *path, char *buf, size_t size)
{
	long n = raw_syscall(SYS_readlinkat, AT_FDCWD, path, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
	return n;
}

long os_getcwd(char *buf, size_t size)
{
	long n = raw_syscall(SYS_getcwd, buf, size, 0, 0);

	if (n <= 0)
		buf[0] = '\0';
	return n;
}

bool os_executable(const char *path, bool *has_format)
{
	struct stat st;
	char head[4];
	int fd;

	*has_format = false;
	if (raw_syscall6(SYS_newfstatat, AT_FDCWD, (long)path, (long)&st, 0, 0, 0) ||
	    !S_ISREG(st.st_mode) || raw_syscall(SYS_faccessat, AT_FDCWD, path, 1, 0))
		return false;
	fd = os_open_read(path);
	/* What may be executed need not be readable. */
	*has_format = fd < 0 || (os_read(fd, head, 4) == 4 &&
				 (!memcmp(head, "\177ELF", 4) || !memcmp(head, "#!", 2)));
	if (fd >= 0)
		os_close(fd);
	return true;
}

int os_make_fifo(const char *path)
{
	struct stat st;
	int err = (int)raw_syscall(SYS_mknodat, AT_FDCWD, path, S_IFIFO | 0600, 0);

	if (err != -EEXIST)
		return err;
	if (raw_syscall6(SYS_newfstatat, AT_FDCWD, (long)path, (long)&st, 0, 0, 0) ||
	    !S_ISFIFO(st.st_mode))
		return -EEXIST;
	return 0;
}

int os_map_file(const char *path, void **addr, size_t *len)
{
	struct stat st;
	int fd = os_open_read(path);
	long p;

	if (fd < 0)
		return fd;
	p = raw_syscall(SYS_fstat, fd, &st, 0, 0);
	if (!p && (!S_ISREG(st.st_mode) || !st.st_size))
		p = -EINVAL;
	if (!p)
		p = raw_syscall6(SYS_mmap, 0, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	os_close(fd);
	if (p < 0 && p > -4096)
		return (int)p;
	*addr = (void *)p;
	*len = (size_t)st.st_size;
	return 0;
}

static uint64_t clock_ns(int which)
{
	struct timespec ts = { 0, 0 };

	raw_syscall(SYS_clock_gettime, which, &ts, 0, 0);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t os_clock_real_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

uint64_t os_clock_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

void os_sleep_ms(unsigned ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	raw_syscall(SYS_nanosleep, &ts, &ts, 0, 0);
}

int os_tid(void)
{
	return (int)raw_syscall(SYS_gettid, 0, 0, 0, 0);
}

struct dirent_head {
	uint64_t ino, off;
	uint16_t len;
	uint8_t type;
	char name[];
};

int os_each_task(void (*fn)(int tid, void *arg), void *arg)
{
	char buf[4096] __attribute__((aligned(8)));
	int fd = open_at("/proc/self/task", O_RDONLY | O_DIRECTORY);
	long n;

	if (fd < 0)
		return fd;
	while ((n = raw_syscall(SYS_getdents64, fd, buf, sizeof(buf), 0)) > 0) {
		for (long at = 0; at < n;) {
			struct dirent_head *d = (struct dirent_head *)(buf + at);
			int tid = 0;

			for (const char *c = d->name; *c >= '0' && *c <= '9'; c++)
				tid = tid * 10 + *c - '0';
			if (tid)
				fn(tid, arg);
			at += d->len;
		}
	}
	os_close(fd);
	return (int)n;
}

long os_read_task(int tid, const char *file, char *buf, size_t size)
{
	char path[64];
	int fd;
	long n;

	fmt_print(path, sizeof(path), "/proc/self/task/%d/%s", tid, file);
	fd = os_open_read(path);
	if (fd < 0)
		return fd;
	n = os_read(fd, buf, size - 1);
	os_close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n;
}

void os_name_thread(const char *name)
{
	raw_syscall(SYS_prctl, PR_SET_NAME, name, 0, 0);
}

size_t os_thread_area(void)
{
	return ALIGN_UP(os_tls_reach(), (size_t)4096) + PTHREAD_ROOM + OS_THREAD_AREA;
}

/* |-- stack --| thread-local storage |<- thread pointer, control block --| */
int os_spawn(void (*fn)(void *), void *arg, void *area, uint32_t *alive)
{
	char *end = (char *)area + os_thread_area(), *tp = end - PTHREAD_ROOM;
	char *stack = (char *)area + OS_THREAD_AREA;
	const unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
				    CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
				    CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
	long tid;

#if defined(__x86_64__)
	memcpy(tp, __builtin_thread_pointer(), TCB_COPY);
	*(void **)tp = *(void **)(tp + 16) = tp;
#endif
	WRITE_ONCE(*alive, 1);
	tid = os_clone(flags, stack, alive, tp, fn, arg);
	if (tid < 0)
		WRITE_ONCE(*alive, 0);
	return tid < 0 ? (int)tid : 0;
}

__near void os_exit_group(int status)
{
	for (;;)
		raw_syscall(SYS_exit_group, status, 0, 0, 0);
}

int os_sigaction(int sig, const struct os_sigaction *act, struct os_sigaction *old)
{
	struct os_sigaction copy;

	if (act) {
		copy = *act;
#if defined(__x86_64__)
		copy.flags |= RESTORER;
		copy.restorer = (void *)os_sigreturn;
#endif
		act = &copy;
	}
	return (int)raw_syscall(SYS_rt_sigaction, sig, act, old, sizeof(act->mask));
}

__near uint64_t os_block_signals(void)
{
	uint64_t all = ALL_SIGNALS, old = 0;

	raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, sizeof(all));
	return old;
}

__near void os_set_blocked(uint64_t mask)
{
	raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
}

void os_unblock_signal(int sig)
{
	uint64_t mask = 1ull << (sig - 1);

	raw_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &mask, NULL, sizeof(mask));
}

uint64_t os_pending_signals(void)
{
	uint64_t set = 0;

	raw_syscall(SYS_rt_sigpending, &set, sizeof(set), 0, 0);
	return set;
}

void os_drop_signals(uint64_t set)
{
	struct timespec now = { 0, 0 };

	while (set && raw_syscall(SYS_rt_sigtimedwait, &set, NULL, &now, sizeof(set)) > 0)
		;
}

int os_signal_info(int tid, int sig, void *info)
{
	return (int)raw_syscall(SYS_rt_tgsigqueueinfo, os_pid(), tid, sig, info);
}

int os_signal_value(int tid, int sig, void *value)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = SI_QUEUE;
	info.si_pid = os_pid();
	info.si_value.sival_ptr = value;
	return os_signal_info(tid, sig, &info);
}

void os_signal_self(int sig)
{
	raw_syscall(SYS_tgkill, os_pid(), os_tid(), sig, 0);
}

void os_context_regs(const void *ucontext, const void **regs, size_t *bytes, uintptr_t *sp)
{
	const ucontext_t *uc = ucontext;

#if defined(__x86_64__)
	*regs = uc->uc_mcontext.gregs;
	*bytes = sizeof(uc->uc_mcontext.gregs);
	*sp = (uintptr_t)uc->uc_mcontext.gregs[15];	/* REG_RSP */
#else
	*regs = uc->uc_mcontext.regs;
	*bytes = sizeof(uc->uc_mcontext.regs);
	*sp = uc->uc_mcontext.sp;
#endif
}

/* Where the kernel says in a frame how large the state it saved is. */
#define FXSAVE_BYTES	512
#define XSTATE_MAGIC_AT	464
#define XSTATE_MAGIC	0x46505853u

const void *os_context_vectors(const void *ucontext, size_t *bytes)
{
	const ucontext_t *uc = ucontext;
#if defined(__x86_64__)
	const char *fp = (const char *)uc->uc_mcontext.fpregs;

	*bytes = FXSAVE_BYTES;
	if (fp && *(const uint32_t *)(fp + XSTATE_MAGIC_AT) == XSTATE_MAGIC)
		*bytes = *(const uint32_t *)(fp + XSTATE_MAGIC_AT + 4);
	return fp;
#else
	*bytes = sizeof(uc->uc_mcontext.__reserved);
	return uc->uc_mcontext.__reserved;
#endif
}

const void *os_context_altstack(const void *ucontext)
{
	const stack_t *s = &((const ucontext_t *)ucontext)->uc_stack;

	return s->ss_flags & SS_DISABLE ? NULL : s->ss_sp;
}

const void *os_altstack(void)
{
	stack_t s = { .ss_flags = SS_DISABLE };

	raw_syscall(SYS_sigaltstack, NULL, &s, 0, 0);
	return s.ss_flags & SS_DISABLE ? NULL : s.ss_sp;
}

uintptr_t os_context_call(const void *ucontext)
{
	const ucontext_t *uc = ucontext;
#if defined(__x86_64__)
	static const unsigned char syscall_bytes[2] = { 0x0f, 0x05 };
	uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[16];	/* REG_RIP */
	unsigned char code[4];

	if (os_peek((const void *)(pc - 2), code, sizeof(code)))
		return 0;
	return !memcmp(code, syscall_bytes, 2) || !memcmp(code + 2, syscall_bytes, 2) ? pc : 0;
#else
	uintptr_t pc = uc->uc_mcontext.pc;
	uint32_t code[2];

	if (os_peek((const void *)(pc - 4), code, sizeof(code)))
		return 0;
	return code[0] == 0xd4000001 || code[1] == 0xd4000001 ? pc : 0;
#endif
}
