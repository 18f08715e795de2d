/* SPDX-License-Identifier: MIT */
#include "report.h"

#include "progress.h"

#include <stdlib.h>
#include <string.h>

const char *const sort_name[SORTS] = { "bytes", "blocks", "age", "kind" };

/* Clocks are set; two snapshots of a process may disagree this much about its start. */
#define SAME_START_MS 2000

bool report_same_process(const struct snapshot *a, const struct snapshot *b)
{
	int64_t apart = snapshot_start(a) - snapshot_start(b);
	const struct snapshot *newer = a->taken_ns > b->taken_ns ? a : b;
	const struct snapshot *older = newer == a ? b : a;

	return a->pid == b->pid && strcmp(a->exe, b->exe) == 0 && apart < SAME_START_MS &&
	       apart > -SAME_START_MS &&
	       snapshot_start(newer) < (int64_t)(older->taken_ns / 1000000);
}

/* The size at the moment of the snapshot is the last point of its history. */
static void end_history(struct snapshot *snap)
{
	struct snap_point *point;

	if (!snap->has_heap ||
	    (snap->points.n > 0 && snap->points.v[snap->points.n - 1].uptime >= snap->uptime))
		return;
	point = vec_push(&snap->points);
	point->uptime = snap->uptime;
	point->used = snap->heap_used;
	point->rss = snap->rss;
}

/* The history of an older snapshot comes before that of the newer. */
static void join_history(struct snapshot *newer, struct snapshot *older)
{
	VEC(struct snap_point) joined = { 0 };
	uint64_t begin = newer->points.n ? newer->points.v[0].uptime : UINT64_MAX;
	size_t i;

	for (i = 0; i < older->points.n && older->points.v[i].uptime < begin; i++)
		*vec_push(&joined) = older->points.v[i];
	for (i = 0; i < newer->points.n; i++)
		*vec_push(&joined) = newer->points.v[i];
	free(newer->points.v);
	newer->points.v = joined.v;
	newer->points.n = joined.n;
	newer->points.room = joined.room;
}

static void add_snapshot(struct report *report, struct snapshot *snap)
{
	size_t i;

	end_history(snap);
	for (i = 0; i < report->snaps.n; i++) {
		struct snapshot **other = &report->snaps.v[i], *older = *other;

		if (!report_same_process(*other, snap))
			continue;
		if ((*other)->uptime > snap->uptime) {
			older = snap;
			snap = *other;
		}
		join_history(snap, older);
		snapshot_free(older);
		*other = snap;
		return;
	}
	*vec_push(&report->snaps) = snap;
}

static struct suppress_rule *rule_for(const struct suppress *suppress, const struct row *row)
{
	struct suppress_rule *rule = suppress_match(suppress, row->trace);

	/* what hangs on a suppressed leak is suppressed with it */
	if (rule == NULL && row->via)
		rule = suppress_match(suppress, row->via);
	return rule;
}

static void add_leak(struct report *report, size_t process, const struct snap_leak *leak,
		     struct filter *filter)
{
	const struct snapshot *snap = report->snaps.v[process];
	struct row row = { .process = process,
			   .kind = leak->kind,
			   .stack = leak->stack,
			   .blocks = leak->blocks,
			   .bytes = leak->bytes,
			   .min_age = leak->min_age,
			   .max_age = leak->max_age,
			   .address = leak->address };
	struct suppress_rule *rule = NULL;
	struct total *total;

	if (leak->max_age < filter->min_age)
		return;
	row.trace = symbols_trace(report->symbols, snap, leak->stack);
	if (leak->via != NO_INDEX)
		row.via = symbols_trace(report->symbols, snap, leak->via);
	row.root = symbols_root(report->symbols, snap, leak->root);
	if (KIND_BIT(leak->kind) & KINDS_LOST)
		rule = rule_for(&filter->suppress, &row);
	if (rule) {
		rule->blocks += row.blocks;
		rule->bytes += row.bytes;
	}
	total = rule ? &report->totals.v[process].suppressed
		     : &report->totals.v[process].kind[leak->kind];
	total->stacks++;
	total->blocks += row.blocks;
	total->bytes += row.bytes;
	if (rule == NULL && (report->shown & KIND_BIT(leak->kind)))
		*vec_push(&report->leaks) = row;
}

static void add_alloc(struct report *report, size_t process, const struct snap_alloc *alloc)
{
	struct row *row = vec_push(&report->profile);

	row->process = process;
	row->kind = KIND_REACHABLE;
	row->stack = alloc->stack;
	row->trace = symbols_trace(report->symbols, report->snaps.v[process], alloc->stack);
	row->blocks = alloc->inuse_blocks;
	row->bytes = alloc->inuse_bytes;
	row->total_blocks = alloc->total_blocks;
	row->total_bytes = alloc->total_bytes;
	report->totals.v[process].inuse += row->bytes;
	report->totals.v[process].allocated += row->total_bytes;
}

static int falling(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b);
}

