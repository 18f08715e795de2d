/* SPDX-License-Identifier: MIT */
/* Growing the tree; see memo.h. */
#include "debug/memo.h"

#include <string.h>

#include "page/page.h"

#define NODES_FIRST	(1u << 13)	/* 128 KiB; those not in use cost nothing */
#define NODES_MAX	(1u << 14)	/* 256 KiB; then it begins anew: more would not stay cached */
#define BRANCHES_FIRST	(PAGE_SIZE / sizeof(struct memo_branch))

static size_t nr_slots(const struct memo *m)
{
	return m->branches ? (size_t)m->branch_mask + 1 : 0;
}

static void forget(struct memo *m)
{
	m->nr_nodes = 1;
	if (m->nr_branches)
		memset(m->branches, 0, nr_slots(m) * sizeof(*m->branches));
	m->nr_branches = 0;
	m->generation = stack_generation();
}

static bool grow_nodes(struct memo *m)
{
	uint32_t max = m->max_nodes ? 2 * m->max_nodes : NODES_FIRST;
	struct memo_node *nodes = page_alloc_meta(bytes_pages(max * sizeof(*nodes)));

	if (!nodes)
		return false;
	if (m->nodes) {
		memcpy(nodes, m->nodes, m->nr_nodes * sizeof(*nodes));
		page_free_meta(m->nodes, bytes_pages(m->max_nodes * sizeof(*nodes)));
	}
	m->nodes = nodes;
	m->max_nodes = max;
	return true;
}

static void insert_branch(struct memo *m, uint32_t from, uint64_t value, uint32_t to)
{
	size_t i = memo_hash(from, value) & m->branch_mask;

	while (m->branches[i].to)
		i = (i + 1) & m->branch_mask;
	m->branches[i] = (struct memo_branch){ value, from, to };
	m->nr_branches++;
}

static bool grow_branches(struct memo *m)
{
	size_t old_slots = nr_slots(m), slots = old_slots ? 2 * old_slots : BRANCHES_FIRST;
	struct memo_branch *old = m->branches, *b;

	b = page_alloc_meta(bytes_pages(slots * sizeof(*b)));
	if (!b)
		return false;
	m->branches = b;
	m->branch_mask = (uint32_t)slots - 1;
	m->nr_branches = 0;
	for (size_t i = 0; i < old_slots; i++) {
		if (old[i].to)
			insert_branch(m, old[i].from, old[i].value, old[i].to);
	}
	if (old)
		page_free_meta(old, bytes_pages(old_slots * sizeof(*old)));
	return true;
}

/* Room for a branch and @n nodes; false: no memory. May forget everything. */
static bool reserve(struct memo *m, size_t n)
{
	if (m->nr_branches >= nr_slots(m) / 2 && !grow_branches(m))
		return false;
	while (m->nr_nodes + n > m->max_nodes) {
		if (m->max_nodes == NODES_MAX) {
			forget(m);
			break;
		}
		if (!grow_nodes(m))
			return false;
	}
	return true;
}

/* Does a read lead to the next: a frame pointer to the return address beside it? */
static bool is_link(const struct walk *w, size_t k)
{
	const struct stack_read *r = &w->reads[k];

	return k + 1 < w->nr_reads && r->kind == READ_RELATIVE && r[1].kind == READ_WORD &&
	       r->value && r[1].off == r->value + WORD_BYTES && r[1].off > r->off;
}

static struct memo_node *begin_run(struct memo *m)
{
	struct memo_node *run = &m->nodes[m->nr_nodes++];

	*run = (struct memo_node){ .groups = 0 };
	return run;
}

static void end_run(struct memo *m, struct memo_node *run)
{
	run->groups = (run->off + MEMO_GROUP - 1) / MEMO_GROUP;
	for (uint32_t i = run->off; i < run->groups * MEMO_GROUP; i++) {
		m->nodes[m->nr_nodes] = m->nodes[m->nr_nodes - 1];
		m->nr_nodes++;
	}
	for (uint32_t i = 0; i < run->groups * MEMO_GROUP && run[1 + i].link; i++)
		run->link = (i + 1) / MEMO_GROUP;
}

