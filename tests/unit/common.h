/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests share. Check runs every test in a process of its own, so
 * each begins with a core that has never been used.
 */
#ifndef STELE_TESTS_COMMON_H
#define STELE_TESTS_COMMON_H

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "os_fake.h"

/* Like ck_assert, but cheap enough for loops of millions. */
#define must(cond) \
	do { \
		if (unlikely(!(cond))) \
			ck_abort_msg("%s", #cond); \
	} while (0)

#define must_eq(a, b) \
	do { \
		unsigned long must_a = (unsigned long)(a), must_b = (unsigned long)(b); \
		if (unlikely(must_a != must_b)) \
			ck_abort_msg("%s == %s: %lu (%#lx) and %lu (%#lx)", #a, #b, must_a, \
				     must_a, must_b, must_b); \
	} while (0)

/* @part is somewhere in the text that the core wrote. */
#define must_say(part) \
	do { \
		const char *must_part = (part); \
		if (!strstr(fake_text(), must_part)) \
			ck_abort_msg("no \"%s\" in: %s", must_part, fake_text()); \
	} while (0)

/* Runs the tests as one suite and prints TAP; returns main()'s value. */
int unit_run(const char *name, const TTest *const *tests, size_t n);

/* The layers above the pages start, on locked slots. */
void unit_start(void);
/* A fresh fake machine, then unit_start(). */
void unit_boot(void);

/* Walk all sections: counters, bitmaps and the class map agree. */
void zones_hold(void);
/* Pages that are neither free nor tables, of all zones. */
size_t zones_used(void);

/* Zeroed memory from outside of the fake machine, for blocks_index(); never freed. */
void *unit_index_memory(size_t bytes);

/* xorshift64*: the same numbers on every machine. */
struct rng {
	uint64_t state;
};
uint64_t rng_next(struct rng *r);
/* 0 <= result < n. */
size_t rng_below(struct rng *r, size_t n);
/* 1 <= result <= max, every power of two as likely as the others. */
size_t rng_size(struct rng *r, size_t max);

/* Contents that depend on the seed and the position. */
void pattern_fill(void *p, size_t n, uint64_t seed);
bool pattern_holds(const void *p, size_t n, uint64_t seed);
bool all_zero(const void *p, size_t n);

#endif
