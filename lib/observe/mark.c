/* SPDX-License-Identifier: MIT */
#include "observe/mark.h"

#include <string.h>

#include "observe/start.h"
#include "os/proc.h"

#define SPARSE_MIN	(1ul << 20)	/* blocks from here on: only pages that exist */
#define STACK_LEAST	2048u	/* no stack is in a block that is smaller */
#define ROOTS_MAX	(1ul << 28)	/* what fits in a mark */

struct gray {
	uintptr_t addr;
	size_t size;
	uint32_t mark;		/* of the block, passed on to what it points to */
};

/*
 * A word that may point to a block, while the block's record is being fetched: the
 * records of a large heap are in no cache.
 */
struct waiting {
	struct block block;
	uintptr_t word, at;
	uint32_t mark;		/* what was being scanned */
};
#define NR_WAITING	16u	/* power of two */
#define NR_NEXT		8u	/* blocks whose contents are being fetched */

enum phase { REACH, MAYBE, PASS, LOSE };

static struct {
	enum phase phase;
	bool no_memory;
	int pages_fd;
	size_t bytes;
	struct vec gray;	/* struct gray: marked, to be scanned */
	struct vec seeds;	/* struct gray: seen by interior pointers */
	struct vec roots;	/* struct root */
	struct vec leaders;	/* struct leader */
	struct vec dead;	/* struct os_range; by address from mark_follow() on */

	struct waiting waiting[NR_WAITING];
	unsigned first, count;
	struct gray next[NR_NEXT];
	unsigned next_first, next_count;

	/* The words that are left; what is known when one of them faults. */
	uintptr_t at, end;
	void *resume[5];
	bool scanning;

	/* What is being scanned: a root, or a block with its mark. */
	enum root_kind kind;
	uint32_t who;
	uint32_t mark;
} m;

void mark_begin(void)
{
	memset(&m, 0, sizeof(m));
	m.pages_fd = -1;
}

size_t mark_bytes_scanned(void)
{
	return m.bytes;
}

struct root *mark_root(uint32_t id)
{
	return VEC_AT(&m.roots, struct root, id);
}

const struct leader *mark_leader(uint32_t id)
{
	return VEC_AT(&m.leaders, struct leader, id);
}

static void push_block(struct vec *v, const struct block *b, uint32_t mark)
{
	struct gray *g = VEC_ADD(v, struct gray);

	if (g)
		*g = (struct gray){ (uintptr_t)b->addr, b->size, mark };
	else
		m.no_memory = true;
}

/* The mark that a block gets from what is being scanned. */
static uint32_t pass_on(enum mark_state state, const struct block *b, uintptr_t at)
{
	struct root *r;

	if (m.mark)
		return (uint32_t)state | (m.mark & ~7u);
	if (m.roots.count >= ROOTS_MAX || !(r = VEC_ADD(&m.roots, struct root))) {
		m.no_memory |= !m.roots.count;
		return (uint32_t)state | (uint32_t)(m.roots.count ? m.roots.count - 1 : 0) << 3;
	}
	*r = (struct root){ .kind = m.kind, .who = m.who, .head = b->rec->stack, .at = at };
	return (uint32_t)state | (uint32_t)(m.roots.count - 1) << 3;
}

/* The record is here: what does this word make of its block? */
static void judge(uintptr_t word, uintptr_t at, struct block *block)
{
	struct block b = *block;
	uint32_t mark;
	bool whole;

	if (!block_is_live(&b) || !b.rec)
		return;
	/* What was not asked for is not in it, but an empty block has an address too. */
	whole = word == (uintptr_t)b.addr || start_of_empty(word, &b);
	if (word - (uintptr_t)b.addr >= b.size && !whole)
		return;
	mark = b.rec->mark;
	switch (m.phase) {
	case REACH:
		if (mark_state(mark) == MARK_REACHABLE)
			return;
		if (whole || start_is(word, &b)) {
			b.rec->mark = pass_on(MARK_REACHABLE, &b, at);
			push_block(&m.gray, &b, b.rec->mark);
		} else if (!mark) {
			b.rec->mark = pass_on(MARK_SEED, &b, at);
			push_block(&m.seeds, &b, 0);
		}
		return;
	case MAYBE:
		if (mark_state(mark) > MARK_SEED)
			return;
		b.rec->mark = pass_on(MARK_POSSIBLE, &b, at);
		push_block(&m.gray, &b, b.rec->mark);
		return;
	case PASS:
	case LOSE:
		if (mark_state(mark) == (m.phase == PASS ? MARK_NONE : MARK_PASSED)) {
			b.rec->mark = m.mark;
			push_block(&m.gray, &b, m.mark);
		}
		return;
	}
}

