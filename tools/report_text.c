/* SPDX-License-Identifier: MIT */
/*
 * The report for a reader: one paragraph per kind and stack, as kmemleak has them, the heaviest
 * first, and a summary line per kind.
 */
#include "report.h"

#include <stdlib.h>
#include <string.h>

/* Roots listed below one stack. */
#define ROOTS_LISTED 4
/* The same of stacks that freed other blocks. */
#define ENDED_LISTED 2

/* The rows of one kind and one stack. */
struct group {
	struct row row; /* first, for report_compare() */
	VEC(const char *) roots;
};

struct groups {
	VEC(struct group) list;
	struct map map;
};

static bool same_group(const void *key, size_t index, const void *arg)
{
	const struct row *a = key, *b = &((const struct groups *)arg)->list.v[index].row;

	return a->kind == b->kind && a->trace->alike == b->trace->alike &&
	       (a->via && b->via ? a->via->alike == b->via->alike : a->via == b->via);
}

static void add_root(struct group *group, const char *root)
{
	size_t i;

	for (i = 0; i < group->roots.n; i++)
		if (group->roots.v[i] == root)
			return;
	*vec_push(&group->roots) = root;
}

static void add_to_groups(struct groups *groups, const struct row *row)
{
	uint64_t hash = hash_bytes(row->kind, &row->trace->alike, sizeof(row->trace->alike));
	size_t index = map_find(&groups->map, hash, same_group, row, groups);
	struct group *group;

	if (index == MAP_NONE) {
		map_add(&groups->map, hash, groups->list.n);
		group = vec_push(&groups->list);
		group->row = *row;
	} else {
		group = &groups->list.v[index];
		group->row.blocks += row->blocks;
		group->row.bytes += row->bytes;
		group->row.total_blocks += row->total_blocks;
		group->row.total_bytes += row->total_bytes;
		if (row->min_age < group->row.min_age)
			group->row.min_age = row->min_age;
		if (row->max_age > group->row.max_age)
			group->row.max_age = row->max_age;
	}
	if (row->root)
		add_root(group, row->root);
}

static void free_groups(struct groups *groups)
{
	size_t i;

	for (i = 0; i < groups->list.n; i++)
		vec_free(&groups->list.v[i].roots);
	vec_free(&groups->list);
	map_free(&groups->map);
}