/* The reads from the @k-th on, and the end, as a branch. */
static void append(struct memo *m, uint32_t from, uint64_t value, const struct walk *w, size_t k,
		   uint32_t id)
{
	struct memo_node *run;

	insert_branch(m, from, value, m->nr_nodes);
	run = begin_run(m);
	while (k < w->nr_reads) {
		const struct stack_read *r = &w->reads[k];
		bool link = is_link(w, k);

		if (!link && r->kind != READ_WORD) {
			end_run(m, run);
			m->nodes[m->nr_nodes++] = (struct memo_node){
				.value = r->value, .off = r->off, .link = MEMO_RELATIVE };
			run = begin_run(m);
			k++;
			continue;
		}
		m->nodes[m->nr_nodes++] = (struct memo_node){
			.pc = r[link].value, .off = r->off, .link = link ? (uint32_t)r->value : 0 };
		run->off++;
		k += 1 + link;
	}
	end_run(m, run);
	m->nodes[m->nr_nodes++] = (struct memo_node){ .value = id, .link = MEMO_END };
}

/* A place in the tree and the read that is its. */
struct place {
	const struct memo_node *node;
	uint32_t left;			/* frames of the run from here on */
	uint32_t fill;			/* nodes behind them that fill it */
	bool pc;			/* of a frame with a link: the link was passed */
};

static struct place run_at(const struct memo *m, uint32_t to)
{
	const struct memo_node *run = &m->nodes[to];
	struct place p = { run + 1, run->off, run->groups * MEMO_GROUP - run->off, false };

	if (!p.left)
		p.node += p.fill;
	return p;
}

/* The read that the place makes; false: it is the end. */
static bool read_of(const struct place *p, struct stack_read *r)
{
	const struct memo_node *n = p->node;

	if (p->left && n->link && !p->pc)
		*r = (struct stack_read){ n->link, n->off, READ_RELATIVE };
	else if (p->left)
		*r = (struct stack_read){ n->pc, n->link ? n->link + WORD_BYTES : n->off,
					  READ_WORD };
	else if (n->link == MEMO_END)
		return false;
	else
		*r = (struct stack_read){ n->value, n->off, READ_RELATIVE };
	return true;
}

static void advance(const struct memo *m, struct place *p)
{
	if (p->left && p->node->link && !p->pc) {
		p->pc = true;
	} else if (p->left) {
		p->node++;
		p->left--;
		p->pc = false;
		if (!p->left)
			p->node += p->fill;
	} else {
		*p = run_at(m, (uint32_t)(p->node + 1 - m->nodes));
	}
}

bool memo_way(struct memo *m, const struct walk *w, struct memo_way *way)
{
	uint32_t from = 0, to;
	uint64_t value = memo_word(w->frame + WORD_BYTES);
	size_t k = 0;

	if (!w->repeatable)
		return false;
	if (!m->nr_nodes || m->generation != stack_generation())
		forget(m);
	/* At worst each read stands between two runs that it has to fill. */
	if (!reserve(m, (MEMO_GROUP + 2) * w->nr_reads + 2))
		return false;
	/* Down the tree by the walk's reads, as far as it is known. */
	while ((to = memo_branch(m, from, value))) {
		struct place p = run_at(m, to);
		struct stack_read r;

		for (; k < w->nr_reads; k++, advance(m, &p)) {
			/* A walk that was not determined by its reads: leave it alone. */
			if (!read_of(&p, &r) || r.off != w->reads[k].off ||
			    r.kind != w->reads[k].kind)
				return false;
			if (r.value != w->reads[k].value)
				break;
		}
		/* Known to the end: memory changed between look-up and walk. */
		if (k == w->nr_reads)
			return false;
		from = memo_place(m, p.node, p.left && p.node->link && !p.pc);
		value = w->reads[k++].value;
	}
	*way = (struct memo_way){ value, from, k };
	return true;
}

void memo_enter(struct memo *m, const struct walk *w, const struct memo_way *way, uint32_t id)
{
	append(m, way->from, way->value, w, way->next, id);
}
