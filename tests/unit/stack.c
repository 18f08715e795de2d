/* SPDX-License-Identifier: MIT */
/* lib/debug/stack.c: equal stacks have equal ids, for ever, in many threads. */
#include "common.h"

#include <pthread.h>

#include "debug/depot.h"
#include "debug/fate.h"
#include "debug/stack.h"
#include "page/zone.h"

/* The @i-th stack of a family; its length is part of it. */
static size_t make(uintptr_t *pcs, size_t i)
{
	size_t n = 1 + i % 40;

	for (size_t k = 0; k < n; k++)
		pcs[k] = (i / 40 + 1) * 0x1000 + k * 16;
	return n;
}

static void stack_is(uint32_t id, size_t i, uint32_t generation)
{
	uintptr_t want[64];
	uintptr_t have[STACK_DEPTH_MAX];
	uint32_t gen;
	size_t n = make(want, i);

	must_eq(stack_get(id, have, &gen), n);
	must(!memcmp(have, want, n * sizeof(*want)));
	must_eq(gen, generation);
}

static uint32_t put_frames(const uintptr_t *pcs, size_t n)
{
	struct stack_key wanted = stack_key(pcs, n, (struct stack_tail){ STACK_NONE, 0, 0 });

	return stack_put(&wanted);
}

static uint32_t put(size_t i)
{
	uintptr_t pcs[64];
	size_t n = make(pcs, i);

	return put_frames(pcs, n);
}

#define MANY	100000

START_TEST(equal_stacks)
{
	static uint32_t ids[MANY];

	unit_boot();
	for (size_t i = 0; i < MANY; i++) {
		ids[i] = put(i);
		must(ids[i] > STACK_FULL);
	}
	for (size_t i = 0; i < MANY; i++) {
		must_eq(put(i), ids[i]);
		stack_is(ids[i], i, 0);
	}
	/* A frame more, and a frame less, are others. */
	for (size_t i = 1; i < 40; i++)
		must(ids[i] != ids[i - 1]);
	zones_hold();
}
END_TEST

START_TEST(special_ids)
{
	uintptr_t pcs[STACK_DEPTH_MAX];
	uint32_t gen = 7;

	unit_boot();
	must_eq(put_frames(NULL, 0), STACK_UNKNOWN);
	for (uint32_t id = STACK_NONE; id <= STACK_FULL; id++) {
		must_eq(stack_get(id, pcs, &gen), 0);
		must(!gen);
		must_eq(stack_get(id, NULL, NULL), 0);
	}
}
END_TEST

START_TEST(generations)
{
	uint32_t before, after;

	unit_boot();
	before = put(5);
	stack_new_generation();
	after = put(5);
	must(before != after);
	stack_is(before, 5, 0);
	stack_is(after, 5, 1);
	must_eq(put(5), after);
}
END_TEST

START_TEST(words)
{
	unit_boot();
	for (size_t i = 0; i < 1000; i++)
		must_eq(*stack_word(put(i)), 0);
	for (size_t i = 0; i < 1000; i++)
		*stack_word(put(i)) = (uint32_t)i;
	for (size_t i = 0; i < 1000; i++) {
		must_eq(*stack_word(put(i)), i);
		stack_is(put(i), i, 0);
	}
}
END_TEST

#define FAMILY	20000
#define DEPTH	60

static struct family {
	uintptr_t pcs[DEPTH];
	size_t n;
	uint32_t id;
} family[FAMILY];

/*
 * Stacks that have outer frames in common with earlier ones, those in turn with others:
 * read back as they are, the same whether or not it is said what they have in common, and
 * without room for what is another's.
 */
START_TEST(tails)
{
	struct rng r = { 1 };
	uint32_t last = 0;

	unit_boot();
	for (size_t i = 0; i < FAMILY; i++) {
		struct family *f = &family[i], *of = &family[rng_below(&r, i ? i : 1)];
		struct stack_tail tail = { of->id, (uint32_t)rng_below(&r, 6), 0 };
		struct stack_key key;
		uint32_t next;

		f->n = DEPTH;
		if (i) {
			tail.skip = (uint32_t)rng_below(&r, of->n);
			f->n = MIN(tail.own + of->n - tail.skip, (size_t)DEPTH);
			memcpy(&f->pcs[tail.own], &of->pcs[tail.skip],
			       (f->n - tail.own) * sizeof(f->pcs[0]));
		} else {
			tail.own = DEPTH;
		}
		for (size_t k = 0; k < tail.own; k++)
			f->pcs[k] = 1 + rng_below(&r, 1ul << 40);
		key = stack_key(f->pcs, f->n, tail);
		f->id = stack_put(&key);
		must(f->id > STACK_FULL);
		/* Units of 16 bytes, two frames each, in chunks. */
		next = put(MANY + i);
		if (f->id == next || next >> 14 != f->id >> 14 || f->id < last)
			continue;
		must_eq(next - f->id, 1 + (tail.own + 1) / 2);
		last = next;
	}
	for (size_t i = 0; i < FAMILY; i++) {
		uintptr_t have[STACK_DEPTH_MAX];
		uint32_t gen;

		must_eq(stack_get(family[i].id, have, &gen), family[i].n);
		must(!memcmp(have, family[i].pcs, family[i].n * sizeof(have[0])));
		must_eq(put_frames(family[i].pcs, family[i].n), family[i].id);
	}
}
END_TEST

