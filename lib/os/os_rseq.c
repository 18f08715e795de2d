/* SPDX-License-Identifier: MIT */
/*
 * Restartable sequences: whose registration, and where its area is.
 *
 * An area of our own lies in thread-local storage, and the kernel writes to it
 * whenever it resumes the thread. musl unmaps the stack of a detached thread, with
 * the thread-local storage, while the thread still runs on its way out; so a
 * thread's area is taken out by a destructor of a thread-specific key. What is
 * freed after that goes by the locked slots.
 */
#include "os/os.h"

#include <errno.h>
#include <pthread.h>

#include "os/libc.h"
#include "os/syscall.h"

#ifndef SYS_rseq
#if defined(__x86_64__)
#define SYS_rseq 334
#else
#define SYS_rseq 293
#endif
#endif

#define AT_RSEQ_SIZE	27	/* AT_RSEQ_FEATURE_SIZE, Linux 6.3 */
#define MM_CID_END	28	/* mm_cid occupies bytes 24..27 of the area */
#define AREA_BYTES	32
#define CPU_ID_NONE	(-1)
#define CPU_ID_REFUSED	(-2)
#define UNREGISTER	1

#if defined(__x86_64__)
#define SIGNATURE	0x53053053
#elif defined(__aarch64__)
#define SIGNATURE	0xd428bc00
#endif

/* glibc 2.35 and later. Size 0: it registered nothing. */
extern const ptrdiff_t __rseq_offset __weak_ref;
extern const unsigned __rseq_size __weak_ref;

struct area {
	uint32_t cpu_id_start;
	int32_t cpu_id;
	uint64_t rseq_cs;
	uint32_t flags, node_id, mm_cid, pad;
} __attribute__((aligned(AREA_BYTES)));
static_assert(sizeof(struct area) == AREA_BYTES, "what the kernel accepts");

static __thread struct area own = { .cpu_id = CPU_ID_NONE };
static pthread_key_t leaving;

static bool has_mm_cid(void)
{
	return os_auxv(AT_RSEQ_SIZE) >= MM_CID_END;
}

__setup bool os_rseq_area(ptrdiff_t *offset, bool *mm_cid)
{
	if (!&__rseq_size || !&__rseq_offset || !__rseq_size)
		return false;
	*offset = __rseq_offset;
	*mm_cid = has_mm_cid();
	return true;
}

ptrdiff_t os_rseq_own_offset(void)
{
	return (char *)&own - (char *)__builtin_thread_pointer();
}

bool os_rseq_declined(void)
{
	return &__rseq_size && !__rseq_size;
}

static void leave(void *area)
{
	raw_syscall(SYS_rseq, area, AREA_BYTES, UNREGISTER, SIGNATURE);
	own.cpu_id = CPU_ID_REFUSED;	/* for good */
}

bool os_rseq_own(ptrdiff_t *offset, bool *mm_cid)
{
	if (LIBC(pthread_key_create)(&leaving, leave) || !os_rseq_join())
		return false;
	*offset = os_rseq_own_offset();
	*mm_cid = has_mm_cid();
	return true;
}

bool os_rseq_join(void)
{
	if (own.cpu_id >= 0)
		return true;
	if (own.cpu_id == CPU_ID_REFUSED)
		return false;
	long err = raw_syscall(SYS_rseq, &own, AREA_BYTES, 0, SIGNATURE);

	/* Busy: a signal handler came between and has joined already. */
	if (err && err != -EBUSY) {
		own.cpu_id = CPU_ID_REFUSED;
		return false;
	}
	/* May allocate, and so come back here, which finds the area registered. */
	if (LIBC(pthread_setspecific)(leaving, &own)) {
		leave(&own);
		return false;
	}
	return true;
}

size_t os_tls_reach(void)
{
	/* The few bytes of others of ours may lie beside it. */
	return (size_t)((char *)__builtin_thread_pointer() - (char *)&own) + 256;
}
