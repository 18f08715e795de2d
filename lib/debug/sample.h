/* SPDX-License-Identifier: MIT */
/*
 * Sampling by bytes: each byte allocated is sampled with the same small
 * probability, so a block of n bytes is with 1 - exp(-n / profile). (n is one more
 * than was asked for: so blocks of no bytes are seen too.) A sampled block stands for 1 / that many blocks of its size: estimates are unbiased.
 */
#ifndef STELE_DEBUG_SAMPLE_H
#define STELE_DEBUG_SAMPLE_H

#include "debug/thread.h"
#include "debug/track.h"

/* Once, from track_init(). */
void sample_init(uint64_t mean);

/* Count @size down; true: the distance is used up, or was never drawn. */
static __force_inline bool sample_down(size_t size)
{
	int64_t left = debug_thread.sample_left - (int64_t)(size + 1);

	debug_thread.sample_left = left;
	return unlikely(left <= 0);
}

/* Of a request that is to be counted by somebody else. */
static __force_inline void sample_up(size_t size)
{
	debug_thread.sample_left += (int64_t)(size + 1);
}

/*
 * The same where each instruction counts: go to @due where sample_down() says true, to
 * @over, with nothing counted, where the size is not below @limit.
 */
#if defined(__x86_64__) && defined(__LP64__)
/* The carry of the comparison is the one byte more. */
#define sample_hit_down(size, limit, due, over) \
	do { \
		uintptr_t thread_; \
		__asm__ __volatile__ goto( \
			"cmpq %[limit_], %[size_]\n\t" \
			"jae %l[" #over "]\n\t" \
			"movq debug_thread@gottpoff(%%rip), %[thread]\n\t" \
			"sbbq %[size_], %%fs:%c[left](%[thread])\n\t" \
			"jle %l[" #due "]\n\t" \
			: [thread] "=&r"(thread_) \
			: [size_] "r"(size), [limit_] "m"(limit), \
			  [left] "i"(offsetof(struct debug_thread, sample_left)) \
			: "memory", "cc" \
			: due, over); \
	} while (0)
#else
#define sample_hit_down(size, limit, due, over) \
	do { \
		if (unlikely((size) >= (limit))) \
			goto over; \
		if (sample_down(size)) \
			goto due; \
	} while (0)
#endif

/* After that: is this block a sample? */
bool sample_take(size_t size);

/* Is a request for @size bytes to be sampled? */
static inline bool sample_due(size_t size)
{
	return size <= PTRDIFF_MAX && sample_down(size) && sample_take(size);
}

/* Count a sampled block in or out. */
void sample_count_alloc(uint32_t stack, size_t size);
void sample_count_free(uint32_t stack, size_t size);

/* Estimates of one stack, rounded to whole numbers. */
struct profile {
	uint32_t stack;
	uint64_t inuse_blocks, inuse_bytes;
	uint64_t total_blocks, total_bytes;
};

/* Visit every stack that was sampled. False: @fn stopped it. */
bool profile_walk(bool (*fn)(const struct profile *p, void *arg), void *arg);

#endif
