/* SPDX-License-Identifier: MIT */
/* Bit arithmetic and plain bitmaps of 64-bit words. */
#ifndef STELE_BASE_BITS_H
#define STELE_BASE_BITS_H

#include "base/compiler.h"

#define BITS_WORD(i)	((i) >> 6)
#define BITS_MASK(i)	(1ull << ((i) & 63))

/* Index of the lowest / highest set bit; undefined for 0. */
static inline unsigned bit_first(uint64_t w)
{
	return (unsigned)__builtin_ctzll(w);
}

static inline unsigned bit_last(uint64_t w)
{
	return 63u - (unsigned)__builtin_clzll(w);
}

static inline bool is_pow2(uint64_t x)
{
	return x && !(x & (x - 1));
}

/* Smallest k with (1 << k) >= x; x >= 1. */
static inline unsigned log2_ceil(uint64_t x)
{
	return x <= 1 ? 0 : bit_last(x - 1) + 1;
}

static inline bool bits_test(const uint64_t *map, size_t i)
{
	return map[BITS_WORD(i)] & BITS_MASK(i);
}

static inline void bits_set(uint64_t *map, size_t i)
{
	map[BITS_WORD(i)] |= BITS_MASK(i);
}

static inline void bits_clear(uint64_t *map, size_t i)
{
	map[BITS_WORD(i)] &= ~BITS_MASK(i);
}

/* The bits of [i, end) that lie in the word of i. */
static inline uint64_t bits_span(size_t i, size_t end)
{
	size_t n = MIN(64 - (i & 63), end - i);

	return (n == 64 ? ~0ull : (1ull << n) - 1) << (i & 63);
}

/*
 * The range functions store whole words atomically and the search loads them so:
 * who owns some bits of a word may look at them while others are being changed.
 */

/* How many bits of [start, end) are set. */
static inline size_t bits_count(const uint64_t *map, size_t start, size_t end)
{
	size_t n = 0;

	for (size_t i = start; i < end; i = (i | 63) + 1)
		n += (size_t)__builtin_popcountll(READ_ONCE(map[BITS_WORD(i)]) &
						  bits_span(i, end));
	return n;
}

/* Set [start, end); returns how many were clear before. */
static inline size_t bits_set_range(uint64_t *map, size_t start, size_t end)
{
	size_t n = 0;

	for (size_t i = start; i < end; i = (i | 63) + 1) {
		uint64_t m = bits_span(i, end), *w = &map[BITS_WORD(i)];

		n += (size_t)__builtin_popcountll(m & ~*w);
		WRITE_ONCE(*w, *w | m);
	}
	return n;
}

/* Clear [start, end); returns how many were set before. */
static inline size_t bits_clear_range(uint64_t *map, size_t start, size_t end)
{
	size_t n = 0;

	for (size_t i = start; i < end; i = (i | 63) + 1) {
		uint64_t m = bits_span(i, end), *w = &map[BITS_WORD(i)];

		n += (size_t)__builtin_popcountll(m & *w);
		WRITE_ONCE(*w, *w & ~m);
	}
	return n;
}

/* Last index below @i, and not below @start, whose bit is set; @i if none. */
static inline size_t bits_prev(const uint64_t *map, size_t start, size_t i)
{
	for (size_t end = i; end > start; end = (end - 1) & ~63ul) {
		size_t lo = MAX((end - 1) & ~63ul, start);
		uint64_t w = READ_ONCE(map[BITS_WORD(lo)]) & bits_span(lo, end);

		if (w)
			return (lo & ~63ul) + bit_last(w);
	}
	return i;
}

/* First index in [i, end) whose bit equals @set; end if none. */
static inline size_t bits_next(const uint64_t *map, size_t i, size_t end, bool set)
{
	for (; i < end; i = (i | 63) + 1) {
		uint64_t w = READ_ONCE(map[BITS_WORD(i)]);

		w = (set ? w : ~w) & bits_span(i, end);
		if (w)
			return ALIGN_DOWN(i, 64) + bit_first(w);
	}
	return end;
}

#endif