int report_compare(const void *a, const void *b, void *arg)
{
	const struct row *x = a, *y = b;
	int order = (x->process > y->process) - (x->process < y->process);

	if (order == 0) {
		switch (*(const enum sort *)arg) {
		case SORT_BLOCKS:
			order = falling(x->blocks, y->blocks);
			break;
		case SORT_AGE:
			order = falling(x->max_age, y->max_age);
			break;
		case SORT_KIND:
			order = (x->kind > y->kind) - (x->kind < y->kind);
			break;
		case SORT_BYTES:
		case SORTS:
			break;
		}
	}
	if (order == 0)
		order = falling(x->bytes, y->bytes);
	if (order == 0)
		order = falling(x->total_bytes, y->total_bytes);
	/* whatever the order in the file, the same report */
	if (order == 0)
		order = (x->trace->id > y->trace->id) - (x->trace->id < y->trace->id);
	return order;
}

static size_t via_of(const struct row *row)
{
	return row->via ? row->via->alike : SIZE_MAX;
}

static bool same_row(const void *key, size_t index, const void *arg)
{
	const struct row *a = key, *b = &((const struct row *)arg)[index];

	return a->process == b->process && a->kind == b->kind && a->root == b->root &&
	       a->trace->alike == b->trace->alike && via_of(a) == via_of(b);
}

static void add_row(struct row *to, const struct row *from)
{
	to->blocks += from->blocks;
	to->bytes += from->bytes;
	to->total_blocks += from->total_blocks;
	to->total_bytes += from->total_bytes;
	if (from->min_age < to->min_age)
		to->min_age = from->min_age;
	if (from->max_age > to->max_age)
		to->max_age = from->max_age;
}

/* Makes one row of those that print the same; returns how many are left. */
static size_t merge(struct row *rows, size_t n)
{
	struct map map = { 0 };
	size_t kept = 0, i;

	for (i = 0; i < n; i++) {
		uint64_t hash = hash_bytes(rows[i].process ^ rows[i].kind << 8,
					   &rows[i].trace->alike, sizeof(rows[i].trace->alike));
		size_t index = map_find(&map, hash, same_row, &rows[i], rows);

		if (index != MAP_NONE) {
			add_row(&rows[index], &rows[i]);
			continue;
		}
		map_add(&map, hash, kept);
		rows[kept++] = rows[i];
	}
	map_free(&map);
	return kept;
}

struct report *report_build(struct symbols *symbols, struct snapshot **snaps, size_t n,
			    struct filter *filter, unsigned default_show)
{
	struct report *report = xalloc(1, sizeof(*report));
	size_t work = 0, i, k;

	report->symbols = symbols;
	report->suppress = &filter->suppress;
	report->sort = filter->sort;
	report->top = filter->top;
	report->shown = filter->show ? filter->show : default_show;
	for (i = 0; i < n; i++)
		add_snapshot(report, snaps[i]);
	for (i = 0; i < report->snaps.n; i++)
		work += report->snaps.v[i]->leaks.n + report->snaps.v[i]->allocs.n;
	progress_begin("naming stacks", work);
	for (i = 0; i < report->snaps.n; i++) {
		const struct snapshot *snap = report->snaps.v[i];

		vec_push(&report->totals);
		for (k = 0; k < snap->leaks.n; k++) {
			add_leak(report, i, &snap->leaks.v[k], filter);
			progress_step();
		}
		for (k = 0; k < snap->allocs.n; k++) {
			add_alloc(report, i, &snap->allocs.v[k]);
			progress_step();
		}
		ended_add(report, i);
	}
	ended_sort(report);
	progress_end();
	if (!filter->by_address) {
		report->leaks.n = merge(report->leaks.v, report->leaks.n);
		report->profile.n = merge(report->profile.v, report->profile.n);
	}
	if (report->leaks.n > 0)
		qsort_r(report->leaks.v, report->leaks.n, sizeof(*report->leaks.v), report_compare,
			&filter->sort);
	if (report->profile.n > 0)
		qsort_r(report->profile.v, report->profile.n, sizeof(*report->profile.v),
			report_compare, &filter->sort);
	return report;
}

void report_free(struct report *report)
{
	size_t i;

	for (i = 0; i < report->snaps.n; i++)
		snapshot_free(report->snaps.v[i]);
	vec_free(&report->snaps);
	vec_free(&report->totals);
	vec_free(&report->leaks);
	vec_free(&report->profile);
	vec_free(&report->ended);
	free(report);
}

const struct row *report_inuse(const struct report *report, size_t *n)
{
	bool profile = true;
	size_t i;

	for (i = 0; i < report->snaps.n; i++)
		profile = profile && snapshot_is_profile(report->snaps.v[i]);
	*n = profile ? report->profile.n : report->leaks.n;
	return profile ? report->profile.v : report->leaks.v;
}

char *report_process(const struct snapshot *snap)
{
	char *name = clean_text(base_name(snap->exe)), *text;

	text = xasprintf("%s, pid %llu", name, (unsigned long long)snap->pid);
	free(name);
	return text;
}

char *report_occasion(const struct snapshot *snap)
{
	char age[HUMAN_LEN], *detail, *text;

	human_ms(age, snap->uptime);
	if (snap->reason == NULL)
		return xasprintf("after %s", age);
	if (strcmp(snap->reason, "request") == 0 || strcmp(snap->reason, "api") == 0)
		return xasprintf("on request, after %s", age);
	if (strcmp(snap->reason, "interval") == 0)
		return xasprintf("by the clock, after %s", age);
	detail = clean_text(snap->reason_detail ? snap->reason_detail : "");
	text = xasprintf("at %s%s%s, after %s", snap->reason, *detail ? " " : "", detail, age);
	free(detail);
	return text;
}
