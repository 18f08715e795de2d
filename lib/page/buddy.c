/* SPDX-License-Identifier: MIT */
/*
 * The buddy allocator.
 *
 * 1. Concept. A free block of order o is 2^o pages, aligned to its size; its
 *    buddy is the block whose number differs in the lowest bit. A block whose
 *    buddy is free too merges with it at once, up to order 10 (4 MiB).
 *
 * 2. Representation. One bit per block and order in the section's bitmaps,
 *    set exactly while that block is free *as a block of that order*. Two
 *    summary levels make "the lowest free block" three tzcnt; a bitmap over
 *    the zone's sections makes it five. No free page's memory and no
 *    descriptor is touched, so freeing does not pull cache lines in.
 *
 *      zone   avail_top ->  avail[section]
 *      section       top -> level[word]  -> free[block]
 *
 * 3. Placement. Smallest order that fits, lowest address in it: the heap
 *    stays dense, its top free for trimming, and touched pages come first.
 *
 *    A longer run need not be a block: buddy_alloc_run takes the lowest free
 *    blocks in a row that hold it, so that large runs fill the holes of others.
 *
 * 4. Locking. zone_lock throughout.
 *
 * Invariants: bits of different orders never cover the same page; no two
 * buddies below order 10 are both free; z->free counts the pages of all bits.
 */
#include "base/bits.h"
#include "os/bug.h"
#include "page/zone.h"

#define FETCH_ORDERS	8	/* of page_fetch_free(): larger blocks are few, and at hand */
#define RUN_TRIES	64	/* candidates of buddy_alloc_run */
#define BETWEEN_MIN	4	/* pages of buddy_alloc_between; its candidates: */
#define BETWEEN_TRIES	4
#define BETWEEN_ORDER	2	/* the first are so much larger */

/* Orders lie one behind the other in section->free; 9 and 10 have a word each. */
static inline uint64_t *order_map(struct section *s, unsigned order)
{
	size_t total = 2 * SECTION_WORDS;

	return s->free + (order == MAX_ORDER ? total - 1 : total - (total >> order));
}
static_assert(SECTION_WORDS >> 9 == 1, "order 9 has one word, order 10 the spare one");

static inline bool block_is_free(struct section *s, unsigned order, size_t i)
{
	return bits_test(order_map(s, order), i);
}

static inline struct zone_group *group_of(const struct section *s)
{
	return zone_group(s->zone, s->index / 64);
}

static void block_insert(struct section *s, unsigned order, size_t i)
{
	struct zone *z = s->zone;
	size_t w = i / 64;

	debug_check(!block_is_free(s, order, i));
	bits_set(order_map(s, order), i);
	bits_set(s->level[order], w);
	s->top[order] |= 1ull << (w / 64);
	group_of(s)->avail[order] |= 1ull << s->index % 64;
	bits_set(z->avail_top[order], s->index / 64);
	z->nr_blocks[order]++;
}

static void block_remove(struct section *s, unsigned order, size_t i)
{
	struct zone *z = s->zone;
	uint64_t *map = order_map(s, order);
	size_t w = i / 64;

	debug_check(block_is_free(s, order, i));
	bits_clear(map, i);
	z->nr_blocks[order]--;
	if (map[w])
		return;
	bits_clear(s->level[order], w);
	if (s->level[order][w / 64])
		return;
	s->top[order] &= ~(1ull << (w / 64));
	if (s->top[order])
		return;
	group_of(s)->avail[order] &= ~(1ull << s->index % 64);
	if (!group_of(s)->avail[order])
		bits_clear(z->avail_top[order], s->index / 64);
}

/* One naturally aligned block inside one section. */
static void free_block(struct section *s, size_t page, unsigned order)
{
	size_t i = page >> order;

	while (order < MAX_ORDER && block_is_free(s, order, i ^ 1)) {
		block_remove(s, order, i ^ 1);
		i >>= 1;
		order++;
	}
	block_insert(s, order, i);
}

