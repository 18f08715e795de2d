/* SPDX-License-Identifier: MIT */
#include "observe/group.h"

#include <string.h>

#include "debug/sample.h"
#include "observe/mark.h"
#include "observe/suppress.h"
#include "tune/tune.h"

#define FIRST_SLOTS	1024u
#define EXACT_ROOTS	8192u	/* groups; beyond, roots of one kind and owner are one */

static struct {
	struct vec groups;	/* struct group */
	uint32_t *slots;	/* open addressing: index + 1, 0: empty */
	size_t nr_slots;	/* power of two */
	uint32_t now;
	struct leak_facts *facts;
	bool no_memory;
} c;

static bool same_root(uint32_t a, uint32_t b)
{
	const struct root *x, *y;

	if (a == b || a == NO_ROOT || b == NO_ROOT)
		return a == b;
	x = mark_root(a);
	y = mark_root(b);
	if (x->kind != y->kind || x->who != y->who)
		return false;
	if (x->kind != ROOT_DATA && x->kind != ROOT_TLS)
		return true;
	return c.groups.count >= EXACT_ROOTS || x->at == y->at;
}

static size_t hash(const struct group *k)
{
	uint64_t h = (uint64_t)k->stack << 32 | k->via;

	h = (h ^ k->kind) * 0x9e3779b97f4a7c15ull;
	return (size_t)(h >> 24);
}

static bool same(const struct group *a, const struct group *b)
{
	return a->kind == b->kind && a->stack == b->stack && a->via == b->via &&
	       same_root(a->root, b->root);
}

static uint32_t *slot_for(const struct group *key)
{
	size_t i = hash(key) & (c.nr_slots - 1);

	while (c.slots[i] && !same(VEC_AT(&c.groups, struct group, c.slots[i] - 1), key))
		i = (i + 1) & (c.nr_slots - 1);
	return &c.slots[i];
}

static bool grow(void)
{
	size_t n = c.nr_slots ? 2 * c.nr_slots : FIRST_SLOTS;
	uint32_t *slots = scratch_alloc(n * sizeof(*slots));

	if (!slots)
		return false;
	c.slots = slots;
	c.nr_slots = n;
	for (size_t i = 0; i < c.groups.count; i++) {
		size_t at = hash(VEC_AT(&c.groups, struct group, i)) & (n - 1);

		while (slots[at])
			at = (at + 1) & (n - 1);
		slots[at] = (uint32_t)i + 1;
	}
	return true;
}

static bool classify(const struct block *b, struct group *key)
{
	uint32_t mark = b->rec->mark, id = mark_id(mark);

	*key = (struct group){ .stack = b->rec->stack, .root = NO_ROOT, .via = STACK_NONE };
	switch (mark_state(mark)) {
	case MARK_REACHABLE:
	case MARK_POSSIBLE:
		key->kind = mark_state(mark) == MARK_REACHABLE ? LEAK_REACHABLE : LEAK_POSSIBLE;
		key->root = id;
		/* Held by the root itself, or by what the root holds. */
		if (mark_root(id)->head != b->rec->stack)
			key->via = mark_root(id)->head;
		break;
	case MARK_LOST: {
		const struct leader *l = mark_leader(id);

		key->kind = LEAK_DIRECT;
		if (l->addr != (uintptr_t)b->addr) {
			key->kind = LEAK_INDIRECT;
			key->via = l->stack;
		}
		break;
	}
	default:
		return false;
	}
	return true;
}

static bool add(const struct block *b, void *arg __unused_arg)
{
	struct group key, *g;
	uint32_t age, *slot;

	c.facts->blocks++;
	c.facts->bytes += b->size;
	if (!b->rec || !b->rec->stack)
		return true;
	if (!c.facts->marked)
		key = (struct group){ .kind = LEAK_DIRECT, .stack = b->rec->stack,
				      .root = NO_ROOT };
	else if (!classify(b, &key))
		return true;
	age = c.now - b->rec->when;
	if (age < tune.leak_young && key.kind != LEAK_REACHABLE)
		key.kind = LEAK_YOUNG;
	if (c.groups.count + 1 > c.nr_slots / 2 && !grow()) {
		c.no_memory = true;
		return false;
	}
	slot = slot_for(&key);
	if (!*slot) {
		g = VEC_ADD(&c.groups, struct group);
		if (!g) {
			c.no_memory = true;
			return false;
		}
		*g = key;
		g->min_age = g->max_age = age;
		g->sample = (uintptr_t)b->addr;
		g->sample_size = b->size;
		g->head_bytes = (uint8_t)MIN(b->size, (size_t)GROUP_HEAD);
		memcpy(g->head, b->addr, g->head_bytes);
		*slot = (uint32_t)c.groups.count;
	}
	g = VEC_AT(&c.groups, struct group, *slot - 1);
	g->total_blocks = ++g->blocks;
	g->total_bytes = g->bytes += b->size;
	g->min_age = MIN(g->min_age, age);
	g->max_age = MAX(g->max_age, age);
	return true;
}

static bool before(const void *x, const void *y)
{
	const struct group *a = x, *b = y;

	if (a->kind != b->kind)
		return a->kind < b->kind;
	if (a->bytes != b->bytes)
		return a->bytes > b->bytes;
	if (a->stack != b->stack)
		return a->stack < b->stack;
	if (a->via != b->via)
		return a->via < b->via;
	return a->sample < b->sample;
}

bool groups_collect(struct groups *g, struct leak_facts *facts)
{
	c.groups = (struct vec){ 0 };
	c.slots = NULL;
	c.nr_slots = 0;
	c.now = facts->now_ms;
	c.facts = facts;
	c.no_memory = false;
	blocks_walk(add, NULL);
	sort(c.groups.at, c.groups.count, sizeof(struct group), before);
	g->at = c.groups.at;
	g->count = c.groups.count;
	return !c.no_memory;
}

static bool add_profile(const struct profile *p, void *arg __unused_arg)
{
	struct group *g = VEC_ADD(&c.groups, struct group);

	if (!g) {
		c.no_memory = true;
		return false;
	}
	*g = (struct group){
		.stack = p->stack, .root = NO_ROOT, .via = STACK_NONE,
		.blocks = p->inuse_blocks, .bytes = p->inuse_bytes,
		.total_blocks = p->total_blocks, .total_bytes = p->total_bytes,
	};
	c.facts->blocks += g->blocks;
	c.facts->bytes += g->bytes;
	return true;
}

bool groups_profile(struct groups *g, struct leak_facts *facts)
{
	c.groups = (struct vec){ 0 };
	c.facts = facts;
	c.no_memory = false;
	profile_walk(add_profile, NULL);
	sort(c.groups.at, c.groups.count, sizeof(struct group), before);
	g->at = c.groups.at;
	g->count = c.groups.count;
	return !c.no_memory;
}

void groups_judge(struct groups *g, struct leak_facts *facts)
{
	for (size_t i = 0; i < g->count; i++) {
		struct group *e = &g->at[i];
		struct leak_counts *sum = &facts->counts;

		if (e->kind != LEAK_REACHABLE &&
		    (suppress_stack(e->stack) || (e->via && suppress_stack(e->via)))) {
			e->suppressed = true;
			sum = &facts->suppressed;
		}
		sum->blocks[e->kind] += e->blocks;
		sum->bytes[e->kind] += e->bytes;
	}
}
