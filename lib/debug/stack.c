/* SPDX-License-Identifier: MIT */
/*
 * The stack depot.
 *
 * 1. Storage. Entries are written one after the other into chunks of pages,
 *    and stay. An id is the entry's place in units of 16 bytes, counted over
 *    all chunks: looking one up is two loads.
 *
 *	id  |31 .. 14: chunk|13 .. 0: unit|
 *
 *    Stacks of a program have most of their outer frames in common, and those are what
 *    there is most of. So an entry holds the frames that are its own, and names an earlier
 *    entry, and a frame of that, where the rest is found, perhaps by way of a third.
 *
 * 2. Look-up. A table of ids beside their hashes, so that no entry is fetched but
 *    the right one; open addressing, at most half full. It is read without a lock:
 *    an entry is complete before its id is stored. When the
 *    table must grow, a copy of twice the size takes its place; the old one
 *    stays readable, as a reader may be in it (all old ones together are as
 *    large as the last). Who reads an old table may miss an entry; he then
 *    goes to 3, which looks again.
 *
 * 3. Entering: under depot_lock. A signal handler that interrupts its holder and
 *    comes here in the same thread is told by a flag: its stack is unknown.
 *
 * 4. Bound: DEPOT_CHUNKS chunks, 256 MiB, some two million stacks. Beyond it
 *    stacks that are not there yet are STACK_FULL.
 *
 * Locking: depot_lock to write; taken with no other lock held.
 */
#include "debug/stack.h"

#include <string.h>

#include "debug/depot.h"
#include "debug/thread.h"
#include "page/page.h"

#define UNIT		16u
#define CHUNK_SHIFT	14			/* units of a chunk */
#define CHUNK_BYTES	((size_t)UNIT << CHUNK_SHIFT)
#define DEPOT_CHUNKS	1024u
#define FIRST_UNIT	4u			/* ids below are the special ones */
#define FIRST_TABLE	1024u			/* ids */

struct entry {
	uint8_t n, own, skip;		/* frames: in all; here; of the tail's that are not its */
	uint32_t tail;			/* whose the others are; valid if there are any */
	uint32_t generation, word;	/* word: depot.h */
	uintptr_t pcs[];
};
static_assert(sizeof(struct entry) == UNIT, "one unit");
static_assert(STACK_DEPTH_MAX <= UINT8_MAX, "frames are counted by a byte");
static_assert(FIRST_UNIT > STACK_FULL, "special ids are below");

struct table {
	size_t mask;
	size_t count;		/* depot_lock */
	uint64_t slots[];	/* hash << 32 | id; 0: empty */
};

static char *chunks[DEPOT_CHUNKS];	/* set once, under depot_lock */
static uint32_t next_unit = FIRST_UNIT;	/* depot_lock */
static struct table *table;		/* depot_lock to write */
uint32_t stack_now;

struct lock depot_lock = LOCK_INIT(RANK_DEPOT);

static struct entry *entry_of(uint32_t id)
{
	char *chunk = load_acquire(&chunks[id >> CHUNK_SHIFT]);

	return (struct entry *)(chunk + (size_t)(id & ((1u << CHUNK_SHIFT) - 1)) * UNIT);
}

/* A stack is in pieces: where the frames are from the @from-th of @e on. */
struct piece {
	const struct entry *e;
	size_t from;
	const uintptr_t *pcs;
};

/* How many lie there; and then those behind them. There is one at least. */
static size_t next_piece(struct piece *p)
{
	size_t n;

	while (p->from >= p->e->own) {
		p->from += p->e->skip - (size_t)p->e->own;
		p->e = entry_of(p->e->tail);
	}
	p->pcs = &p->e->pcs[p->from];
	n = p->e->own - p->from;
	p->from = p->e->own;
	return n;
}

size_t stack_get(uint32_t id, uintptr_t *pcs, uint32_t *gen)
{
	const struct entry *e = id < FIRST_UNIT ? NULL : entry_of(id);
	struct piece p = { .e = e };
	size_t n = e ? e->n : 0, have;

	if (gen)
		*gen = e ? e->generation : 0;
	for (size_t i = 0; pcs && i < n; i += have) {
		have = next_piece(&p);
		have = MIN(have, n - i);
		memcpy(&pcs[i], p.pcs, have * sizeof(*pcs));
	}
	return n;
}

uint32_t *stack_word(uint32_t id)
{
	return &entry_of(id)->word;
}

void stack_new_generation(void)
{
	__atomic_add_fetch(&stack_now, 1, __ATOMIC_RELEASE);
}

#define MIX(h, pc)	(((h) ^ (pc)) * 0x9e3779b97f4a7c15ull)

static uint32_t hash_stack(const uintptr_t *pcs, size_t n, uint32_t gen)
{
	/* Two lanes: a product waits for the one before it in its own lane only. */
	uint64_t a = n + ((uint64_t)gen << 32), b = 1;
	size_t i;

	for (i = 0; i + 2 <= n; i += 2) {
		a = MIX(a, pcs[i]);
		b = MIX(b, pcs[i + 1]);
	}
	if (i < n)
		a = MIX(a, pcs[i]);
	a = MIX(a ^ a >> 29, b ^ b >> 31);
	return (uint32_t)(a >> 32);
}