static void count(struct section *s, size_t page, size_t npages, bool freed)
{
	size_t touched = bits_count(s->touched, page, page + npages);

	if (freed) {
		ADD_ONCE(s->zone->free, npages);
		ADD_ONCE(s->zone->free_touched, touched);
	} else {
		ADD_ONCE(s->zone->free, -npages);
		ADD_ONCE(s->zone->free_touched, -touched);
		s->zone->low_touched = MIN(s->zone->low_touched, s->zone->free_touched);
	}
}

void page_fetch_free(const void *addr)
{
	pfn_t pfn = addr_pfn(addr);
	struct section *s = section_of(pfn);
	size_t page = pfn - s->base;

	__builtin_prefetch(&s->touched[page / 64], 1);
	for (unsigned o = 0; o < FETCH_ORDERS; o++) {
		__builtin_prefetch(order_map(s, o) + (page >> o) / 64, 1);
		__builtin_prefetch(s->level[o], 1);
	}
}

void buddy_free(pfn_t pfn, size_t npages)
{
	while (npages) {
		struct section *s;
		size_t page, n = section_part(pfn, npages, &s, &page);

		pfn += n;
		npages -= n;
		count(s, page, n, true);
		while (n) {
			unsigned order = MIN(bit_last(n), (unsigned)MAX_ORDER);

			if (page)
				order = MIN(order, bit_first(page));
			free_block(s, page, order);
			page += 1ul << order;
			n -= 1ul << order;
		}
	}
}

static struct section *lowest_section(struct zone *z, unsigned order)
{
	for (size_t t = 0; t < ARRAY_SIZE(z->avail_top[0]); t++) {
		if (z->avail_top[order][t]) {
			size_t w = t * 64 + bit_first(z->avail_top[order][t]);
			const struct zone_group *g = zone_group(z, w);

			return g->sections[bit_first(g->avail[order])];
		}
	}
	return NULL;
}

static size_t lowest_block(struct section *s, unsigned order)
{
	size_t l = bit_first(s->top[order]);
	size_t w = l * 64 + bit_first(s->level[order][l]);

	return w * 64 + bit_first(order_map(s, order)[w]);
}

pfn_t buddy_alloc(struct zone *z, unsigned order)
{
	for (unsigned o = order; o <= MAX_ORDER; o++) {
		struct section *s;
		size_t i;

		if (!z->nr_blocks[o])
			continue;
		s = lowest_section(z, o);
		i = lowest_block(s, o);
		block_remove(s, o, i);
		/* Keep the lower half, give the upper back, down to the order. */
		while (o > order) {
			o--;
			i <<= 1;
			block_insert(s, o, i | 1);
		}
		count(s, i << order, 1ul << order, false);
		return s->base + (i << order);
	}
	return 0;
}

pfn_t buddy_alloc_exact(struct zone *z, size_t npages, unsigned align_order)
{
	unsigned order = MAX(log2_ceil(npages), align_order);
	pfn_t pfn = buddy_alloc(z, order);

	if (pfn && npages < 1ul << order)
		buddy_free(pfn + npages, (1ul << order) - npages);
	return pfn;
}

/* First free block of @order, @i or behind it; the number of blocks: none. */
static size_t next_of_order(struct section *s, unsigned order, size_t i)
{
	const uint64_t *map = order_map(s, order);
	size_t blocks = SECTION_PAGES >> order, w = i / 64;

	if (i >= blocks)
		return blocks;
	if (map[w] >> i % 64)
		return i + bit_first(map[w] >> i % 64);
	w = bits_next(s->level[order], w + 1, SECTION_WORDS, true);
	return w < SECTION_WORDS ? w * 64 + bit_first(map[w]) : blocks;
}

/* First page at or after @page of a free block of at least @order; SECTION_PAGES: none. */
static size_t next_block(struct section *s, unsigned order, size_t page)
{
	size_t lowest = SECTION_PAGES;

	for (unsigned o = order; o <= MAX_ORDER; o++) {
		if (s->top[o])
			lowest = MIN(lowest, next_of_order(s, o, (page + (1ul << o) - 1) >> o) << o);
	}
	return lowest;
}