void text_trace(FILE *out, const struct trace *trace)
{
	size_t i;

	if (trace->n == 0)
		fputs("    (the stack is not known)\n", out);
	for (i = 0; i < trace->n; i++) {
		const struct frame *frame = trace->frames[i];

		fprintf(out, "    %s", frame->function);
		if (frame->file)
			fprintf(out, " (%s:%u)", base_name(frame->file), frame->line);
		else if (frame->module && frame->named)
			fprintf(out, " (%s)", base_name(frame->module));
		fputs(frame->inlined ? " [inlined]\n" : "\n", out);
	}
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static double share(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* Where others of this stack were freed: what the leak may have missed. */
static void print_ended(FILE *out, const struct report *report, const struct row *row)
{
	char count[HUMAN_LEN];
	size_t n, i;
	const struct ended *ended = report_ended(report, row, &n);

	for (i = 0; i < n && i < ENDED_LISTED; i++) {
		fprintf(out, "  %s other%s of this stack freed by\n",
			human_count(count, ended[i].count), plural(ended[i].count));
		text_trace(out, ended[i].by);
	}
	if (i < n)
		fprintf(out, "  and by %zu more stack%s\n", n - i, plural(n - i));
}

static void print_leak(FILE *out, const struct report *report, const struct group *group,
		       uint64_t whole)
{
	const struct row *row = &group->row;
	char bytes[HUMAN_LEN], blocks[HUMAN_LEN], least[HUMAN_LEN], most[HUMAN_LEN];
	size_t i;

	human_ms(least, row->min_age);
	human_ms(most, row->max_age);
	fprintf(out, "\n%s: %s byte%s in %s block%s, %.1f %%, age %s", kind_title[row->kind],
		human_count(bytes, row->bytes), plural(row->bytes),
		human_count(blocks, row->blocks), plural(row->blocks), share(row->bytes, whole),
		least);
	if (strcmp(least, most) != 0)
		fprintf(out, " to %s", most);
	fprintf(out, ", at %llx\n", (unsigned long long)row->address);
	text_trace(out, row->trace);
	if (row->via) {
		fputs("  by way of a block from\n", out);
		text_trace(out, row->via);
	}
	for (i = 0; i < group->roots.n && i < ROOTS_LISTED; i++)
		fprintf(out, "  held by %s\n", group->roots.v[i]);
	if (i < group->roots.n)
		fprintf(out, "  held by %zu more\n", group->roots.n - i);
	print_ended(out, report, row);
}

static void print_alloc(FILE *out, const struct row *row, uint64_t whole)
{
	char bytes[HUMAN_LEN], blocks[HUMAN_LEN], all_bytes[HUMAN_LEN], all_blocks[HUMAN_LEN];

	fprintf(out, "\nin use: %s byte%s in %s block%s, %.1f %%, of %s byte%s in %s allocated\n",
		human_count(bytes, row->bytes), plural(row->bytes),
		human_count(blocks, row->blocks), plural(row->blocks), share(row->bytes, whole),
		human_count(all_bytes, row->total_bytes), plural(row->total_bytes),
		human_count(all_blocks, row->total_blocks));
	text_trace(out, row->trace);
}

static void print_rest(FILE *out, const struct groups *groups, size_t from)
{
	char bytes[HUMAN_LEN];
	uint64_t sum = 0;
	size_t i;

	for (i = from; i < groups->list.n; i++)
		sum += groups->list.v[i].row.bytes;
	if (from < groups->list.n)
		fprintf(out, "\nand %zu more stack%s with %s bytes\n", groups->list.n - from,
			plural(groups->list.n - from), human_count(bytes, sum));
}

/* The rows of one process, grouped, and the sum of their bytes. */
static uint64_t group_rows(const struct report *report, const struct row *rows, size_t n,
			   size_t process, struct groups *groups)
{
	enum sort sort = report->sort;
	uint64_t whole = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (rows[i].process != process)
			continue;
		add_to_groups(groups, &rows[i]);
		whole += rows[i].bytes;
	}
	if (groups->list.n > 0)
		qsort_r(groups->list.v, groups->list.n, sizeof(*groups->list.v), report_compare,
			&sort);
	return whole;
}

static void print_leaks(FILE *out, const struct report *report, size_t process)
{
	struct groups groups = { 0 };
	uint64_t whole = group_rows(report, report->leaks.v, report->leaks.n, process, &groups);
	size_t i;

	for (i = 0; i < groups.list.n && (report->top == 0 || i < report->top); i++)
		print_leak(out, report, &groups.list.v[i], whole);
	print_rest(out, &groups, i);
	free_groups(&groups);
}

static void print_profile(FILE *out, const struct report *report, size_t process)
{
	struct groups groups = { 0 };
	uint64_t whole = group_rows(report, report->profile.v, report->profile.n, process, &groups);
	size_t i;

	for (i = 0; i < groups.list.n && (report->top == 0 || i < report->top); i++)
		print_alloc(out, &groups.list.v[i].row, whole);
	print_rest(out, &groups, i);
	free_groups(&groups);
}

static void print_total(FILE *out, const char *title, const struct total *total, const char *note)
{
	char bytes[HUMAN_LEN], blocks[HUMAN_LEN];

	fprintf(out, "%-16s %9llu %14s %18s%s\n", title, (unsigned long long)total->stacks,
		human_count(blocks, total->blocks), human_count(bytes, total->bytes), note);
}

static void print_summary(FILE *out, const struct report *report, size_t process)
{
	const struct process_totals *totals = &report->totals.v[process];
	unsigned kind;
	size_t i;

	fprintf(out, "\n%-16s %9s %14s %18s\n", "", "groups", "blocks", "bytes");
	for (kind = 0; kind < KINDS; kind++)
		print_total(out, kind_title[kind], &totals->kind[kind],
			    report->shown & KIND_BIT(kind) || totals->kind[kind].blocks == 0
				    ? ""
				    : "  (not listed)");
	if (report->suppress->rules.n == 0)
		return;
	print_total(out, "suppressed", &totals->suppressed, "");
	if (process + 1 < report->snaps.n)
		return;
	for (i = 0; i < report->suppress->rules.n; i++) {
		const struct suppress_rule *rule = &report->suppress->rules.v[i];

		if (rule->blocks)
			fprintf(out, "  %llu bytes in %llu block%s by leak:%s\n",
				(unsigned long long)rule->bytes, (unsigned long long)rule->blocks,
				plural(rule->blocks), rule->pattern);
	}
}

static void print_scan(FILE *out, const struct snapshot *snap)
{
	char bytes[HUMAN_LEN];

	if (!snap->has_scan)
		return;
	fprintf(out, "scanned %s in %.1f ms", human_bytes(bytes, (double)snap->scanned),
		(double)snap->scan_us / 1e3);
	if (snap->threads > 0)
		fprintf(out, "; %llu other thread%s stood still for %.1f ms",
			(unsigned long long)snap->threads, plural(snap->threads),
			(double)snap->pause_us / 1e3);
	fputc('\n', out);
	if (snap->stopped < snap->threads)
		fprintf(out, "%llu of them did not stop: what only these hold may be named lost\n",
			(unsigned long long)(snap->threads - snap->stopped));
}

static void print_head(FILE *out, const struct report *report, size_t process)
{
	const struct snapshot *snap = report->snaps.v[process];
	const struct process_totals *totals = &report->totals.v[process];
	char *name = report_process(snap), *occasion = report_occasion(snap);
	char bytes[HUMAN_LEN];
	uint64_t lost_bytes = 0, lost_blocks = 0;
	unsigned kind;

	fprintf(out, "stele: %s, %s: ", name, occasion);
	if (snapshot_is_profile(snap)) {
		fprintf(out, "in use %s of %s allocated", human_bytes(bytes, (double)totals->inuse),
			human_bytes((char[HUMAN_LEN]){ 0 }, (double)totals->allocated));
		if (snap->sample_bytes)
			fprintf(out, ", estimated from a sample per %s",
				human_bytes(bytes, (double)snap->sample_bytes));
	} else {
		for (kind = 0; kind < KINDS; kind++) {
			if (!(KINDS_LOST & KIND_BIT(kind)))
				continue;
			lost_bytes += totals->kind[kind].bytes;
			lost_blocks += totals->kind[kind].blocks;
		}
		if (lost_blocks == 0)
			fputs("nothing is lost", out);
		else
			fprintf(out, "%s lost in %llu block%s",
				human_bytes(bytes, (double)lost_bytes),
				(unsigned long long)lost_blocks, plural(lost_blocks));
	}
	fputc('\n', out);
	free(name);
	free(occasion);
}

void report_text(FILE *out, const struct report *report)
{
	size_t i;

	for (i = 0; i < report->snaps.n; i++) {
		const struct snapshot *snap = report->snaps.v[i];

		if (i > 0)
			fputc('\n', out);
		print_head(out, report, i);
		if (snapshot_is_profile(snap)) {
			print_profile(out, report, i);
			continue;
		}
		print_leaks(out, report, i);
		print_summary(out, report, i);
		print_scan(out, snap);
	}
}
