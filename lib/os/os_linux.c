/* SPDX-License-Identifier: MIT */
/* The OS seam on Linux. The only file that enters the kernel. */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "os/proc.h"
#include "os/syscall.h"
#include "os/thread.h"

/* From the kernel's headers, which not every libc comes with, or not new enough. */
#define FUTEX_WAIT_PRIVATE	(0 | 128)
#define FUTEX_WAKE_PRIVATE	(1 | 128)
#define HUGE_PAGE_SHIFT		26
#define FENCE_RSEQ		(1 << 7)
#define FENCE_RSEQ_REGISTER	(1 << 8)
#define FENCE_FLAG_CPU		1

/* What ld.so left: the address of argc. Known before environ is. */
extern void *__libc_stack_end __weak_ref;
extern char __libc_single_threaded __weak_ref;
#if defined(__GLIBC__)
/* What the pthread_atfork() of libc_nonshared.a calls. */
typedef int register_fn(void (*prepare)(void), void (*parent)(void), void (*child)(void),
			void *dso);
/* Which library it is that registers; crtbeginS.o has it, where that is linked (lib/Makefile.inc). */
void *__dso_handle __hidden __weak_ref = &__dso_handle;
#endif

__setup size_t os_page_size(void)
{
	static size_t size __initdata;

	if (unlikely(!size)) {
		size_t s = (size_t)os_auxv(AT_PAGESZ);

		size = s ? s : 4096;
	}
	return size;
}

__setup int os_sbrk(intptr_t delta, void **old_break)
{
#if defined(__GLIBC__)
	int saved = errno;
	void *old = sbrk(delta);
	int err = errno;

	errno = saved;
	if (old == (void *)-1)
		return err ? -err : -ENOMEM;
	*old_break = old;
	return 0;
#else
	/* Elsewhere libc keeps the break for itself. */
	(void)delta;
	(void)old_break;
	return -ENOMEM;
#endif
}

static int map_result(long ret, void **addr)
{
	if (ret < 0 && ret > -4096)
		return (int)ret;
	*addr = (void *)ret;
	return 0;
}

int os_map(size_t len, void **addr)
{
	return map_result(raw_syscall6(SYS_mmap, 0, (long)len, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), addr);
}

int os_map_huge(size_t len, size_t huge, void **addr)
{
	long flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
		     (long)log2_ceil(huge) << HUGE_PAGE_SHIFT;

	return map_result(raw_syscall6(SYS_mmap, 0, (long)len, PROT_READ | PROT_WRITE, flags,
				       -1, 0), addr);
}

__far size_t os_huge_default(void)
{
	static const char key[] = "Hugepagesize:";
	char text[4096];
	long n = os_read_file("/proc/meminfo", text, sizeof(text) - 1);
	size_t kib = 0;

	text[MAX(n, 0l)] = '\0';

	const char *s = strstr(text, key);

	for (s = s ? s + sizeof(key) - 1 : ""; *s == ' ' || (*s >= '0' && *s <= '9'); s++) {
		if (*s != ' ')
			kib = kib * 10 + (size_t)(*s - '0');
	}
	return kib << 10;
}

int os_advise_huge(void *addr, size_t len, bool huge)
{
	return (int)raw_syscall(SYS_madvise, addr, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE, 0);
}

int os_unmap(void *addr, size_t len)
{
	return (int)raw_syscall(SYS_munmap, addr, len, 0, 0);
}

int os_remap(void *addr, size_t old_len, size_t new_len, void **new_addr)
{
	return map_result(raw_syscall(SYS_mremap, addr, old_len, new_len, MREMAP_MAYMOVE),
			  new_addr);
}

int os_purge(void *addr, size_t len)
{
	return (int)raw_syscall(SYS_madvise, addr, len, MADV_DONTNEED, 0);
}

int os_resident(void *addr, size_t len, unsigned char *vec)
{
	return (int)raw_syscall(SYS_mincore, addr, len, vec, 0);
}

bool os_nothing_swapped(void)
{
	struct sysinfo si;

	return !raw_syscall(SYS_sysinfo, &si, 0, 0, 0) && si.totalswap == si.freeswap;
}

__far int os_peek(const void *addr, void *to, size_t len)
{
	struct iovec here = { to, len }, there = { (void *)(uintptr_t)addr, len };
	unsigned char vec[1];
	long n = raw_syscall6(SYS_process_vm_readv, raw_syscall(SYS_gettid, 0, 0, 0, 0), (long)&here, 1, (long)&there, 1, 0);

	if (n == (long)len)
		return 0;
	if (n != -ENOSYS && n != -EPERM)
		return -EFAULT;
	/* Refused here: at least do not read what is not mapped. */
	if (raw_syscall(SYS_mincore, ALIGN_DOWN((uintptr_t)addr, os_page_size()), 1, vec, 0))
		return -EFAULT;
	memcpy(to, addr, len);
	return 0;
}

/* An invalid request is refused only after its argument has been read. */
bool os_readable(const void *addr)
{
	return raw_syscall(SYS_rt_sigprocmask, -1, addr, NULL, sizeof(uint64_t)) != -EFAULT;
}

