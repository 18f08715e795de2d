/* SPDX-License-Identifier: MIT */
/*
 * What reports ask of the kernel beyond os.h: files, clocks, the process's own
 * threads and signals, a thread that libc does not know of, and what is mapped.
 *
 * Conventions as in os.h: 0 (or a result) or a negative errno value; errno is
 * never changed; nothing allocates, takes a lock or calls libc, so that all of
 * it may run in a signal handler.
 */
#ifndef STELE_OS_PROC_H
#define STELE_OS_PROC_H

#include "os/os.h"

/* ---- files ---- */

#define OS_CWD	(-100)	/* AT_FDCWD */
int os_open_read(const char *path);	/* blocks until there is a writer, if a FIFO */
int os_open_write(const char *path);	/* creates or truncates */
int os_open_new(const char *path);	/* -EEXIST: is there already */
long os_read(int fd, void *buf, size_t len);
long os_pread(int fd, void *buf, size_t len, uint64_t offset);
int os_close(int fd);
/* As os_write, and says what hindered it. */
int os_write_all(int fd, const void *buf, size_t len);
int os_rename(const char *from, const char *to);
/* Into @buf, with a NUL; the length without it. */
long os_readlink(const char *path, char *buf, size_t size);
long os_getcwd(char *buf, size_t size);
/* A file to be executed: may this process, and does it begin like one? */
bool os_executable(const char *path, bool *has_format);
/* Make @path a FIFO, if nothing is there; -EEXIST when something else is. */
int os_make_fifo(const char *path);
/* The whole file, read-only. */
int os_map_file(const char *path, void **addr, size_t *len);

/* ---- time ---- */

uint64_t os_clock_real_ns(void);
uint64_t os_clock_ns(void);		/* monotonic */
void os_sleep_ms(unsigned ms);

/* ---- threads ---- */

int os_tid(void);
/* Call @fn for each thread of the process; a negative errno: not to be had. */
int os_each_task(void (*fn)(int tid, void *arg), void *arg);
/* A line or more of /proc/self/task/@tid/@file: bytes read. With a NUL. */
long os_read_task(int tid, const char *file, char *buf, size_t size);
void os_name_thread(const char *name);

/*
 * A thread that libc knows nothing of: it must call nothing of libc that needs
 * thread-local storage. Signals are those of the caller, who should have
 * blocked all of them. @area: os_thread_area() bytes, free again when *@alive,
 * which is set to the thread's number, is 0.
 */
#define OS_THREAD_AREA	(128u << 10)	/* of these: stack */
int os_spawn(void (*fn)(void *), void *arg, void *area, uint32_t *alive);
size_t os_thread_area(void);

/* What a call keeps of its caller's registers, and its stack pointer. */
struct os_regs {
#if defined(__x86_64__)
	uintptr_t word[6];
#else
	uintptr_t word[12];
#endif
	uintptr_t sp;
};

/*
 * Call fn(arg) on the stack that ends at @top. @regs becomes what the caller's
 * frames have in registers: together with the stack from regs->sp upwards that
 * is all they hold.
 */
void os_run_on(void *top, void (*fn)(void *), void *arg, struct os_regs *regs);

_Noreturn void os_exit_group(int status);

/* ---- signals ---- */

#define OS_NR_SIGNALS	64
#define OS_SIGNAL_SYNC	33	/* libc's own, to reach each of its threads; never blocked by it */

struct os_sigaction {
	void *handler;		/* SIG_DFL, SIG_IGN or void (int, siginfo_t *, void *) */
	unsigned long flags;
	void *restorer;		/* set by os_sigaction */
	uint64_t mask;
};
/* Past libc, whose structure is another one. Either pointer may be NULL. */
int os_sigaction(int sig, const struct os_sigaction *act, struct os_sigaction *old);
/* Block all signals, libc's own too; returns what was blocked. */
uint64_t os_block_signals(void);
void os_set_blocked(uint64_t mask);
void os_unblock_signal(int sig);
/* Which are pending and blocked, bit sig - 1; take such away without a handler. */
uint64_t os_pending_signals(void);
void os_drop_signals(uint64_t set);
/* Send @sig to one thread: with @value, or as if with @info. */
int os_signal_value(int tid, int sig, void *value);
int os_signal_info(int tid, int sig, void *info);

void os_signal_self(int sig);

/* Registers and stack pointer of an interrupted context. */
void os_context_regs(const void *ucontext, const void **regs, size_t *bytes, uintptr_t *sp);
/* The alternate stack that it has; NULL: none. The kernel alone may know of it. */
const void *os_context_altstack(const void *ucontext);
const void *os_altstack(void);		/* ... that the calling thread has */
/* Where it is if it waits in a system call, at the instruction or behind; 0: it does not. */
uintptr_t os_context_call(const void *ucontext);
/* The vector registers of it, NULL: none. */
const void *os_context_vectors(const void *ucontext, size_t *bytes);

/* A system call that a thread waits in. */
#define OS_CALL_ARGS	6u
struct os_call {
	long number;
	uint64_t arg[OS_CALL_ARGS];
	uintptr_t sp, pc;
};
/* False: thread @tid is in none, or it cannot be known. */
bool os_read_call(int tid, struct os_call *call);
/* May it be made again after a signal, as it stands, where the kernel would not do so? */
bool os_call_repeats(const struct os_call *call);
/* In a handler: where the signal has ended this call, it is made again by who was interrupted. */
void os_context_repeat(void *ucontext, const struct os_call *call);

/* ---- memory ---- */

struct os_range {
	uintptr_t start, end;
};
/* A view of which pages exist; -errno: none, then every page may. */
int os_pages_open(void);
/* A view that needs no descriptor: what is in memory, of a file also what no page table names. */
#define OS_PAGES_CORE	(-4096)
/*
 * Pages of [*@at, @end) that are in memory or in swap; with @anonymous only those
 * that differ from their file. Stores up to @max ranges and moves *@at.
 */
size_t os_pages(int fd, uintptr_t *at, uintptr_t end, bool anonymous, struct os_range *out,
		size_t max);

/* The function that callers of @name would get if this library did not have it. */
void *os_next_symbol(const char *name);
/* The same, or for who is not in front of libc, libc's. */
void *os_next_or_libc(const char *name);
/* The one that they get before it: the program's, or of a library loaded earlier. NULL: none. */
void *os_symbol_before(const char *name);

#endif