static bool count(uint32_t id, void *arg)
{
	must(id > STACK_FULL && stack_get(id, NULL, NULL));
	return --*(size_t *)arg;
}

struct counted {
	uint64_t of[STACK_FULL + 200], all;
	unsigned links;
};

static void add_fate(const struct fate *f, void *arg)
{
	struct counted *c = arg;

	if (f->free_stack < ARRAY_SIZE(c->of))
		c->of[f->free_stack] += f->count;
	c->all += f->count;
	c->links++;
}

/* Who freed what a stack allocated: each is counted by itself, up to 64; others together. */
START_TEST(fates)
{
	struct counted c = { .all = 0 };
	uint32_t a, b, first, second;

	unit_boot();
	a = put(1), b = put(2), first = put(3), second = put(4);
	fate_each(a, add_fate, &c);
	must_eq(c.links, 0);
	for (unsigned i = 0; i < 5; i++)
		fate_count(a, first);
	fate_count(a, second);
	fate_count(b, second);
	fate_count(STACK_UNKNOWN, first);
	fate_each(a, add_fate, &c);
	must_eq(c.links, 2);
	must_eq(c.of[first], 5);
	must_eq(c.of[second], 1);
	for (unsigned i = 0; i < 1000; i++)
		fate_count(b, put(100 + i));
	c = (struct counted){ .all = 0 };
	fate_each(b, add_fate, &c);
	must_eq(c.links, 65);
	must_eq(c.all, 1001);
	must_eq(c.of[STACK_UNKNOWN], 1001 - 64);
}
END_TEST

static void *count_fates(void *arg)
{
	for (unsigned i = 0; i < 20000; i++)
		fate_count(put(1 + i % 3), put(10 + (i + (unsigned)(size_t)arg) % 7));
	return NULL;
}

/* Nothing is lost, and no pair is there twice. */
START_TEST(fates_of_threads)
{
	struct counted c = { .all = 0 };
	pthread_t id[4];

	unit_boot();
	for (size_t t = 0; t < 4; t++)
		must(!pthread_create(&id[t], NULL, count_fates, (void *)t));
	for (size_t t = 0; t < 4; t++)
		pthread_join(id[t], NULL);
	for (unsigned i = 1; i <= 3; i++)
		fate_each(put(i), add_fate, &c);
	must_eq(c.links, 3 * 7);
	must_eq(c.all, 4 * 20000);
}
END_TEST

START_TEST(walking)
{
	size_t left = 5001;

	unit_boot();
	must(stack_walk(count, &left));
	for (size_t i = 0; i < 5000; i++)
		put(i);
	must(stack_walk(count, &left));
	must_eq(left, 1);
	left = 10;
	must(!stack_walk(count, &left));
	must_eq(left, 0);
}
END_TEST

/* Without memory, stacks that are there are found; others are told to be too many. */
START_TEST(no_memory)
{
	uint32_t last = 0;

	unit_boot();
	put(0);
	fake_fail_all(true);
	for (size_t i = 1; i < 5000000 && last != STACK_FULL; i++)
		last = put(i);
	must_eq(last, STACK_FULL);
	stack_is(put(0), 0, 0);
	fake_fail_all(false);
	must(put(4999999) > STACK_FULL);
}
END_TEST

static uint32_t seen[4][20000];

static void *enter_all(void *arg)
{
	size_t t = (size_t)arg;

	/* Not in step: each begins elsewhere. */
	for (size_t k = 0; k < 20000; k++) {
		size_t i = (k + t * 777) % 20000;

		seen[t][i] = put(i);
	}
	return NULL;
}

START_TEST(threads)
{
	pthread_t id[4];

	unit_boot();
	for (size_t t = 0; t < 4; t++)
		must(!pthread_create(&id[t], NULL, enter_all, (void *)t));
	for (size_t t = 0; t < 4; t++)
		pthread_join(id[t], NULL);
	for (size_t i = 0; i < 20000; i++) {
		stack_is(seen[0][i], i, 0);
		for (size_t t = 1; t < 4; t++)
			must_eq(seen[t][i], seen[0][i]);
	}
}
END_TEST

int main(void)
{
	const TTest *tests[] = { equal_stacks, special_ids, generations, words, tails, fates, walking,
				 no_memory, threads, fates_of_threads };

	return unit_run("stack", tests, ARRAY_SIZE(tests));
}
