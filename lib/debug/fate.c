/* SPDX-License-Identifier: MIT */
/*
 * The depot's entry of a stack has a word (debug/depot.h); under leak= it is the number of the
 * first link of a chain, one for each stack that freed. Links lie together in chunks, are put in
 * front, and stay. A chain is short, as few places free what one has allocated; after the first
 * CHAIN_MAX all others count as unknown.
 *
 * Locking: none. A link is whole before the compare-and-swap that puts it in; who loses one looks
 * at what came in between, so no stack has two links, and leaves his own unused.
 */
#include "debug/fate.h"

#include "debug/depot.h"
#include "page/page.h"

#define CHAIN_MAX	64u

struct link {
	uint32_t free_stack, next;	/* next: number of a link, 0: none */
	uint64_t count;			/* atomic */
};

#define CHUNK_LINKS	(16 * PAGE_SIZE / sizeof(struct link))
#define NR_CHUNKS	256u		/* a million links, 16 MiB */

static struct link *chunks[NR_CHUNKS];	/* set once, by compare-and-swap */
static uint32_t nr_links;		/* atomic */
static uint32_t special[STACK_FULL + 1];	/* the words of ids without an entry */

static struct link *link_at(uint32_t number)
{
	return &load_acquire(&chunks[(number - 1) / CHUNK_LINKS])[(number - 1) % CHUNK_LINKS];
}

static uint32_t *head_of(uint32_t stack)
{
	return stack <= STACK_FULL ? &special[stack] : stack_word(stack);
}

/* 0: no room, or no memory. */
static uint32_t new_link(void)
{
	size_t pages = CHUNK_LINKS * sizeof(struct link) / PAGE_SIZE;
	struct link *made, *none = NULL;
	uint32_t number, c;

	if (READ_ONCE(nr_links) >= NR_CHUNKS * CHUNK_LINKS)
		return 0;
	number = __atomic_add_fetch(&nr_links, 1, __ATOMIC_RELAXED);
	c = (uint32_t)((number - 1) / CHUNK_LINKS);
	if (c >= NR_CHUNKS)
		return 0;
	if (load_acquire(&chunks[c]))
		return number;
	made = page_alloc_meta(pages);
	if (made && !__atomic_compare_exchange_n(&chunks[c], &none, made, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_ACQUIRE)) {
		page_free_meta(made, pages);
		made = none;
	}
	return made ? number : 0;
}

/* The link for @free_stack from number @at up to before @end; what was passed is counted. */
static struct link *find(uint32_t at, uint32_t end, uint32_t free_stack, unsigned *passed)
{
	while (at && at != end) {
		struct link *l = link_at(at);

		if (l->free_stack == free_stack)
			return l;
		at = l->next;
		++*passed;
	}
	return NULL;
}

static struct link *link_for(uint32_t *head, uint32_t free_stack)
{
	uint32_t first = load_acquire(head), seen = 0, number = 0;
	unsigned passed = 0;
	struct link *l;

	for (;;) {
		l = find(first, seen, free_stack, &passed);
		if (l || (passed >= CHAIN_MAX && free_stack != STACK_UNKNOWN))
			return l;
		seen = first;
		if (!number && !(number = new_link()))
			return NULL;
		l = link_at(number);
		l->free_stack = free_stack;
		l->next = first;
		if (__atomic_compare_exchange_n(head, &first, number, false, __ATOMIC_RELEASE,
						__ATOMIC_ACQUIRE))
			return l;
	}
}

void fate_count(uint32_t stack, uint32_t free_stack)
{
	struct link *l = link_for(head_of(stack), free_stack);

	if (!l)
		l = link_for(head_of(stack), STACK_UNKNOWN);
	if (l)
		__atomic_add_fetch(&l->count, 1, __ATOMIC_RELAXED);
}

void fate_each(uint32_t stack, void (*fn)(const struct fate *fate, void *arg), void *arg)
{
	for (uint32_t at = load_acquire(head_of(stack)); at; at = link_at(at)->next) {
		struct fate f = { link_at(at)->free_stack, READ_ONCE(link_at(at)->count) };

		if (f.count)
			fn(&f, arg);
	}
}
