/* SPDX-License-Identifier: MIT */
/*
 * Compiler vocabulary: hints, ordered accesses, container_of, rounding.
 *
 * The accessors name the memory order they give; every release in the tree
 * names the acquire it pairs with at the place of use.
 */
#ifndef STELE_BASE_COMPILER_H
#define STELE_BASE_COMPILER_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

#define __cold_path	__attribute__((cold, noinline))
#define __noinline	__attribute__((noinline))
#define __force_inline	inline __attribute__((always_inline))
#define __cacheline	__attribute__((aligned(64)))
/*
 * What every process runs and writes lies together, in as few pages as can be: variables
 * among the initialised ones, whose page is the process's own from the first; code where
 * libstele.lds puts what is run at the start and the end, and the functions of libstelenear
 * and libstelelast that it names. What many run of these, and few, lies behind.
 */
/* What all processes run, but seldom: made small rather than fast. */
#define __setup		__attribute__((cold))
/* From the start of a cache line: where the hit paths lie decides 5 % of what they cost. */
#define __hot_path	__attribute__((aligned(64)))
#define __init		__attribute__((section(".text.startup"), cold))
#define __exit		__attribute__((section(".text.exit")))
#define __near		__attribute__((section(".text.near")))
#define __far		__attribute__((section(".text.far")))
#ifndef __initdata	/* the fuzzer has sections of its own, which it puts back */
#define __initdata	__attribute__((section(".data")))
/* The same without a value, behind them; of a large table, whose beginning all use, at the end. */
#define __nearbss	__attribute__((section(".bss.near")))
#define __nearbss_table	__attribute__((section(".bss.near_table")))
#define __nearbss_last	__attribute__((section(".bss.near_last")))
#endif
#define __unused_arg	__attribute__((unused))
#define __weak_ref	__attribute__((weak))
#define __printf_like(f, a) __attribute__((format(printf, f, a)))
#define __public	__attribute__((visibility("default")))
/* On a declaration: reached without the GOT. */
#define __hidden	__attribute__((visibility("hidden")))

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
/* Under the writers' lock, for those who read without it. */
#define ADD_ONCE(x, n)		WRITE_ONCE(x, (x) + (n))
#define load_acquire(p)		__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

#define barrier()	__asm__ __volatile__("" ::: "memory")

/* Loads before it come before those behind it. ThreadSanitizer knows no fences. */
#ifdef __SANITIZE_THREAD__
#define read_fence()	barrier()
#else
#define read_fence()	__atomic_thread_fence(__ATOMIC_ACQUIRE)
#endif

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("isb" ::: "memory");
#else
	barrier();
#endif
}

/* Powers of two only. */
#define ALIGN_DOWN(x, a)	((x) & ~((__typeof__(x))(a) - 1))
#define ALIGN_UP(x, a)		ALIGN_DOWN((x) + ((__typeof__(x))(a) - 1), a)
#define IS_ALIGNED(x, a)	(((x) & ((__typeof__(x))(a) - 1)) == 0)

#define MIN(a, b)	((a) < (b) ? (a) : (b))
#define MAX(a, b)	((a) > (b) ? (a) : (b))
#define CLAMP(x, lo, hi) MIN(MAX(x, lo), hi)

#endif
