/* SPDX-License-Identifier: MIT */
/*
 * The contract with the operating system: everything that the library asks of
 * the kernel goes through here, so that a test can put a fake underneath.
 *
 * Conventions: functions that can fail return 0 or a negative errno value and
 * store their result through the last argument, which they leave alone on
 * failure. errno itself is never changed. Addresses and lengths are multiples
 * of os_page_size() unless stated. Nothing here allocates or takes a lock.
 */
#ifndef STELE_OS_OS_H
#define STELE_OS_OS_H

#include <sys/types.h>

#include "base/compiler.h"

/*
 * What the addresses of a process have that asks for no more: 47 on x86-64, and on arm64 all
 * of 48, where the program itself lies two thirds up and mappings at the end.
 */
#define OS_ADDRESS_BITS	48

/* The system's page size (4, 16 or 64 KiB), asked once. */
size_t os_page_size(void);

/*
 * Move the program break by @delta bytes (any number, may be negative) and
 * store the old break. Goes through libc's sbrk, because libc remembers the
 * break and other callers of sbrk must not be handed our memory.
 */
int os_sbrk(intptr_t delta, void **old_break);

/* Fresh zeroed private memory. */
int os_map(size_t len, void **addr);
int os_unmap(void *addr, size_t len);
/* Resize a mapping; it may move. Its contents move along. */
int os_remap(void *addr, size_t old_len, size_t new_len, void **new_addr);

/*
 * Whole huge pages of @huge bytes, a power of two, from the system's pool; the
 * length is a multiple of it. 0 bytes: no such page size.
 */
int os_map_huge(size_t len, size_t huge, void **addr);
size_t os_huge_default(void);
/* May the range be made of transparent huge pages, or must it not? */
int os_advise_huge(void *addr, size_t len, bool huge);

/* Give the pages back; the range stays mapped and reads as zero. */
int os_purge(void *addr, size_t len);

/*
 * Which system pages of the range are in memory: one byte each, bit 0. The
 * range must be mapped.
 */
int os_resident(void *addr, size_t len, unsigned char *vec);

/* No page of any process is in swap: residency is the truth. */
bool os_nothing_swapped(void);

/* Copy from any address, also one that is not mapped or not readable: -EFAULT. */
int os_peek(const void *addr, void *to, size_t len);

/* May a word at @addr be read now? Changes nothing; any address will do. */
bool os_readable(const void *addr);

/*
 * Where the calling thread's own stack ends (frames lie below); 0: not known. An
 * expectation: to be checked page by page.
 */
uintptr_t os_stack_top(void);

/* Milliseconds of a clock that only rises, some ms coarse and cheap to read. */
uint64_t os_now_ms(void);

/*
 * rseq fences: os_fence_init() announces the intent once per process (and
 * again in a fork child); os_fence(cpu) returns when no thread is inside a
 * restartable sequence that began before, on @cpu, or on any CPU when -1.
 */
int os_fence_init(void);
int os_fence(int cpu);
/*
 * The rseq area that libc registers for every thread: its offset from the
 * thread pointer, and whether the kernel keeps mm_cid there. False: libc does
 * not. os_rseq_own() is the same for an area of ours, which each thread must
 * join() by itself, once; false: the kernel refuses.
 */
bool os_rseq_area(ptrdiff_t *offset, bool *mm_cid);
bool os_rseq_own(ptrdiff_t *offset, bool *mm_cid);
bool os_rseq_join(void);
/* libc would register its threads but was told not to (glibc.pthread.rseq=0). */
bool os_rseq_declined(void);
/* Where the area of ours is, registered or not. */
ptrdiff_t os_rseq_own_offset(void);
/* How far below the thread pointer our thread-local variables begin. */
size_t os_tls_reach(void);

/* One more than the largest CPU number that can exist, 0: unknown; CPUs for us. */
unsigned os_cpu_ids(void);
unsigned os_cpus(void);

/* Milliseconds of a clock that never goes back. */
uint64_t os_clock(void);

/* Let another thread run. */
void os_yield(void);
/* Sleep about so long; a signal may cut it short. NAP_US: until another thread has moved on. */
void os_nap(unsigned us);
#define NAP_US	50u

/* Sleep while *word == value; may return early. */
void os_futex_wait(uint32_t *word, uint32_t value);
/* For @ms at most. */
void os_futex_wait_ms(uint32_t *word, uint32_t value, unsigned ms);
void os_futex_wake(uint32_t *word, int waiters);

/* Write all of it, retrying short writes and EINTR. */
void os_write(int fd, const void *buf, size_t len);
/* The beginning of a file, up to @size bytes: how many, or -errno. */
long os_read_file(const char *path, char *buf, size_t size);
/* A private copy of @fd, far above what programs use; or -errno. */
int os_dup(int fd);
int os_pid(void);
int os_parent_pid(void);
uint64_t os_auxv(unsigned long type);

/* Does valgrind run this process? */
bool os_under_valgrind(void);

/* The name of the program, without directories; "" if not known. */
const char *os_program(void);

/*
 * The environment at the start, also before libc has set environ. NULL: not known yet. Later
 * environ itself counts: clearenv() makes it NULL.
 */
char **os_environ(void);
/* As pthread_atfork(), which is a function of its own in each library that calls it. */
void os_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
/* Does who names a function that libc has too get this library's? */
bool os_before_libc(void);
bool os_secure(void);

_Noreturn void os_abort(void);

/* True while the process never had a second thread, one of ours included. */
bool os_single_threaded(void);
/* libc's own word for it, to be read again and again; NULL: libc has none. */
const char *os_single_flag(void);

#endif
