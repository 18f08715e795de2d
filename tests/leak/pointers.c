/* SPDX-License-Identifier: MIT */
/* Pointers of which it is not plain that they are pointers, and words that only look so. */
#include "truth.h"

#include <alloca.h>
#include <malloc.h>
#include <search.h>

static char *held_inside, *held_both[2], *held_inside_chain, *held_last, *held_tagged;
static void *held_zero, *held_holder, *held_holder_of_inside;
static char *seen_end_in_slack;
static uintptr_t seen_xor, seen_high, seen_half[2];
static unsigned char seen_unaligned[24] __attribute__((aligned(16)));

CASE("plain", case_inside, "possible 1 400 root=held_inside")
{
	HOLD(held_inside, (char *)malloc(400) + 16);
}

CALLED("plain", case_behind_inside, "possible 1 62", void *, (void))
{
	void *p = malloc(62);

	use(p);
	return p;
}

/* What only a possibly lost block holds is possibly lost too. */
CASE("plain", case_inside_chain, "possible 1 401")
{
	void **p = calloc(1, 401);

	p[3] = case_behind_inside();
	HOLD(held_inside_chain, (char *)p + 8);
}

CASE("plain", case_inside_and_start, "reachable 1 402 root=held_both")
{
	char *p = malloc(402);

	HOLD(held_both[0], p + 32);
	HOLD(held_both[1], p);
}

CALLED("plain", case_inside_by_heap, "possible 1 403", void *, (void))
{
	char *p = malloc(403);

	use(p);
	return p + 40;
}

CASE("plain", case_holder_of_inside, "reachable 1 63 root=held_holder_of_inside")
{
	void **p = calloc(1, 63);

	p[2] = case_inside_by_heap();
	HOLD(held_holder_of_inside, p);
}

CASE("plain", case_last_byte, "possible 1 404 root=held_last")
{
	HOLD(held_last, (char *)malloc(404) + 403);
}

/* Small tags in the low bits leave a pointer into the block ... */
CASE("plain", case_tagged, "possible 1 405 root=held_tagged")
{
	HOLD(held_tagged, (char *)malloc(405) + 1);
}

/* ... unless it is known whose tag it is: libc's trees have the colour of a node there. */
static int by_address(const void *a, const void *b)
{
	return (a > b) - (a < b);
}

static void *held_tree;
CASE("plain", case_tsearch, "reachable 7 168 root=held_tree")
{
	static char keys[7];

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		tsearch(&keys[i], &held_tree, by_address);
}

/* A string as redis has them: length, room, type, text. */
static char *held_sds;
CASE("plain", case_sds, "reachable 1 104 root=held_sds")
{
	unsigned char *p = calloc(1, 3 + 100 + 1);

	p[0] = 90;
	p[1] = 100;
	p[2] = 1;
	memset(p + 3, 's', 90);
	HOLD(held_sds, (char *)p + 3);
}

/* ... in the high bits they hide it. */
CASE("plain", case_tagged_high, "direct 1 406")
{
	HOLD(seen_high, (uintptr_t)malloc(406) | (uintptr_t)1 << 62);
}

CASE("plain", case_xor, "direct 1 407")
{
	HOLD(seen_xor, hide(malloc(407)));
}

CASE("plain", case_halves, "direct 1 408")
{
	uintptr_t p = (uintptr_t)malloc(408);

	seen_half[0] = p >> 16;
	seen_half[1] = p & 0xffff;
	use(seen_half);
}

CASE("plain", case_unaligned, "direct 1 409")
{
	void *p = malloc(409);

	memcpy(seen_unaligned + 3, &p, sizeof(p));
	use(seen_unaligned);
}

CASE("plain", case_zero_held, "reachable 1 0 root=held_zero")
{
	HOLD(held_zero, malloc(0));
}

/* What points to the end of a block points to none, of whatever size and however they lie. */
APART static void hold_ends(char **ends, size_t n, size_t size)
{
	for (size_t i = 0; i < n; i++)
		HOLD(ends[i], (char *)malloc(size) + size);
}

CASE("plain", case_end, "direct 192 606208")
{
	static char *seen_ends[3][64];

	hold_ends(seen_ends[0], 64, 1 << 8);
	hold_ends(seen_ends[1], 64, 1 << 10);
	hold_ends(seen_ends[2], 64, 1 << 13);
}

