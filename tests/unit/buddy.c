/* SPDX-License-Identifier: MIT */
/*
 * lib/page/buddy.c against a model: one bool per page. Eager merging makes the
 * set of free blocks a function of the set of free pages, so the model knows
 * every block that must exist and which one an allocation must take.
 */
#include "common.h"

#include "base/bits.h"
#include "page/zone.h"

#define CHUNKS	6
#define POOL	(CHUNKS * MAX_BLOCK)
#define MAX_RUNS 400

static struct zone *const z = &zones[ZONE_BRK];
static pfn_t pool;
static bool is_free[POOL];

/*
 * The pool lies across a border of two sections (BEFORE chunks below it), and
 * all free pages of the zone are in it.
 */
#define BEFORE 2

static void pool_create(void)
{
	size_t border = 4ul << SECTION_SHIFT;
	pfn_t run;

	fake_boot();
	fake_break(border - (24ul << 20), 1ul << 30);
	run = zone_brk_grow(z, 2 * POOL, MAX_BLOCK);
	pool = addr_pfn((void *)(fake.base + border)) - BEFORE * MAX_BLOCK;
	ck_assert(run && run <= pool && pool + POOL <= run + 2 * POOL);
	while (buddy_alloc(z, 0))
		;
	ck_assert_uint_eq(z->free, 0);
	buddy_free(pool, POOL);
	memset(is_free, true, sizeof(is_free));
}

/* Is the naturally aligned block free in the model? */
static bool block_free(size_t page, unsigned order)
{
	for (size_t i = page; i < page + (1ul << order); i++) {
		if (!is_free[i])
			return false;
	}
	return true;
}

/* Visit the blocks that must exist in [page, page + 2^order), by address. */
static void walk(size_t page, unsigned order, size_t count[NR_ORDERS],
		 size_t lowest[NR_ORDERS])
{
	if (block_free(page, order)) {
		if (!count[order]++)
			lowest[order] = page;
	} else if (order) {
		walk(page, order - 1, count, lowest);
		walk(page + (1ul << (order - 1)), order - 1, count, lowest);
	}
}

static void blocks(size_t count[NR_ORDERS], size_t lowest[NR_ORDERS])
{
	memset(count, 0, NR_ORDERS * sizeof(*count));
	for (size_t c = 0; c < CHUNKS; c++)
		walk(c * MAX_BLOCK, MAX_ORDER, count, lowest);
}

static void same_as_model(void)
{
	size_t count[NR_ORDERS], lowest[NR_ORDERS], pages = 0;

	blocks(count, lowest);
	for (unsigned o = 0; o < NR_ORDERS; o++) {
		must_eq(z->nr_blocks[o], count[o]);
		pages += count[o] << o;
	}
	must_eq(z->free, pages);
}

static void mark(size_t page, size_t npages, bool free)
{
	for (size_t i = page; i < page + npages; i++) {
		must(is_free[i] != free);
		is_free[i] = free;
	}
}

/* Where an allocation must come from: smallest order, lowest address. */
static pfn_t expected(unsigned order)
{
	size_t count[NR_ORDERS], lowest[NR_ORDERS];

	blocks(count, lowest);
	for (unsigned o = order; o < NR_ORDERS; o++) {
		if (count[o])
			return pool + lowest[o];
	}
	return 0;
}

struct run {
	pfn_t pfn;
	size_t npages;
};

static struct run runs[MAX_RUNS];
static size_t nr_runs;

static void add_run(pfn_t pfn, size_t npages)
{
	mark(pfn - pool, npages, false);
	runs[nr_runs++] = (struct run){ pfn, npages };
}

/* A whole run, or its head, or its tail, goes back. */
static void free_some(struct rng *r)
{
	size_t k = rng_below(r, nr_runs);
	struct run *run = &runs[k];
	size_t n = rng_below(r, 4) ? run->npages : 1 + rng_below(r, run->npages);
	bool head = rng_below(r, 2);
	pfn_t from = head ? run->pfn : run->pfn + run->npages - n;

	buddy_free(from, n);
	mark(from - pool, n, true);
	run->npages -= n;
	if (head)
		run->pfn += n;
	if (!run->npages)
		*run = runs[--nr_runs];
}

static void alloc_some(struct rng *r)
{
	unsigned align = rng_below(r, 4) ? 0 : (unsigned)rng_below(r, NR_ORDERS);
	size_t npages = rng_size(r, MAX_BLOCK);
	unsigned order = MAX(log2_ceil(npages), align);
	pfn_t want = expected(order), got;

	if (rng_below(r, 2)) {
		npages = 1ul << order;
		got = buddy_alloc(z, order);
	} else {
		got = buddy_alloc_exact(z, npages, align);
	}
	must_eq(got, want);
	if (!got)
		return;
	must(IS_ALIGNED(got, 1ul << order));
	add_run(got, npages);
}

