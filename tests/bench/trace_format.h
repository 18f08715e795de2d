/* SPDX-License-Identifier: MIT */
/*
 * Allocation traces, written by trace_record.c and read by replay.c.
 *
 *	|"STELTRC1"| record | record | ... to the end of the file
 *
 * A record is one byte that says what happened and then its numbers, each a varint: seven
 * bits a byte, low bits first, the top bit set in all bytes but the last.
 *
 *	TRACE_MALLOC	id size
 *	TRACE_CALLOC	id size		size is the product of the two arguments
 *	TRACE_REALLOC	id size		the block keeps its id
 *	TRACE_MEMALIGN	id shift size	the alignment is 1 << shift
 *	TRACE_FREE	id
 *	TRACE_THREAD	tid		the records that follow are this thread's, counted from 0
 *
 * An id is a place in a table: it is taken again once its block is free, so the largest id is
 * the largest number of blocks that lived at once. Calls that failed and free(NULL) are not
 * in the trace; realloc(NULL, n) stands there as malloc, realloc(p, 0) as free.
 */
#ifndef STELE_TESTS_TRACE_FORMAT_H
#define STELE_TESTS_TRACE_FORMAT_H

#include <stdint.h>

#define TRACE_MAGIC	"STELTRC1"
#define TRACE_MAGIC_LEN	8
#define TRACE_MAX	32	/* a record is never longer */

enum trace_op {
	TRACE_MALLOC = 1,
	TRACE_CALLOC,
	TRACE_REALLOC,
	TRACE_MEMALIGN,
	TRACE_FREE,
	TRACE_THREAD,
};

static inline uint8_t *trace_put(uint8_t *at, uint64_t n)
{
	while (n > 127) {
		*at++ = (uint8_t)(n | 128);
		n >>= 7;
	}
	*at++ = (uint8_t)n;
	return at;
}

/* The caller has at least 10 readable bytes at at. */
static inline const uint8_t *trace_get(const uint8_t *at, uint64_t *n)
{
	uint64_t value = *at & 127;
	unsigned int shift = 7;

	while (*at++ & 128) {
		value |= (uint64_t)(*at & 127) << (shift & 63);
		shift += 7;
	}
	*n = value;
	return at;
}

#endif