/* Length of the free run that starts at @start, up to @want. */
static size_t run_above(pfn_t start, size_t want)
{
	pfn_t pfn = start, block;
	unsigned order;

	while (pfn - start < want && buddy_find(pfn, &block, &order))
		pfn = block + (1ul << order);
	return pfn - start;
}

/* One that has a block in @s; each candidate is one of *@tries. */
static pfn_t take_run(struct section *s, size_t npages, size_t align, pfn_t limit, unsigned *tries)
{
	/* A run of n pages holds a whole block of half its size, if not more. */
	unsigned order = npages > 1 ? MIN(bit_last(npages) - 1, (unsigned)MAX_ORDER) : 0;
	size_t page = 0;

	while (*tries && (page = next_block(s, order, page)) < SECTION_PAGES) {
		pfn_t block = s->base + page, low = block - buddy_run_below(block);
		pfn_t start = ALIGN_UP(low, align), end = start + npages;
		size_t run = run_above(low, end - low);

		if (run >= end - low && end <= limit && buddy_take(start, npages))
			return start;
		--*tries;
		page = low + run - s->base;
	}
	return 0;
}

pfn_t buddy_alloc_run(struct zone *z, size_t npages)
{
	unsigned tries = RUN_TRIES;
	pfn_t pfn = 0;

	for (size_t k = 0; k < z->nr_sections && tries && !pfn; k++)
		pfn = take_run(*zone_section(z, k), npages, 1, ~(pfn_t)0, &tries);
	return pfn;
}

static bool has_blocks(const struct zone *z, unsigned order)
{
	size_t n = 0;

	for (unsigned o = order; o <= MAX_ORDER; o++)
		n += z->nr_blocks[o];
	return n;
}

/* From a run that has a block of at least @order in @s. */
static pfn_t take_between(struct section *s, size_t npages, unsigned order, unsigned *tries)
{
	size_t page = 0;

	while (*tries && (page = next_block(s, order, page)) < SECTION_PAGES) {
		pfn_t block = s->base + page, low = block - buddy_run_below(block);
		size_t run = run_above(low, SECTION_PAGES);
		pfn_t start = low + (MIN(run, npages << BETWEEN_ORDER) - npages) / 2;

		if (zone_untouched(start, npages) <= npages / 4 && buddy_take(start, npages))
			return start;
		--*tries;
		page = low + run - s->base;
	}
	return 0;
}

/*
 * What grows in small steps takes the pages behind it one by one, if nobody is there. In
 * the lowest place that is large enough it soon meets the next run, and moves.
 */
__far pfn_t buddy_alloc_between(struct zone *z, size_t npages)
{
	unsigned order = MIN(log2_ceil(npages) + BETWEEN_ORDER, (unsigned)MAX_ORDER);
	unsigned tries = BETWEEN_TRIES;
	pfn_t pfn = 0;

	if (npages < BETWEEN_MIN || z->free_touched < npages)
		return 0;
	for (; 1ul << order > npages && !pfn; order--) {
		for (size_t k = 0; has_blocks(z, order) && k < z->nr_sections && tries && !pfn; k++)
			pfn = take_between(*zone_section(z, k), npages, order, &tries);
	}
	return pfn;
}

__far pfn_t buddy_alloc_below(struct zone *z, size_t npages, size_t align, pfn_t limit)
{
	pfn_t pfn = 0;

	for (size_t k = 0; k < z->nr_sections && !pfn; k++) {
		struct section *s = *zone_section(z, k);
		unsigned tries = RUN_TRIES;

		if (s->base < limit)
			pfn = take_run(s, npages, align, limit, &tries);
	}
	return pfn;
}

/* The section that holds the pages right behind this one, in any zone. */
static struct section *next_section(const struct section *s)
{
	return section_of(s->base + SECTION_PAGES);
}

