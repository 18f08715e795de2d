/* SPDX-License-Identifier: MIT */
/*
 * Blocks with an owner word. A live block carries the number of the one that allocated it in
 * its first word, and the complement once per 64 bytes; who frees it clears the first. So a
 * block that is handed out twice is seen at once by the second owner, or by the first when it
 * lets go. (What freed blocks of other sizes leave behind is no owner word: the complement.)
 */
#ifndef OWNER_H
#define OWNER_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "../hard/hard.h"

#define OWNER_MAGIC	0x57e1eull
#define OWNER_BLOCKS	64

struct owned {
	void *p;
	size_t n;
	uint64_t id;
};

struct owner {
	uint64_t rnd;
	uint64_t id;		/* of the next block */
	size_t max;		/* bytes */
	struct owned b[OWNER_BLOCKS];
};

static inline void owner_init(struct owner *o, unsigned who, size_t max)
{
	memset(o, 0, sizeof(*o));
	o->rnd = hard_seed(who);
	o->id = OWNER_MAGIC << 44 | (uint64_t)who << 32;
	o->max = max;
}

static inline void owner_get(struct owner *o, struct owned *b, size_t n)
{
	uint64_t old, *w = hard_hide(hard_malloc(n));

	b->n = n;
	b->id = o->id++;
	old = __atomic_exchange_n(&w[0], b->id, __ATOMIC_RELAXED);
	CHECK(old >> 44 != OWNER_MAGIC, "block %p of %zu: handed to %#lx while %#lx has it",
	      (void *)w, n, (unsigned long)b->id, (unsigned long)old);
	for (size_t i = 8; i < n / 8; i += 8)
		w[i] = ~b->id;
	b->p = w;
}

static inline void owner_put(struct owned *b)
{
	uint64_t old, *w = b->p;

	if (!w)
		return;
	for (size_t i = 8; i < b->n / 8; i += 8)
		CHECK(w[i] == ~b->id, "block %p of %zu: word %zu is %#lx, not %#lx", b->p, b->n, i,
		      (unsigned long)w[i], (unsigned long)~b->id);
	b->p = NULL;
	old = __atomic_exchange_n(&w[0], 0, __ATOMIC_RELAXED);
	CHECK(old == b->id, "block %p of %zu: has owner %#lx, not %#lx", (void *)w, b->n,
	      (unsigned long)old, (unsigned long)b->id);
	free(w);
}

/* One block goes, one comes. */
static inline void owner_turn(struct owner *o)
{
	uint64_t r = hard_rand(&o->rnd);
	struct owned *b = &o->b[r % OWNER_BLOCKS];

	owner_put(b);
	owner_get(o, b, 16 + (r >> 32) % (o->max - 15));
}

/* All of one class at once: from the first to the last a sheaf runs empty, and full again. */
static inline void owner_burst(struct owner *o, size_t n)
{
	for (size_t i = 0; i < OWNER_BLOCKS; i++) {
		owner_put(&o->b[i]);
		owner_get(o, &o->b[i], n);
	}
	for (size_t i = 0; i < OWNER_BLOCKS; i++)
		owner_put(&o->b[i]);
}

static inline void owner_round(struct owner *o)
{
	for (int i = 0; i < 256; i++)
		owner_turn(o);
	owner_burst(o, 16 + hard_rand(&o->rnd) % (o->max - 15));
}

static inline void owner_end(struct owner *o)
{
	for (size_t i = 0; i < OWNER_BLOCKS; i++)
		owner_put(&o->b[i]);
}

/* Up to @rounds rounds, but no longer than @seconds. */
static inline void owner_run(struct owner *o, unsigned rounds, double seconds)
{
	double end = hard_now() + seconds;

	for (unsigned i = 0; i < rounds && hard_now() < end; i++)
		owner_round(o);
}

/* Threads with small stacks: libc keeps all of them for the next round. */
static inline void owner_start(pthread_t *t, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * KIB);
	err = pthread_create(t, &attr, fn, arg);
	CHECK(!err, "pthread_create: %s", strerror(err));
	pthread_attr_destroy(&attr);
}

/* The @nth CPU that the process may use, counted round and round. */
static inline cpu_set_t owner_cpu(const cpu_set_t *all, unsigned nth)
{
	int n = CPU_COUNT(all), left = (int)(nth % (unsigned)n);
	cpu_set_t one;

	CPU_ZERO(&one);
	for (int c = 0; c < CPU_SETSIZE; c++) {
		if (CPU_ISSET(c, all) && left-- == 0) {
			CPU_SET(c, &one);
			break;
		}
	}
	return one;
}

#endif