static bool is_equal(uint32_t id, const struct stack_key *k)
{
	const struct entry *e = entry_of(id);
	struct piece p = { .e = e };
	size_t have;

	if (e->n != k->n || e->generation != k->generation)
		return false;
	for (size_t i = 0; i < k->n; i += have) {
		/* Known by the same frames of the same stack, mostly. */
		if (i && i == k->tail.own && e->own == i && e->tail == k->tail.id &&
		    e->skip == k->tail.skip)
			return true;
		have = next_piece(&p);
		have = MIN(have, k->n - i);
		if (memcmp(p.pcs, &k->pcs[i], have * sizeof(*k->pcs)))
			return false;
	}
	return true;
}

static uint32_t look_up(const struct table *t, const struct stack_key *k)
{
	if (!t)
		return STACK_NONE;
	for (size_t i = k->hash & t->mask;; i = (i + 1) & t->mask) {
		uint64_t slot = load_acquire(&t->slots[i]);	/* pairs with insert */

		if (!slot || (slot >> 32 == k->hash && is_equal((uint32_t)slot, k)))
			return (uint32_t)slot;
	}
}

static void insert(struct table *t, uint32_t id, uint32_t hash)
{
	size_t i = hash & t->mask;

	while (t->slots[i])
		i = (i + 1) & t->mask;
	store_release(&t->slots[i], (uint64_t)hash << 32 | id);	/* pairs with look_up */
	t->count++;
}

/* Room for one more; false: no memory. */
static bool reserve_slot(void)
{
	size_t n = table ? 2 * (table->mask + 1) : FIRST_TABLE;
	struct table *t;

	if (table && table->count < (table->mask + 1) / 2)
		return true;
	t = page_alloc_meta(bytes_pages(sizeof(*t) + n * sizeof(t->slots[0])));
	if (!t)
		return table && table->count < table->mask / 8 * 7;
	t->mask = n - 1;
	for (size_t i = 0; table && i <= table->mask; i++) {
		if (table->slots[i])
			insert(t, (uint32_t)table->slots[i], (uint32_t)(table->slots[i] >> 32));
	}
	store_release(&table, t);
	return true;
}

/* Where the next entry goes, of @units; 0: the depot is full, or no memory. */
static uint32_t reserve_units(uint32_t units)
{
	uint32_t at = next_unit, c = at >> CHUNK_SHIFT;

	if ((at + units - 1) >> CHUNK_SHIFT != c)
		at = ++c << CHUNK_SHIFT;
	if (c >= DEPOT_CHUNKS)
		return 0;
	if (!chunks[c])
		store_release(&chunks[c], (char *)page_alloc_meta(CHUNK_BYTES / PAGE_SIZE));
	if (!chunks[c])
		return 0;
	next_unit = at + units;
	return at;
}

static uint32_t enter(const struct stack_key *k)
{
	size_t bytes = sizeof(struct entry) + k->tail.own * sizeof(*k->pcs);
	uint32_t id = look_up(table, k);
	struct entry *e;

	if (id)
		return id;
	if (!reserve_slot())
		return STACK_FULL;
	id = reserve_units((uint32_t)((bytes + UNIT - 1) / UNIT));
	if (!id)
		return STACK_FULL;
	e = entry_of(id);
	e->generation = k->generation;
	e->n = (uint8_t)k->n;
	e->own = (uint8_t)k->tail.own;
	e->skip = (uint8_t)k->tail.skip;
	e->tail = k->tail.id;
	memcpy(e->pcs, k->pcs, k->tail.own * sizeof(*k->pcs));
	insert(table, id, k->hash);
	return id;
}

/* Whose they really are: so that no entry is gone through of which nothing is wanted. */
static struct stack_tail shorten(struct stack_tail t, size_t n)
{
	if (t.id < FIRST_UNIT || t.own >= n)
		return (struct stack_tail){ STACK_NONE, (uint32_t)n, 0 };
	for (const struct entry *e = entry_of(t.id); t.skip >= e->own; e = entry_of(t.id)) {
		t.skip += e->skip - (uint32_t)e->own;
		t.id = e->tail;
	}
	return t;
}

struct stack_key stack_key(const uintptr_t *pcs, size_t n, struct stack_tail tail)
{
	struct stack_key k = { pcs, n, shorten(tail, n), 0, stack_generation() };
	const struct table *t = load_acquire(&table);

	k.hash = hash_stack(pcs, n, k.generation);
	if (likely(t))
		__builtin_prefetch(&t->slots[k.hash & t->mask]);
	return k;
}

uint32_t stack_put(const struct stack_key *k)
{
	uint32_t id;

	if (!k->n)
		return STACK_UNKNOWN;
	id = look_up(load_acquire(&table), k);
	if (id)
		return id;
	if (thread_set(THREAD_IN_DEPOT))
		return STACK_UNKNOWN;
	barrier();	/* for a signal handler: set before the lock, clear after */
	lock_acquire(&depot_lock);
	id = enter(k);
	lock_release(&depot_lock);
	barrier();
	thread_clear(THREAD_IN_DEPOT);
	return id;
}

bool stack_walk(bool (*fn)(uint32_t id, void *arg), void *arg)
{
	const struct table *t = load_acquire(&table);

	for (size_t i = 0; t && i <= t->mask; i++) {
		uint32_t id = (uint32_t)load_acquire(&t->slots[i]);

		if (id && !fn(id, arg))
			return false;
	}
	return true;
}