CASE("plain", case_end_mapped, "direct 8 8388608")
{
	static char *seen_ends[8];

	hold_ends(seen_ends, 8, 1 << 20);
}

/* Before the start of a block is nothing, where the one below does not reach so far. */
static char *seen_before[64];

CASE("plain", case_before, "direct 64 98304")
{
	char *p[ARRAY_LEN(seen_before)];
	size_t i, j;

	for (i = 0; i < ARRAY_LEN(p); i++)
		p[i] = malloc(1536);
	for (i = 0; i < ARRAY_LEN(p); i++)
		for (j = 0; j < ARRAY_LEN(p); j++)
			if (p[j] < p[i] && p[i] - p[j] < 2 * 1536 && p[i] - p[j] > 1536 + 8)
				HOLD(seen_before[i], p[i] - 8);
	memset(p, 0, sizeof(p));
	use(p);
}

CASE("plain", case_end_in_slack, "direct 1 1033")
{
	char *p = malloc(1033);

	HOLD(seen_end_in_slack, p + 1033);
	use(p);
}

/* --- words that were pointers --- */

CALLED("plain", case_in_freed, "direct 1 64", void *, (void))
{
	void *p = malloc(64);

	use(p);
	return p;
}

STEP("plain", make_in_freed)
{
	void **p = malloc(3000);

	p[5] = p[50] = p[300] = case_in_freed();
	use(p);
	free(p);
}

CALLED("plain", case_in_freed_large, "direct 1 65", void *, (void))
{
	void *p = malloc(65);

	use(p);
	return p;
}

STEP("plain", make_in_freed_large)
{
	void **p = calloc(1, 100000);

	p[5] = p[7000] = case_in_freed_large();
	use(p);
	free(p);
}

CALLED("plain", case_recycled_body, "direct 1 66", void *, (void))
{
	void *p = malloc(66);

	use(p);
	return p;
}

/* A block gets what a freed one has left, and does not write all of it. */
CASE("plain", case_recycler, "reachable 200 32000")
{
	static void *held_recycled[200];
	void **p[64];
	size_t i;

	for (i = 0; i < ARRAY_LEN(p); i++)
		use(p[i] = malloc(160));
	p[7][3] = p[7][10] = case_recycled_body();
	for (i = 0; i < ARRAY_LEN(p); i++)
		free(p[i]);
	for (i = 0; i < ARRAY_LEN(held_recycled); i++)
		HOLD(held_recycled[i], malloc(160));
}

CALLED("plain", case_recycled_slack, "direct 1 67", void *, (void))
{
	void *p = malloc(67);

	use(p);
	return p;
}

CASE("plain", case_slack_recycler, "reachable 200 46600")
{
	static void *held_recycled[200];
	void **p[64];
	size_t i;

	for (i = 0; i < ARRAY_LEN(p); i++)
		use(p[i] = malloc(256));
	for (i = 0; i < ARRAY_LEN(p); i++)
		p[i][30] = p[i][31] = NULL;
	p[9][30] = p[9][31] = case_recycled_slack();
	for (i = 0; i < ARRAY_LEN(p); i++)
		free(p[i]);
	for (i = 0; i < ARRAY_LEN(held_recycled); i++) {
		HOLD(held_recycled[i], malloc(233));
		memset(held_recycled[i], 0, 233);
	}
}

/* --- words that are pointers where one may not look for them --- */

CALLED("plain", case_behind_usable, "reachable 1 68", void *, (void))
{
	void *p = malloc(68);

	use(p);
	return p;
}

/* Who asks for the usable size may use it. */
CASE("plain", case_usable_tail, "reachable 1 233 root=held_holder")
{
	char *p = malloc(233);
	size_t usable;

	memset(p, 0, 233);
	usable = malloc_usable_size(p) & ~(sizeof(void *) - 1);
	*(void **)(p + usable - sizeof(void *)) = case_behind_usable();
	HOLD(held_holder, p);
}

APART static void *far_below(void *(*make)(void))
{
	void *volatile *dead = alloca(512 << 10);

	dead[0] = dead[1] = dead[2] = make();
	return NULL;
}

CALLED("plain", case_dead_stack, "direct 1 69", void *, (void))
{
	void *p = malloc(69);

	use(p);
	return p;
}

STEP("plain", make_dead_stack)
{
	use(far_below(case_dead_stack));
}
