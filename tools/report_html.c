/* SPDX-License-Identifier: MIT */
#include "html.h"

#include <stdlib.h>

static void add_ended(json_t *object, struct html_frames *frames, const struct report *report,
		      const struct row *row)
{
	size_t n, i;
	const struct ended *ended = report_ended(report, row, &n);
	json_t *list = json_array();

	for (i = 0; i < n; i++) {
		json_t *pair = json_array();

		json_array_append_new(pair, json_number(ended[i].count));
		json_array_append_new(pair, html_stack(frames, ended[i].by));
		json_array_append_new(list, pair);
	}
	if (ended)
		json_object_set_new(object, "freed", list);
	else
		json_decref(list);
}

static json_t *row_object(struct html_frames *frames, const struct report *report,
			  const struct row *row, bool profile)
{
	json_t *object = json_object();

	json_object_set_new(object, "process", json_number(row->process));
	json_object_set_new(object, "bytes", json_number(row->bytes));
	json_object_set_new(object, "blocks", json_number(row->blocks));
	json_object_set_new(object, "stack", html_stack(frames, row->trace));
	if (profile) {
		json_object_set_new(object, "total_bytes", json_number(row->total_bytes));
		json_object_set_new(object, "total_blocks", json_number(row->total_blocks));
		return object;
	}
	json_object_set_new(object, "kind", json_string(kind_name[row->kind]));
	json_object_set_new(object, "min_age", json_number(row->min_age));
	json_object_set_new(object, "max_age", json_number(row->max_age));
	json_object_set_new(object, "root", row->root ? json_string(row->root) : json_null());
	if (row->via)
		json_object_set_new(object, "via", html_stack(frames, row->via));
	add_ended(object, frames, report, row);
	return object;
}

static json_t *totals_object(const struct process_totals *totals)
{
	json_t *summary = json_object();
	unsigned kind;

	for (kind = 0; kind < KINDS; kind++) {
		json_t *pair = json_array();

		json_array_append_new(pair, json_number(totals->kind[kind].blocks));
		json_array_append_new(pair, json_number(totals->kind[kind].bytes));
		json_object_set_new(summary, kind_name[kind], pair);
	}
	return summary;
}

/* The kinds that the page begins with: what is lost, and if nothing is, all. */
static json_t *kinds_shown(const struct report *report)
{
	json_t *kinds = json_array();
	unsigned lost = 0, kind;
	size_t i;

	for (i = 0; i < report->leaks.n; i++)
		lost |= KIND_BIT(report->leaks.v[i].kind) & KINDS_LOST;
	for (kind = 0; kind < KINDS; kind++)
		if (report->shown & (lost ? KINDS_LOST : KINDS_ALL) & KIND_BIT(kind))
			json_array_append_new(kinds, json_string(kind_name[kind]));
	return kinds;
}

void report_html(FILE *out, const struct report *report)
{
	json_t *data = json_object(), *rows = json_array(), *processes = json_array();
	struct html_frames frames = { .list = json_array() };
	size_t n, i;
	const struct row *row = report_inuse(report, &n);
	bool profile = row == report->profile.v && row != NULL;
	char *name = report_process(report->snaps.v[0]);
	char *occasion = report_occasion(report->snaps.v[0]), *text;

	if (n == 0)
		profile = snapshot_is_profile(report->snaps.v[0]);
	for (i = 0; i < n; i++)
		json_array_append_new(rows, row_object(&frames, report, &row[i], profile));
	for (i = 0; i < report->snaps.n; i++) {
		json_t *process = html_process(report->snaps.v[i]);

		json_object_set_new(process, "summary", totals_object(&report->totals.v[i]));
		json_array_append_new(processes, process);
	}
	json_object_set_new(data, "form", json_string(profile ? "profile" : "leaks"));
	if (report->snaps.n == 1)
		text = xasprintf("Snapshot %s.", occasion);
	else
		text = xasprintf("%zu processes; the first: snapshot %s.", report->snaps.n,
				 occasion);
	json_object_set_new(data, "subtitle", json_string(text));
	free(text);
	json_object_set_new(data, "shown", kinds_shown(report));
	json_object_set_new(data, "processes", processes);
	json_object_set_new(data, "rows", rows);
	json_object_set_new(data, "frames", frames.list);
	text = xasprintf("%s of %s", profile ? "Heap profile" : "Leaks", name);
	html_write(out, text, data);
	html_frames_free(&frames);
	free(text);
	free(name);
	free(occasion);
}