/* A range by its address: had exactly when all of it is free. */
static void take_some(struct rng *r)
{
	size_t npages = rng_size(r, 3 * MAX_BLOCK);
	size_t page = rng_below(r, POOL - npages + 1);
	bool can = true;

	for (size_t i = page; i < page + npages; i++)
		can = can && is_free[i];
	must_eq(buddy_take(pool + page, npages), can);
	if (can)
		add_run(pool + page, npages);
}

static void find_some(struct rng *r)
{
	size_t page = rng_below(r, POOL), below = 0;
	unsigned order = 99;
	pfn_t start = 0;
	bool found = buddy_find(pool + page, &start, &order);

	must_eq(found, is_free[page]);
	if (found) {
		must(start <= pool + page && pool + page < start + (1ul << order));
		must(block_free(start - pool, order));
		must(order == MAX_ORDER ||
		     !block_free(((start - pool) ^ (1ul << order)), order));
	}
	/* The free run below the end of a block, or below a used page. */
	if (page && is_free[page - 1] && is_free[page])
		return;
	while (below < page && is_free[page - 1 - below])
		below++;
	must_eq(buddy_run_below(pool + page), below);
}

START_TEST(random_operations)
{
	struct rng r = { 7 };

	pool_create();
	same_as_model();
	for (int i = 0; i < 30000; i++) {
		size_t what = rng_below(&r, 16);

		if (what < 7 && nr_runs < MAX_RUNS)
			alloc_some(&r);
		else if (what < 8 && nr_runs < MAX_RUNS)
			take_some(&r);
		else if (what < 10)
			find_some(&r);
		else if (nr_runs)
			free_some(&r);
		if (i % 8 == 0)
			same_as_model();
	}
	for (; nr_runs; nr_runs--) {
		buddy_free(runs[nr_runs - 1].pfn, runs[nr_runs - 1].npages);
		mark(runs[nr_runs - 1].pfn - pool, runs[nr_runs - 1].npages, true);
	}
	same_as_model();
	ck_assert_uint_eq(z->nr_blocks[MAX_ORDER], CHUNKS);
	ck_assert_uint_eq(z->free, POOL);
}
END_TEST

/* Page by page, in any order, everything merges to what it was. */
START_TEST(coalesce_any_order)
{
	static uint16_t order[POOL];
	struct rng r = { 3 };

	pool_create();
	for (int round = 0; round < 4; round++) {
		for (size_t i = 0; i < POOL; i++) {
			order[i] = (uint16_t)i;
			must_eq(buddy_alloc(z, 0), pool + i);
		}
		must_eq(buddy_alloc(z, 0), 0);
		for (size_t i = POOL; round && i-- > 1;) {
			size_t k = rng_below(&r, i + 1);
			uint16_t t = order[i];

			order[i] = order[k];
			order[k] = t;
		}
		for (size_t i = 0; i < POOL; i++)
			buddy_free(pool + order[i], 1);
		same_as_model();
	}
}
END_TEST

/* Odd page counts take what they need: the tail is there for others. */
START_TEST(exact_tails)
{
	pool_create();
	for (size_t n = 1; n <= MAX_BLOCK; n += n < 40 ? 1 : 37) {
		pfn_t p = buddy_alloc_exact(z, n, 0);

		must_eq(p, pool);
		must_eq(z->free, POOL - n);
		must(n == MAX_BLOCK || buddy_take(pool + n, 1));
		if (n < MAX_BLOCK)
			buddy_free(pool + n, 1);
		buddy_free(p, n);
		same_as_model();
	}
}
END_TEST

