/* SPDX-License-Identifier: MIT */
/*
 * Visits every state of the model, breadth first, and prints TAP. The protocol as it is must
 * be sound; and each way to get it wrong must be found out, or the model is worth nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define TABLE_BITS 22
#define MAX_STATES (1u << (TABLE_BITS - 1))

static const struct scene scenes[] = {
	{ "three threads", true, .three = true },
	{ "two threads and a drain", true, .stopper = true },
	{ "a region is made, and drained", true, .stopper = true, .unmade = true },
	{ "a thread without registration, and a drain", true, .stopper = true,
	  .unregistered = true },
	{ "a vfork child", true, .vfork = true },

	{ "no fence", .stopper = true, .no_fence = true },
	{ "the fence before the regions are closed", .stopper = true, .fence_first = true },
	{ "a fence for one CPU only", .stopper = true, .fence_one = true },
	{ "regions open again before they are drained", .stopper = true, .back_early = true },
	{ "the commit outside of the sequence", .three = true, .commit_outside = true },
	{ "the number read outside of the sequence", .three = true, .number_outside = true },
	{ "no test for a registration", .stopper = true, .unregistered = true,
	  .no_register_test = true },
	{ "the hit path open for a vfork child", .vfork = true, .no_close = true },
	{ "the hit path opened before the child is gone", .vfork = true, .open_early = true },
	{ "a region published before it is laid out", .stopper = true, .unmade = true,
	  .publish_early = true },
};
#define NR_SCENES (sizeof(scenes) / sizeof(scenes[0]))

struct node {
	struct state s;
	uint32_t parent;
};

static struct node *nodes;
static uint32_t *table;		/* index of a node + 1 */
static uint32_t nr_nodes;

static uint32_t hash(const struct state *s)
{
	uint64_t w[sizeof(*s) / sizeof(uint64_t)], h = 0;

	memcpy(w, s, sizeof(w));
	for (size_t i = 0; i < sizeof(w) / sizeof(w[0]); i++) {
		h = (h ^ w[i]) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
	}
	return (uint32_t)h & ((1u << TABLE_BITS) - 1);
}

/* False: no room for more. */
static bool add(const struct scene *sc, struct state s, uint32_t parent)
{
	uint32_t at;

	model_sort(sc, &s);
	for (at = hash(&s); table[at]; at = (at + 1) & ((1u << TABLE_BITS) - 1))
		if (!memcmp(&nodes[table[at] - 1].s, &s, sizeof(s)))
			return true;
	if (nr_nodes == MAX_STATES)
		return false;
	nodes[nr_nodes] = (struct node){ s, parent };
	table[at] = ++nr_nodes;
	return true;
}

/* All that can happen next on one CPU. NULL, or what goes wrong. */
static const char *expand(const struct scene *sc, uint32_t n, unsigned cpu)
{
	const struct state s = nodes[n].s;
	const char *wrong = NULL;
	struct state next = s;
	bool room = true;

	if (s.on[cpu] == NOBODY) {
		for (unsigned t = 0; t < THREADS; t++) {
			next = s;
			if (model_switch_in(sc, &next, cpu, t))
				room &= add(sc, next, n);
		}
		return room ? NULL : "too many states";
	}
	model_switch_out(sc, &next, cpu);
	room &= add(sc, next, n);
	next = s;
	if (model_step(sc, &next, cpu, &wrong)) {
		room &= add(sc, next, n);
		if (!wrong)
			wrong = model_check(&next);
	}
	return wrong || room ? wrong : "too many states";
}

static const char *explore(const struct scene *sc, uint32_t *last)
{
	struct state s = model_start(sc);
	const char *wrong;

	memset(table, 0, sizeof(*table) << TABLE_BITS);
	nr_nodes = 0;
	add(sc, s, 0);
	for (*last = 0; *last < nr_nodes; ++*last) {
		for (unsigned c = 0; c < CPUS; c++) {
			wrong = expand(sc, *last, c);
			if (wrong)
				return wrong;
		}
	}
	return NULL;
}

/* The way to the error, last state first. */
static void print_way(uint32_t n)
{
	for (; n; n = nodes[n].parent) {
		const struct state *s = &nodes[n].s;

		printf("#");
		for (unsigned t = 0; t < THREADS; t++)
			printf(" [at %u on %u told %u holds %u]", s->t[t].pc, s->t[t].cpu,
			       s->t[t].told, s->t[t].held);
		printf(" tops %u %u pool %x\n", s->top[0], s->top[1], s->pool);
	}
}

int main(void)
{
	nodes = malloc(sizeof(*nodes) * MAX_STATES);
	table = malloc(sizeof(*table) << TABLE_BITS);
	if (!nodes || !table) {
		printf("Bail out! no memory\n");
		return 1;
	}
	printf("1..%zu\n", NR_SCENES);
	for (unsigned i = 0; i < NR_SCENES; i++) {
		const struct scene *sc = &scenes[i];
		uint32_t last;
		const char *wrong = explore(sc, &last);

		if (sc->sound)
			printf("%sok %u - sound in %u states: %s\n", wrong ? "not " : "", i + 1,
			       nr_nodes, sc->name);
		else
			printf("%sok %u - caught after %u states: %s\n", wrong ? "" : "not ",
			       i + 1, nr_nodes, sc->name);
		if (wrong)
			printf("# %s\n", wrong);
		if (wrong && sc->sound)
			print_way(last);
	}
	free(nodes);
	free(table);
	return 0;
}
