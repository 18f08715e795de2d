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