static void judge_first(void)
{
	struct waiting *w = &m.waiting[m.first];
	uint32_t mark = m.mark;

	m.first = (m.first + 1) & (NR_WAITING - 1);
	m.count--;
	m.mark = w->mark;
	judge(w->word, w->at, &w->block);
	m.mark = mark;
}

static void judge_all(void)
{
	while (m.count)
		judge_first();
}

static __noinline void found(uintptr_t word, uintptr_t at)
{
	struct waiting *w;

	if (m.count == NR_WAITING)
		judge_first();
	w = &m.waiting[(m.first + m.count) & (NR_WAITING - 1)];
	if (!block_locate((const void *)word, &w->block))
		return;
	w->word = word;
	w->at = at;
	w->mark = m.mark;
	m.count++;
}

static void scan_rest(void)
{
	const uintptr_t *p = (const uintptr_t *)m.at, *stop = (const uintptr_t *)m.end;
	const struct block_window a = block_windows[0], b = block_windows[1];

	for (; p < stop; p++) {
		uintptr_t word = *p;

		if (unlikely(word - a.start < a.size || word - b.start < b.size))
			found(word, (uintptr_t)p);
	}
}

/*
 * Pages may refuse to be read although nothing says so beforehand: behind the end
 * of a file that got shorter, guards inside of a mapping.
 */
static __noinline void scan_words(uintptr_t start, uintptr_t end)
{
	m.at = ALIGN_UP(start, sizeof(uintptr_t));
	m.end = ALIGN_DOWN(end, sizeof(uintptr_t));
	if (m.at >= m.end)
		return;
	m.bytes += m.end - m.at;
	__builtin_setjmp(m.resume);
	m.scanning = true;
	if (m.at < m.end)
		scan_rest();
	m.scanning = false;
}

void mark_fault(uintptr_t addr)
{
	if (!m.scanning)
		return;
	/* Not a word of the range: a table that a word led to. Try no more of this page. */
	if (addr < m.at || addr >= m.end)
		addr = m.at;
	m.at = ALIGN_DOWN(addr, os_page_size()) + os_page_size();
	__builtin_longjmp(m.resume, 1);
}

static void scan_pages(int fd, uintptr_t start, uintptr_t end, bool anonymous)
{
	struct os_range ranges[32];
	uintptr_t at = ALIGN_DOWN(start, os_page_size());

	while (at < end) {
		size_t n = os_pages(fd, &at, end, anonymous, ranges, ARRAY_SIZE(ranges));

		for (size_t i = 0; i < n; i++)
			scan_words(MAX(ranges[i].start, start), MIN(ranges[i].end, end));
	}
}

static void fetch_next(void)
{
	while (m.next_count < NR_NEXT && m.gray.count) {
		struct gray *g = VEC_AT(&m.gray, struct gray, --m.gray.count);

		__builtin_prefetch((void *)g->addr);
		m.next[(m.next_first + m.next_count++) & (NR_NEXT - 1)] = *g;
	}
}

static void scan_part(const struct gray *g, uintptr_t start, uintptr_t end)
{
	if (g->size < SPARSE_MIN)
		scan_words(start, end);
	else
		scan_pages(m.pages_fd, start, end, false);
}