/* Largest blocks in a row from block @i of @s on, up to @want. */
static size_t row_length(struct section *s, size_t i, size_t want)
{
	size_t n = 0;

	while (s && n < want) {
		if (!block_is_free(s, MAX_ORDER, i))
			break;
		n++;
		if (++i == NR_SUBS) {
			s = next_section(s);
			i = 0;
		}
	}
	return n;
}

__far pfn_t buddy_alloc_contig(struct zone *z, size_t npages, size_t align)
{
	size_t want = (npages + MAX_BLOCK - 1) / MAX_BLOCK;

	if (z->nr_blocks[MAX_ORDER] < want)
		return 0;
	for (size_t k = 0; k < z->nr_sections; k++) {
		struct section *s = *zone_section(z, k);

		if (!s->top[MAX_ORDER])
			continue;
		for (size_t i = 0; i < NR_SUBS; i++) {
			pfn_t pfn = s->base + i * MAX_BLOCK;
			size_t row;

			if (!IS_ALIGNED(pfn, align) || !block_is_free(s, MAX_ORDER, i))
				continue;
			row = row_length(s, i, want);
			if (row == want && buddy_take(pfn, npages))
				return pfn;
			i += row;
		}
	}
	return 0;
}

static bool find_in(struct section *s, size_t page, size_t *start, unsigned *order)
{
	for (unsigned o = 0; o <= MAX_ORDER; o++) {
		if (block_is_free(s, o, page >> o)) {
			*start = page >> o << o;
			*order = o;
			return true;
		}
	}
	return false;
}

bool buddy_find(pfn_t pfn, pfn_t *start, unsigned *order)
{
	struct section *s = section_of(pfn);
	size_t page;

	if (!s || !find_in(s, pfn - s->base, &page, order))
		return false;
	*start = s->base + page;
	return true;
}

/* First page of the highest free block of at least @order below @page; @page: none. */
static size_t block_below(struct section *s, unsigned order, size_t page, unsigned *found)
{
	size_t best = page;

	for (unsigned o = order; o <= MAX_ORDER; o++) {
		size_t limit = (page + (1ul << o) - 1) >> o, i;

		if (!s->top[o])
			continue;
		i = bits_prev(order_map(s, o), 0, limit);
		if (i < limit && (best == page || i << o > best)) {
			best = i << o;
			*found = o;
		}
	}
	return best;
}

__far bool buddy_prev(struct zone *z, unsigned order, size_t *pos, pfn_t *start, unsigned *found)
{
	size_t k = MIN((*pos + SECTION_PAGES - 1) / SECTION_PAGES, (size_t)z->nr_sections);

	while (k-- > 0) {
		struct section *s = *zone_section(z, k);
		size_t page = MIN(*pos - k * SECTION_PAGES, SECTION_PAGES);
		size_t at = block_below(s, order, page, found);

		if (at == page)
			continue;
		*pos = k * SECTION_PAGES + at;
		*start = s->base + at;
		return true;
	}
	return false;
}

bool buddy_take(pfn_t pfn, size_t npages)
{
	pfn_t end = pfn + npages, start;
	unsigned order;

	for (pfn_t p = pfn; p < end; p = start + (1ul << order)) {
		if (!buddy_find(p, &start, &order))
			return false;
	}
	for (pfn_t p = pfn; p < end;) {
		struct section *s = section_of(p);
		pfn_t block_end;

		buddy_find(p, &start, &order);
		block_end = start + (1ul << order);
		block_remove(s, order, (start - s->base) >> order);
		count(s, start - s->base, 1ul << order, false);
		/* What the block has outside of the range goes back. */
		if (start < p)
			buddy_free(start, p - start);
		if (block_end > end)
			buddy_free(end, block_end - end);
		p = block_end;
	}
	return true;
}

size_t buddy_run_below(pfn_t end)
{
	pfn_t pfn = end;

	for (;;) {
		pfn_t start;
		unsigned order;

		if (!pfn || !buddy_find(pfn - 1, &start, &order) ||
		    start + (1ul << order) != pfn)
			return end - pfn;
		pfn = start;
	}
}