/* Above 4 MiB: rows of largest blocks, over the border of two sections. */
START_TEST(contiguous)
{
	pfn_t a, b, hole;

	pool_create();
	a = buddy_alloc_contig(z, POOL, 1);
	ck_assert_uint_eq(a, pool);
	ck_assert_uint_eq(z->free, 0);
	ck_assert_uint_eq(buddy_alloc_contig(z, MAX_BLOCK + 1, 1), 0);
	buddy_free(a, POOL);
	same_as_model();

	/* Neither aligned nor a multiple: the tail goes back. */
	a = buddy_alloc_contig(z, MAX_BLOCK + 1, 1);
	ck_assert_uint_eq(a, pool);
	ck_assert_uint_eq(z->free, POOL - MAX_BLOCK - 1);
	b = buddy_alloc_contig(z, 2 * MAX_BLOCK, 2 * MAX_BLOCK);
	ck_assert_uint_eq(b, pool + BEFORE * MAX_BLOCK);
	ck_assert(IS_ALIGNED(b, 2 * MAX_BLOCK));
	buddy_free(a, MAX_BLOCK + 1);
	buddy_free(b, 2 * MAX_BLOCK);
	same_as_model();

	/* One page in use cuts the row; the search goes on behind it. */
	hole = pool + MAX_BLOCK + 17;
	ck_assert(buddy_take(hole, 1));
	ck_assert_uint_eq(buddy_alloc_contig(z, 5 * MAX_BLOCK, 1), 0);
	a = buddy_alloc_contig(z, 4 * MAX_BLOCK, 1);
	ck_assert_uint_eq(a, pool + 2 * MAX_BLOCK);
	ck_assert_uint_eq(buddy_alloc_contig(z, MAX_BLOCK + 1, 1), 0);
	buddy_free(hole, 1);
	buddy_free(a, 4 * MAX_BLOCK);
	same_as_model();
}
END_TEST

/* What will grow lies in the middle of what is free and touched, 4 times as much at most. */
START_TEST(between)
{
	struct section *s;

	pool_create();
	s = section_of(pool);
	ck_assert_uint_eq(buddy_alloc_between(z, 4), 0);
	/* Two free runs, of 64 pages and of 8. */
	ck_assert(buddy_take(pool, POOL));
	zone_note_written(pool, 1024);
	buddy_free(pool + 96, 64);
	buddy_free(pool + 200, 8);
	ck_assert_uint_eq(buddy_alloc_between(z, 4), pool + 96 + 6);
	/* A quarter may be untouched, no more. */
	buddy_free(pool + 96 + 6, 4);
	bits_clear_range(s->touched, pool + 102 - s->base, pool + 104 - s->base);
	ck_assert_uint_eq(buddy_alloc_between(z, 4), pool + 200 + 2);
	zone_note_written(pool + 102, 1);
	ck_assert_uint_eq(buddy_alloc_between(z, 4), pool + 96 + 6);
	/* No run is larger than what is asked for, or it is not worth a search. */
	ck_assert_uint_eq(buddy_alloc_between(z, 64), 0);
	ck_assert_uint_eq(buddy_alloc_between(z, 3), 0);
	ck_assert_uint_eq(z->free, 72 - 8);
}
END_TEST

/* A failed take leaves everything as it was. */
START_TEST(take_is_all_or_nothing)
{
	pool_create();
	ck_assert(buddy_take(pool + 3000, 1));
	is_free[3000] = false;
	ck_assert(!buddy_take(pool, POOL));
	ck_assert(!buddy_take(pool + 2999, 2));
	ck_assert(!buddy_take(pool + 3000, 1));
	same_as_model();
	/* Nor does it leave the zone. */
	ck_assert(!buddy_take(pool + POOL - 1, 2));
	ck_assert(!buddy_take(pool - 1, 2));
	ck_assert(!buddy_take(pool + (1ul << 24), 1));
	same_as_model();
}
END_TEST

/* What another caller of sbrk() holds is never merged over. */
START_TEST(foreign_hole)
{
	pfn_t low, high, first;
	unsigned order;

	fake_boot();
	low = zone_brk_grow(z, 3 * MAX_BLOCK, MAX_BLOCK);
	first = z->end;
	ck_assert_ptr_nonnull(fake_foreign_sbrk(3 * 4096 + 5));
	high = zone_brk_grow(z, 3 * MAX_BLOCK, 1);
	ck_assert_uint_ge(high, first + 4);
	buddy_free(low, 3 * MAX_BLOCK);
	buddy_free(high, 3 * MAX_BLOCK);
	for (pfn_t p = first; p < first + 4; p++) {
		pfn_t start;

		ck_assert(!buddy_find(p, &start, &order));
		ck_assert_ptr_null(page_of(p));
		ck_assert(!buddy_take(p, 1));
	}
	ck_assert(!buddy_take(first - 1, 6));
	ck_assert_uint_ge(z->end - buddy_run_below(z->end), first + 4);
	/* No block covers the hole, whatever is asked for. */
	for (pfn_t p; (p = buddy_alloc(z, 0)); )
		must(p < first || p >= first + 4);
	ck_assert_uint_eq(z->free, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		random_operations, coalesce_any_order, exact_tails, contiguous,
		between, take_is_all_or_nothing, foreign_hole,
	};

	return unit_run("buddy", tests, ARRAY_SIZE(tests));
}
