/* SPDX-License-Identifier: MIT */
/*
 * Joining an earlier walk.
 *
 * 1. A program that allocates from ever new stacks changes the inner frames; those
 *    farther out are the same, at the same addresses. A walk that comes to a stand
 *    of the one before it, the same pc and stack pointer, goes on as that did if
 *
 *	that one's later steps used no register that was set before the stand, and
 *	all words that they read are unchanged.
 *
 *    The first is known from the earlier walk (stand.needs), the second is looked at,
 *    which is quick: no rule is asked for.
 *
 * 2. What is taken over is what the walk would have come to by itself, reads
 *    included, so that it can be remembered, and joined in turn.
 *
 * 3. Only walks of one generation, on the thread's own stack, whose reads say it all.
 */
#include <string.h>

#include "debug/unwind.h"

#define WORD		sizeof(uintptr_t)
#define READ_OFF_MAX	(1ul << 31)

/* The stand that the walk has come to; false: none. */
static bool meet(struct walk *w)
{
	const struct walk *b = w->before;
	const struct stand *s;

	while (w->next < b->nr_stands && b->stands[w->next].sp < w->sp)
		w->next++;
	s = &b->stands[w->next];
	return w->next < b->nr_stands && s->sp == w->sp && s->pc == w->pc && !w->exact &&
	       s->needs >= w->next;
}

/* The part of the earlier walk that is wanted, up to its last stand and reads. */
struct part {
	size_t first, last, reads;	/* ends not included */
	size_t n;			/* frames */
	bool cut;
};

static bool choose(const struct walk *w, struct part *p)
{
	const struct walk *b = w->before;
	size_t left = w->depth - w->n, base;

	p->first = w->next;
	base = b->stands[p->first].n;
	p->last = b->nr_stands;
	p->reads = b->nr_reads;
	p->n = b->n - base;
	p->cut = b->cut;
	if (p->n < left)
		return !b->cut;
	/* The walk ends where it has as many frames as are wanted. */
	p->n = left;
	p->cut = true;
	while (b->stands[p->last - 1].n >= base + left)
		p->last--;
	p->reads = b->stands[p->last - 1].nr_reads;
	return true;
}

/* Look at the words, and take the reads over as far as they are unchanged; how many. */
static size_t verify(struct walk *w, size_t from, size_t to)
{
	const struct walk *b = w->before;
	struct stack_read *out = &w->reads[w->nr_reads];
	uintptr_t shift = b->frame - w->frame, size = w->range.hi - w->frame;
	size_t i;

	for (i = from; i < to; i++, out++) {
		const struct stack_read *r = &b->reads[i];
		uintptr_t off = r->off + shift;
		uint64_t value = r->value + (r->kind == READ_RELATIVE ? shift : 0), word;

		if (unlikely(off >= size || off >= READ_OFF_MAX))
			break;
		word = *(const volatile uintptr_t *)(w->frame + off);
		if (r->kind == READ_RELATIVE)
			word -= w->frame;
		if (word != value)
			break;
		*out = (struct stack_read){ value, (uint32_t)off, r->kind };
	}
	return i - from;
}

static void take_over(struct walk *w, const struct part *p)
{
	const struct walk *b = w->before;
	const struct stand *first = &b->stands[p->first];
	size_t at = w->nr_stands;

	for (size_t i = p->first; i < p->last; i++) {
		struct stand *s = &w->stands[w->nr_stands++];

		*s = b->stands[i];
		s->n = (uint16_t)(s->n - first->n + w->n);
		s->nr_reads = (uint16_t)(s->nr_reads - first->nr_reads + w->nr_reads);
		if (s->needs != UINT16_MAX)
			s->needs = (uint16_t)(s->needs - p->first + at);
	}
	w->own = (uint32_t)w->n;
	w->skip = first->n;
	memcpy(&w->pcs[w->n], &b->pcs[first->n], p->n * sizeof(w->pcs[0]));
	w->n += p->n;
	w->nr_reads += p->reads - first->nr_reads;
	w->cut = p->cut;
}

bool unwind_join(struct walk *w)
{
	const struct walk *b = w->before;
	struct part p;
	size_t from, same;

	if (!b->repeatable || !b->range.own || !w->range.own || b->generation != w->generation) {
		w->before = NULL;
		return false;
	}
	if (!meet(w))
		return false;
	if (!choose(w, &p) || w->nr_stands + (p.last - p.first) > STANDS_MAX) {
		w->before = NULL;
		return false;
	}
	from = b->stands[p.first].nr_reads;
	if (w->nr_reads + (p.reads - from) > READS_MAX)
		return false;
	same = verify(w, from, p.reads);
	if (same == p.reads - from) {
		take_over(w, &p);
		return true;
	}
	/* Not before the word that differs has been read. */
	while (w->next < b->nr_stands && b->stands[w->next].nr_reads <= from + same)
		w->next++;
	return false;
}
