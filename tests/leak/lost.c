/* SPDX-License-Identifier: MIT */
/* Lost blocks, by every way to allocate and in every shape that lost blocks form. */
#include "truth.h"

#include <malloc.h>
#include <stdio.h>

/* --- every way to allocate --- */

CASE("plain", case_malloc, "direct 1 101 then=^case_malloc<run_cases<main$")
{
	use(malloc(101));
}

CASE("plain", case_calloc, "direct 1 123")
{
	use(calloc(3, 41));
}

CASE("plain", case_realloc_new, "direct 1 103")
{
	use(realloc(NULL, 103));
}

APART static void *seed(size_t size)
{
	void *p = malloc(size);

	memset(p, 1, size);
	use(p);
	return p;
}

/* The last call that sized a block is the one to show. */
CASE("plain", case_realloc_moved, "direct 1 200000 then=^case_realloc_moved<")
{
	use(realloc(seed(64), 200000));
}

CASE("plain", case_realloc_grown, "direct 1 900 then=^case_realloc_grown<")
{
	use(realloc(seed(40), 900));
}

CASE("plain", case_realloc_shrunk, "direct 1 50 then=^case_realloc_shrunk<")
{
	use(realloc(seed(5000), 50));
}

CASE("plain", case_realloc_in_place, "direct 1 99 then=^case_realloc_in_place<")
{
	use(realloc(seed(98), 99));
}

CASE("plain", case_realloc_mapped, "direct 1 9000000 then=^case_realloc_mapped<")
{
	use(realloc(seed(6000000), 9000000));
}

CASE("plain", case_realloc_freed, "none")
{
	use(realloc(seed(77), 0));
}

CASE("plain", case_realloc_failed, "direct 1 88")
{
	void *p = malloc(88);
	volatile size_t much = PTRDIFF_MAX;
	void *q = realloc(p, much);

	NEED(!q);
	use(p);
}

CASE("plain", case_reallocarray, "direct 1 217")
{
	use(reallocarray(NULL, 7, 31));
}

CASE("plain", case_memalign, "direct 1 104")
{
	use(memalign(64, 104));
}

CASE("plain", case_posix_memalign, "direct 1 300")
{
	void *p = NULL;

	NEED(posix_memalign(&p, 64, 300) == 0);
	use(p);
}

CASE("plain", case_aligned_alloc, "direct 1 384")
{
	use(aligned_alloc(128, 384));
}

CASE("plain", case_valloc, "direct 1 500")
{
	use(valloc(500));
}

CASE("plain", case_aligned_page, "direct 3 15000")
{
	int i;

	for (i = 0; i < 3; i++)
		use(memalign(4096, 5000));
}

CASE("plain", case_aligned_huge, "direct 1 3145729")
{
	use(memalign(2 << 20, (3 << 20) + 1));
}

CASE("plain", case_strdup, "direct 1 12")
{
	use(strdup("eleven char"));
}

CASE("plain", case_strndup, "direct 1 5")
{
	use(strndup("eleven char", 4));
}

CASE("plain", case_asprintf, "direct 1 30")
{
	char *text = NULL;

	NEED(asprintf(&text, "%s and %d more", "some words here", 1000) == 29);
	use(text);
}

CASE("plain", case_getline, "direct 1 120")
{
	static char text[] = "a line\nanother\n";
	FILE *f = fmemopen(text, sizeof(text) - 1, "r");
	char *line = NULL;
	size_t size = 0;

	NEED(f && getline(&line, &size, f) == 7);
	use(line);
	fclose(f);
}

CASE("plain", case_memstream, "direct 1 6")
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	NEED(f && fputs("hello", f) >= 0);
	fclose(f);
	use(text);
}

/* --- numbers and sizes --- */

CASE("plain", case_zero, "direct 10 0")
{
	int i;

	for (i = 0; i < 10; i++)
		use(malloc(0));
}

CASE("plain", case_many, "direct 100000 2400000")
{
	int i;

	for (i = 0; i < 100000; i++)
		use(malloc(24));
}

CASE("plain", case_large, "direct 1 67108864")
{
	use(malloc(64 << 20));
}

CASE("plain", case_every_class, "direct 600 1440600")
{
	size_t i;

	for (i = 0; i < 600; i++)
		use(malloc(i * 8 + 5));
}

CASE("plain", case_pages, "direct 40 840000")
{
	size_t i;

	for (i = 0; i < 40; i++)
		use(malloc(i < 30 ? 5000 + i * 1000 : 25500));
}

CASE("plain", case_freed, "none")
{
	void *p[1000];
	size_t i;

	for (i = 0; i < ARRAY_LEN(p); i++)
		use(p[i] = malloc(i * 40));
	for (i = 0; i < ARRAY_LEN(p); i++)
		free(p[i]);
}

/* Every second one of them is freed: the others stand between free ones. */
CASE("plain", case_every_second, "direct 500 28000")
{
	void *p[1000];
	size_t i;

	for (i = 0; i < ARRAY_LEN(p); i++)
		use(p[i] = malloc(56));
	for (i = 0; i < ARRAY_LEN(p); i += 2)
		free(p[i]);
}

/* --- shapes --- */

struct node {
	struct node *next, *other;
	size_t number[4];
};

APART static struct node *chain_of(int length, struct node *(*make)(void))
{
	struct node *head = NULL;

	while (length--) {
		struct node *n = make();

		n->next = head;
		head = n;
	}
	return head;
}

