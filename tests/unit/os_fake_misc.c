/* SPDX-License-Identifier: MIT */
/*
 * The fake machine: all but its memory. Words for futexes are the program's
 * own, so these go to the real system as they are.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"
#include "os/thread.h"
#include "os_fake.h"

#define TEXT_MAX	65536

static char text[TEXT_MAX];
static size_t text_len;
static pthread_mutex_t text_mutex = PTHREAD_MUTEX_INITIALIZER;
static sigjmp_buf *catcher;

/* The fake's memory is real memory. */
int os_resident(void *addr, size_t len, unsigned char *vec)
{
	static __thread unsigned char real[1 << 16];
	size_t unit = os_page_size() / 4096, n = len / 4096;

	if (n > sizeof(real) || mincore(addr, len, real))
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		vec[i / unit] = (unsigned char)((i % unit ? vec[i / unit] : 0) | (real[i] & 1));
	return 0;
}

bool os_nothing_swapped(void)
{
	unsigned n = __atomic_add_fetch(&fake.swap_asked, 1, __ATOMIC_RELAXED);

	return n < fake.swap_from || !fake.swap_from;
}

/* What the fake has not mapped is PROT_NONE: the real system refuses it. */
int os_peek(const void *addr, void *to, size_t len)
{
	struct iovec here = { to, len }, there = { (void *)(uintptr_t)addr, len };

	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == (ssize_t)len ? 0 : -EFAULT;
}

bool os_readable(const void *addr)
{
	char c;

	return !os_peek(addr, &c, 1);
}

uintptr_t os_stack_top(void)
{
	return fake.stack_top;
}

uint64_t os_now_ms(void)
{
	return fake.clock;
}

/* No thread of this machine has a registration, but it may have the number of its CPU. */
bool os_rseq_area(ptrdiff_t *offset, bool *mm_cid)
{
	*offset = fake.rseq_area;
	*mm_cid = false;
	return fake.rseq_area;
}

bool os_rseq_own(ptrdiff_t *offset __unused_arg, bool *mm_cid __unused_arg)
{
	return false;
}

bool os_rseq_declined(void)
{
	return false;
}

bool os_rseq_join(void)
{
	return false;
}

unsigned os_cpu_ids(void)
{
	return fake.cpus;
}

unsigned os_cpus(void)
{
	return fake.cpus;
}

void os_yield(void)
{
	sched_yield();
}

bool os_thread_is_own(void)
{
	return false;
}

void os_nap(unsigned us)
{
	usleep(us);
}

void os_futex_wait(uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value, NULL);
}

void os_futex_wait_ms(uint32_t *word, uint32_t value, unsigned ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	syscall(SYS_futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value, &ts);
}

void os_futex_wake(uint32_t *word, int waiters)
{
	syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, waiters);
}

void os_write(int fd __unused_arg, const void *buf, size_t len)
{
	pthread_mutex_lock(&text_mutex);
	len = MIN(len, TEXT_MAX - 1 - text_len);
	memcpy(text + text_len, buf, len);
	text_len += len;
	text[text_len] = '\0';
	pthread_mutex_unlock(&text_mutex);
}

const char *fake_text(void)
{
	return text;
}

void fake_text_clear(void)
{
	text_len = 0;
	text[0] = '\0';
}

int os_dup(int fd)
{
	return fd;
}

int os_pid(void)
{
	return (int)getpid();
}

int os_parent_pid(void)
{
	return (int)getppid();
}

uint64_t os_auxv(unsigned long type)
{
	return type == AT_PAGESZ ? fake.page_size : 0;
}

char **os_environ(void)
{
	return fake.environ;
}

const char *os_program(void)
{
	return "unit";
}

long os_read_file(const char *path __unused_arg, char *buf, size_t size)
{
	size_t n;

	if (!fake.file)
		return -ENOENT;
	n = MIN(strlen(fake.file), size);
	memcpy(buf, fake.file, n);
	return (long)n;
}

uint64_t os_clock(void)
{
	return fake.clock;
}

size_t os_huge_default(void)
{
	return FAKE_HUGE;
}

bool os_secure(void)
{
	return fake.secure;
}

bool fake_aborts(void (*fn)(void *), void *arg)
{
	sigjmp_buf here;

	if (sigsetjmp(here, 0)) {
		catcher = NULL;
		return true;
	}
	catcher = &here;
	fn(arg);
	catcher = NULL;
	return false;
}

void os_abort(void)
{
	if (catcher)
		siglongjmp(*catcher, 1);
	fprintf(stderr, "%s", text);
	abort();
}

bool os_single_threaded(void)
{
	return READ_ONCE(fake.single_threaded);
}

const char *os_single_flag(void)
{
	static_assert(sizeof(fake.single_threaded) == 1, "a byte, as libc's");
	return (const char *)&fake.single_threaded;
}
