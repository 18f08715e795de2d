/* SPDX-License-Identifier: MIT */
/*
 * The module: built with and without frame pointers. Each kind of function has
 * another way to its caller's frame.
 */
#include "chain.h"

#include <alloca.h>
#include <stdarg.h>
#include <stdlib.h>

#define NOINLINE __attribute__((noinline))
#define PUBLIC __attribute__((visibility("default")))
/* Keeps a call from being the last thing its function does. */
#define STAY()	__asm__ __volatile__("" ::: "memory")

struct way {
	uint64_t path;
	unsigned depth;
	chain_leaf *leaf;
	void *arg;
};

static void next(struct way w);

NOINLINE static void small(struct way w)
{
	next(w);
	STAY();
}

NOINLINE static void large(struct way w)
{
	volatile char room[3000];

	room[0] = (char)w.depth;
	next(w);
	STAY();
	(void)room[0];
}

/* Its frame is found by a register, with frame pointers or without. */
NOINLINE static void variable(struct way w)
{
	volatile char *room = alloca(16 + w.path % 512);

	room[0] = (char)w.depth;
	next(w);
	STAY();
	(void)room[0];
}

/* Realigns the stack: its frame is found by an expression. */
NOINLINE static void aligned(struct way w)
{
	volatile char room[64] __attribute__((aligned(64)));

	room[0] = (char)w.depth;
	next(w);
	STAY();
	(void)room[0];
}

/* Uses every register that a callee saves. */
NOINLINE static void registers(struct way w)
{
	unsigned long v[6];

	for (unsigned i = 0; i < 6; i++) {
		v[i] = w.path >> i;
		__asm__ __volatile__("" : "+r"(v[i]));
	}
	next(w);
	__asm__ __volatile__("" :: "r"(v[0]), "r"(v[1]), "r"(v[2]), "r"(v[3]), "r"(v[4]),
			     "r"(v[5]));
}

/* Through libc, which has no frame pointers. */
static __thread const struct way *sorting;

static int compare(const void *a, const void *b)
{
	const struct way *w = sorting;

	if (w) {
		sorting = NULL;
		next(*w);
		STAY();
	}
	return *(const char *)a - *(const char *)b;
}

NOINLINE static void through_libc(struct way w)
{
	char pair[2] = { 1, 2 };

	sorting = &w;
	qsort(pair, 2, 1, compare);
}

NOINLINE static void many_arguments(struct way w, ...)
{
	va_list ap;

	va_start(ap, w);
	w.depth += (unsigned)va_arg(ap, int);
	va_end(ap);
	next(w);
	STAY();
}

static void next(struct way w)
{
	unsigned kind = w.path & 7;

	if (!w.depth) {
		w.leaf(w.arg);
		STAY();
		return;
	}
	w.depth--;
	w.path = w.path >> 3 | w.path << 61;
	switch (kind) {
	case 0: small(w); break;
	case 1: large(w); break;
	case 2: variable(w); break;
	case CHAIN_ALIGNED: aligned(w); break;
	case 4: registers(w); break;
	case 5: through_libc(w); break;
	case 6: many_arguments(w, 0, 1, 2, 3, 4, 5, 6, 7, 8); break;
	default: next(w); STAY(); break;
	}
}

PUBLIC void chain_descend(uint64_t path, unsigned depth, chain_leaf *leaf, void *arg)
{
	next((struct way){ path, depth, leaf, arg });
	STAY();
}