/* MAKER(name): a function of this name that allocates a node, for the shapes of many. */
#define MAKER(name, want) \
	CALLED("plain", name, want, struct node *, (void)) \
	{ \
		struct node *n = calloc(1, sizeof(*n)); \
\
		use(n); \
		return n; \
	}

MAKER(case_chain_lost, "direct 1 48; indirect 9 432")
STEP("plain", make_chain_lost)
{
	use(chain_of(10, case_chain_lost));
}

static struct node *held_cut_chain;
MAKER(case_chain_cut, "reachable 5 240 root=held_cut_chain; direct 1 48; indirect 4 192")
STEP("plain", make_chain_cut)
{
	struct node *n;
	int i;

	HOLD(held_cut_chain, chain_of(10, case_chain_cut));
	for (n = held_cut_chain, i = 0; i < 4; i++)
		n = n->next;
	n->next = NULL;
}

static struct node *held_chain;
MAKER(case_chain_held, "reachable 50 2400 root=held_chain")
STEP("plain", make_chain_held)
{
	HOLD(held_chain, chain_of(50, case_chain_held));
}

/* A chain too long for a scan that calls itself. */
MAKER(case_chain_long, "direct 1 48; indirect 49999 2399952")
STEP("plain", make_chain_long)
{
	use(chain_of(50000, case_chain_long));
}

APART static struct node *tree_of(int depth, struct node *(*make)(void))
{
	struct node *n = make();

	if (depth > 1) {
		n->next = tree_of(depth - 1, make);
		n->other = tree_of(depth - 1, make);
	}
	return n;
}

MAKER(case_tree, "direct 1 48; indirect 30 1440 via=case_tree")
STEP("plain", make_tree)
{
	use(tree_of(5, case_tree));
}

APART static struct node *ring_of(int length, struct node *(*make)(void))
{
	struct node *head = chain_of(length, make), *n = head;

	while (n->next)
		n = n->next;
	n->next = head;
	return head;
}

MAKER(case_ring, "ring 6 288")
STEP("plain", make_ring)
{
	use(ring_of(6, case_ring));
}

MAKER(case_self, "direct 1 48")
STEP("plain", make_self)
{
	use(ring_of(1, case_self));
}

MAKER(case_doubly_linked, "ring 5 240")
STEP("plain", make_doubly_linked)
{
	struct node *n, *head = chain_of(5, case_doubly_linked);

	for (n = head; n->next; n = n->next)
		n->next->other = n;
	use(head);
}

/* The second ring can be reached from the first: it has no leader of its own. */
MAKER(case_rings_joined, "ring 7 336")
STEP("plain", make_rings_joined)
{
	struct node *first = ring_of(4, case_rings_joined);

	first->other = ring_of(3, case_rings_joined);
	use(first);
}

/* The same, and the ring that leads was made last. */
MAKER(case_rings_joined_late, "ring 7 336")
STEP("plain", make_rings_joined_late)
{
	struct node *second = ring_of(3, case_rings_joined_late);
	struct node *first = ring_of(4, case_rings_joined_late);

	first->other = second;
	use(first);
}

MAKER(case_rings_apart, "direct 2 96; indirect 5 240")
STEP("plain", make_rings_apart)
{
	use(ring_of(4, case_rings_apart));
	use(ring_of(3, case_rings_apart));
}

MAKER(case_ring_behind, "indirect 4 192 via=case_ring_front")
MAKER(case_ring_front, "direct 1 48")
STEP("plain", make_ring_behind)
{
	struct node *behind = ring_of(4, case_ring_behind);
	struct node *front = case_ring_front();

	front->next = behind;
	use(front);
}

MAKER(case_ring_tail, "ring 3 144")
MAKER(case_tail_of_ring, "indirect 2 96 via=case_ring_tail")
STEP("plain", make_ring_tail)
{
	struct node *ring = ring_of(3, case_ring_tail);

	ring->next->other = chain_of(2, case_tail_of_ring);
	use(ring);
}

MAKER(case_shared_child, "indirect 1 48 via=case_two_parents")
MAKER(case_two_parents, "direct 2 96")
STEP("plain", make_shared_child)
{
	struct node *child = case_shared_child();

	case_two_parents()->next = child;
	case_two_parents()->next = child;
}

static void *held_child;
MAKER(case_held_child, "reachable 1 48 root=held_child")
MAKER(case_lost_parent, "direct 1 48")
STEP("plain", make_held_child)
{
	HOLD(held_child, case_lost_parent()->next = case_held_child());
}

MAKER(case_inside_of_leak, "indirect 1 48 via=case_interior_parent")
MAKER(case_interior_parent, "direct 1 48")
STEP("plain", make_inside_of_leak)
{
	struct node *child = case_inside_of_leak();

	case_interior_parent()->next = (void *)&child->number[1];
	use(child);
}

/* A lost block of 3 MiB whose very last word holds another one. */
CALLED("plain", case_behind_large, "indirect 1 61 via=case_large_parent", void *, (void))
{
	void *p = malloc(61);

	use(p);
	return p;
}

CASE("plain", case_large_parent, "direct 1 3145728")
{
	void **p = calloc(1, 3 << 20);

	p[(3 << 20) / sizeof(*p) - 1] = case_behind_large();
	use(p);
}