uintptr_t os_stack_top(void)
{
	if (raw_syscall(SYS_gettid, 0, 0, 0, 0) != os_pid())
		return (uintptr_t)__builtin_thread_pointer();
	return &__libc_stack_end ? (uintptr_t)__libc_stack_end : 0;
}

__setup int os_fence_init(void)
{
	return (int)raw_syscall(SYS_membarrier, FENCE_RSEQ_REGISTER, 0, 0, 0);
}

int os_fence(int cpu)
{
	return (int)raw_syscall(SYS_membarrier, FENCE_RSEQ,
				cpu >= 0 ? FENCE_FLAG_CPU : 0, cpu >= 0 ? cpu : 0, 0);
}

/* Both answers by one call: they do not change enough to ask again. */
static struct {
	bool asked;
	unsigned ids, cpus;
} cpu __initdata;

static __setup void ask_cpus(void)
{
	uint64_t mask[128];
	long bytes = raw_syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask, 0);

	cpu.asked = true;
	cpu.ids = bytes > 0 ? (unsigned)bytes * 8 : 0;
	cpu.cpus = bytes > 0 ? (unsigned)bits_count(mask, 0, cpu.ids) : 1;
}

__setup unsigned os_cpu_ids(void)
{
	if (!cpu.asked)
		ask_cpus();
	return cpu.ids;
}

__setup unsigned os_cpus(void)
{
	if (!cpu.asked)
		ask_cpus();
	return MAX(cpu.cpus, 1u);
}

uint64_t os_clock(void)
{
	struct timespec ts = { 0, 0 };

	raw_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts, 0, 0);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void os_yield(void)
{
	raw_syscall(SYS_sched_yield, 0, 0, 0, 0);
}

void os_nap(unsigned us)
{
	struct timespec ts = { us / 1000000, (long)(us % 1000000) * 1000 };

	raw_syscall(SYS_nanosleep, &ts, 0, 0, 0);
}

void os_futex_wait(uint32_t *word, uint32_t value)
{
	raw_syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, 0);
}

void os_futex_wait_ms(uint32_t *word, uint32_t value, unsigned ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	raw_syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &ts);
}

void os_futex_wake(uint32_t *word, int waiters)
{
	raw_syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, waiters, 0);
}

void os_write(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		long n = raw_syscall(SYS_write, fd, p, len, 0);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

__far long os_read_file(const char *path, char *buf, size_t size)
{
	long fd = raw_syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	size_t have = 0;
	long n = 0;

	if (fd < 0)
		return fd;
	while (have < size) {
		n = raw_syscall(SYS_read, fd, buf + have, size - have, 0);
		if (n <= 0 && n != -EINTR)
			break;
		have += (size_t)MAX(n, 0l);
	}
	raw_syscall(SYS_close, fd, 0, 0, 0);
	return n < 0 && !have ? n : (long)have;
}

int os_dup(int fd)
{
	return (int)raw_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 700, 0);
}

int os_pid(void)
{
	return (int)raw_syscall(SYS_getpid, 0, 0, 0, 0);
}

int os_parent_pid(void)
{
	return (int)raw_syscall(SYS_getppid, 0, 0, 0, 0);
}

__setup uint64_t os_auxv(unsigned long type)
{
	int saved = errno;
	unsigned long v = getauxval(type);

	errno = saved;
	return v;
}

/* Valgrind preloads libraries of its own into what it runs. */
__setup bool os_under_valgrind(void)
{
	static const char mark[] = "/vgpreload_", name[] = "LD_PRELOAD=";

	for (char **e = os_environ(); e && *e; e++) {
		const char *s = *e, *n = name;

		while (*n && *s == *n) {
			s++;
			n++;
		}
		for (; !*n && *s; s++) {
			size_t i = 0;

			while (mark[i] && s[i] == mark[i])
				i++;
			if (!mark[i])
				return true;
		}
	}
	return false;
}

__setup const char *os_program(void)
{
	const char *name = (const char *)os_auxv(AT_EXECFN), *base = name;

	for (; name && *name; name++) {
		if (*name == '/')
			base = name + 1;
	}
	return base ? base : "";
}

__init char **os_environ(void)
{
	if (environ)
		return environ;
	if (&__libc_stack_end && __libc_stack_end) {
		long argc = *(long *)__libc_stack_end;

		return (char **)__libc_stack_end + 1 + argc + 1;
	}
	return NULL;
}

void os_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
#if defined(__GLIBC__)
	register_fn *next = (register_fn *)os_next_or_libc("__register_atfork");

	if (next)
		next(prepare, parent, child, &__dso_handle);
#else
	pthread_atfork(prepare, parent, child);
#endif
}

bool os_secure(void)
{
	return os_auxv(AT_SECURE) != 0;
}

void os_abort(void)
{
	/* libc's abort() is for threads that libc knows; the signal is for them as well. */
	while (os_thread_is_own()) {
		raw_syscall(SYS_kill, os_pid(), SIGABRT, 0, 0);
		os_sleep(1000);
	}
	abort();
}

bool os_single_threaded(void)
{
	return &__libc_single_threaded && __libc_single_threaded && !READ_ONCE(os_thread_any);
}

const char *os_single_flag(void)
{
	return &__libc_single_threaded ? &__libc_single_threaded : NULL;
}
