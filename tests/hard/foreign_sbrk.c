/* SPDX-License-Identifier: MIT */
/*
 * The program moves the break itself between calls of malloc, up and down, by odd amounts
 * too. Its part stays its own: no block may overlap it, and its bytes stay as written.
 */
#include "hard.h"

#define ROUNDS 400
#define BLOCKS 4000
#define PARTS 600

struct range {
	unsigned char *p;	/* NULL: slot not in use */
	size_t n;
	uint64_t tag;
};

static struct range parts[PARTS];
static struct range blocks[BLOCKS];
static unsigned int nr_parts;
static unsigned int nr_up, nr_down;	/* moves of the break by the program */

static void part_take(size_t n, uint64_t tag)
{
	struct range *r = &parts[nr_parts];
	void *p = sbrk((intptr_t)n);

	if (p == (void *)-1)
		return;
	CHECK(nr_parts < PARTS, "table too small");
	*r = (struct range){ p, n, tag };
	hard_fill(r->p, r->n, r->tag);
	nr_parts++;
	nr_up++;
}

/* Gives @n bytes of the newest part back, if no one has moved the break since. */
static void part_give_back(size_t n)
{
	struct range *r = &parts[nr_parts - 1];

	if (nr_parts == 0 || sbrk(0) != r->p + r->n)
		return;
	if (n > r->n)
		n = r->n;
	CHECK(sbrk(-(intptr_t)n) != (void *)-1, "sbrk(-%zu)", n);
	nr_down++;
	r->n -= n;
	if (r->n == 0)
		nr_parts--;
	else
		hard_fill(r->p, r->n, r->tag);
}

static void block_check_apart(const struct range *b)
{
	unsigned int i;

	for (i = 0; i < nr_parts; i++)
		CHECK(b->p + b->n <= parts[i].p || b->p >= parts[i].p + parts[i].n,
		      "block %p of %zu lies over the program's break memory %p of %zu",
		      (void *)b->p, b->n, (void *)parts[i].p, parts[i].n);
}

static void block_toggle(struct range *b, uint64_t *rnd)
{
	if (b->p) {
		hard_verify(b->p, b->n, b->tag);
		free(b->p);
		b->p = NULL;
		return;
	}
	b->n = hard_rand_size(rnd, hard_rand(rnd) % 8 ? 12 : 16);
	b->p = hard_malloc(b->n);
	b->tag = hard_rand(rnd);
	block_check_apart(b);
	hard_fill(b->p, b->n, b->tag);
}

int main(void)
{
	static const size_t amounts[] = { 4096, 1, 12345, 100000, 16, 131072, 7, 65536 + 3 };
	uint64_t rnd = hard_seed(6);
	unsigned int i, j;

	for (i = 0; i < ROUNDS; i++) {
		for (j = 0; j < 60; j++)
			block_toggle(&blocks[hard_rand(&rnd) % BLOCKS], &rnd);
		part_take(amounts[i % ARRAY_LEN(amounts)], i);
		if (i % 3 == 0)
			part_give_back(amounts[(i + 3) % ARRAY_LEN(amounts)]);
		for (j = 0; j < 60; j++)
			block_toggle(&blocks[hard_rand(&rnd) % BLOCKS], &rnd);
		if (i % 5 == 0)
			part_give_back(SIZE_MAX / 2);
		for (j = 0; j < nr_parts; j++)
			hard_verify(parts[j].p, parts[j].n, parts[j].tag);
	}
	for (j = 0; j < BLOCKS; j++)
		if (blocks[j].p)
			block_toggle(&blocks[j], &rnd);
	for (j = 0; j < nr_parts; j++)
		hard_verify(parts[j].p, parts[j].n, parts[j].tag);
	if (!nr_up)
		SKIP("the break cannot move here");
	CHECK(nr_down >= ROUNDS / 10, "only %u of %u parts could be given back", nr_down, nr_up);
	return 0;
}