/* The first that ends above @at. */
static size_t dead_above(uintptr_t at)
{
	size_t lo = 0, hi = m.dead.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (VEC_AT(&m.dead, struct os_range, mid)->end <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static __noinline void scan_between(const struct gray *g)
{
	uintptr_t at = g->addr, end = at + g->size;

	for (size_t i = dead_above(at); i < m.dead.count && at < end; i++) {
		const struct os_range *d = VEC_AT(&m.dead, struct os_range, i);

		if (d->start >= end)
			break;
		scan_part(g, at, MAX(at, d->start));
		at = d->end;
	}
	if (at < end)
		scan_part(g, at, end);
}

/* Until nothing is gray: blocks pass through a short queue, to be fetched on the way. */
static void scan_gray(void)
{
	for (;;) {
		struct gray g;

		fetch_next();
		if (!m.next_count) {
			judge_all();
			if (!m.gray.count)
				break;
			continue;
		}
		g = m.next[m.next_first];
		m.next_first = (m.next_first + 1) & (NR_NEXT - 1);
		m.next_count--;
		m.mark = g.mark;
		if (unlikely(m.dead.count) && g.size >= STACK_LEAST)
			scan_between(&g);
		else
			scan_part(&g, g.addr, g.addr + g.size);
	}
	m.mark = 0;
}

void mark_range(uintptr_t start, uintptr_t end, enum root_kind kind, uint32_t who)
{
	m.kind = kind;
	m.who = who;
	scan_words(start, end);
	judge_all();
}

void mark_pages(int fd, uintptr_t start, uintptr_t end, bool anonymous, enum root_kind kind,
		uint32_t who)
{
	m.kind = kind;
	m.who = who;
	scan_pages(fd, start, end, anonymous);
	judge_all();
}

void mark_held(uintptr_t addr, enum root_kind kind, uint32_t who, uintptr_t at, bool scan)
{
	struct block b;

	if (!block_find((void *)addr, &b) || !b.rec || mark_state(b.rec->mark) == MARK_REACHABLE)
		return;
	m.kind = kind;
	m.who = who;
	b.rec->mark = pass_on(MARK_REACHABLE, &b, at);
	if (scan)
		push_block(&m.gray, &b, b.rec->mark);
}

static bool pass(const struct block *b, void *arg __unused_arg)
{
	struct leader *l;

	if (!b->rec || b->rec->mark)
		return true;
	l = VEC_ADD(&m.leaders, struct leader);
	if (!l) {
		m.no_memory = true;
		return false;
	}
	*l = (struct leader){ (uintptr_t)b->addr, b->rec->stack, b->rec, b->size };
	b->rec->mark = MARK_PASSED | (uint32_t)(m.leaders.count - 1) << 3;
	push_block(&m.gray, b, b->rec->mark);
	scan_gray();
	return !m.no_memory;
}

static void choose(size_t i)
{
	const struct leader *l = mark_leader((uint32_t)i);
	struct block b = { .addr = (void *)l->addr, .size = l->size, .rec = l->rec };

	if (mark_state(l->rec->mark) != MARK_PASSED)
		return;
	l->rec->mark = MARK_LOST | (uint32_t)i << 3;
	push_block(&m.gray, &b, l->rec->mark);
	scan_gray();
}

void mark_dead(uintptr_t start, uintptr_t end)
{
	struct os_range *d = start < end ? VEC_ADD(&m.dead, struct os_range) : NULL;

	if (d)
		*d = (struct os_range){ start, end };
	else
		m.no_memory |= start < end;
}

static bool range_less(const void *a, const void *b)
{
	return ((const struct os_range *)a)->start < ((const struct os_range *)b)->start;
}

void mark_follow(int fd)
{
	sort(m.dead.at, m.dead.count, sizeof(struct os_range), range_less);
	m.pages_fd = fd;
	scan_gray();
}

bool mark_finish(void)
{
	m.phase = MAYBE;
	for (size_t i = 0; i < m.seeds.count; i++) {
		struct gray *s = VEC_AT(&m.seeds, struct gray, i);
		struct block b;

		if (!block_find((void *)s->addr, &b) || mark_state(b.rec->mark) != MARK_SEED)
			continue;
		b.rec->mark = (b.rec->mark & ~7u) | MARK_POSSIBLE;
		push_block(&m.gray, &b, b.rec->mark);
		scan_gray();
	}
	m.phase = PASS;
	if (m.no_memory || !blocks_walk(pass, NULL))
		return false;
	m.phase = LOSE;
	for (size_t i = m.leaders.count; i-- > 0;)
		choose(i);
	return !m.no_memory;
}

static bool clear(const struct block *b, void *arg __unused_arg)
{
	if (b->rec)
		b->rec->mark = 0;
	return true;
}

void mark_end(void)
{
	blocks_walk(clear, NULL);
}
