/* SPDX-License-Identifier: MIT */
/*
 * The forms of a difference. The folded one has two numbers a line, before and after, as the tools
 * for differential flame graphs take them.
 */
#include "diff.h"

#include "html.h"

#include <stdlib.h>

static int64_t total(const struct diff *diff, bool bytes)
{
	int64_t sum = 0;
	unsigned i;

	for (i = 0; i < CHANGES; i++)
		sum += bytes ? diff->sum[i].bytes : diff->sum[i].blocks;
	return sum;
}

/* "+1,234" */
static char *signed_count(char buf[HUMAN_LEN + 1], int64_t n)
{
	char count[HUMAN_LEN];

	snprintf(buf, HUMAN_LEN + 1, "%c%s", n < 0 ? '-' : '+',
		 human_count(count, n < 0 ? -(uint64_t)n : (uint64_t)n));
	return buf;
}

static void put_row(FILE *out, const struct diff_row *row)
{
	char bytes[HUMAN_LEN + 1], blocks[HUMAN_LEN + 1], before[HUMAN_LEN], after[HUMAN_LEN];

	fprintf(out, "\n%s: %s bytes in %s blocks, from %s to %s bytes\n",
		change_name[diff_change(row)], signed_count(bytes, diff_bytes(row)),
		signed_count(blocks, diff_blocks(row)), human_count(before, row->bytes[0]),
		human_count(after, row->bytes[1]));
	text_trace(out, row->trace);
}

void diff_text(FILE *out, const struct diff *diff)
{
	char *name = report_process(diff->after->snaps.v[0]);
	char bytes[HUMAN_LEN + 1], blocks[HUMAN_LEN + 1], t0[HUMAN_LEN], t1[HUMAN_LEN];
	size_t i;

	fprintf(out, "stele: %s, from %s to %s: %s bytes in %s blocks\n", name,
		human_ms(t0, diff->before->snaps.v[0]->uptime),
		human_ms(t1, diff->after->snaps.v[0]->uptime),
		signed_count(bytes, total(diff, true)), signed_count(blocks, total(diff, false)));
	for (i = 0; i < diff->rows.n && (diff->top == 0 || i < diff->top); i++)
		put_row(out, &diff->rows.v[i]);
	if (i < diff->rows.n)
		fprintf(out, "\nand %zu more stacks\n", diff->rows.n - i);
	fprintf(out, "\n%-8s %9s %14s %18s\n", "", "stacks", "blocks", "bytes");
	for (i = 0; i < CHANGES; i++)
		fprintf(out, "%-8s %9zu %14s %18s\n", change_name[i], diff->sum[i].stacks,
			signed_count(blocks, diff->sum[i].blocks),
			signed_count(bytes, diff->sum[i].bytes));
	free(name);
}

void diff_json(FILE *out, const struct diff *diff)
{
	json_t *root = json_object(), *rows = json_array(), *before = json_object();
	json_t *after = json_object();
	size_t i;

	for (i = 0; i < diff->rows.n; i++) {
		const struct diff_row *row = &diff->rows.v[i];
		json_t *object = json_object();

		json_object_set_new(object, "change", json_string(change_name[diff_change(row)]));
		json_object_set_new(object, "blocks", json_integer(diff_blocks(row)));
		json_object_set_new(object, "bytes", json_integer(diff_bytes(row)));
		json_object_set_new(object, "blocks_before", json_number(row->blocks[0]));
		json_object_set_new(object, "blocks_after", json_number(row->blocks[1]));
		json_object_set_new(object, "bytes_before", json_number(row->bytes[0]));
		json_object_set_new(object, "bytes_after", json_number(row->bytes[1]));
		json_object_set_new(object, "stack", json_stack(row->trace));
		json_object_set_new(object, "frames", json_frames(row->trace));
		json_array_append_new(rows, object);
	}
	json_object_set_new(root, "diff", rows);
	json_object_set_new(root, "blocks", json_integer(total(diff, false)));
	json_object_set_new(root, "bytes", json_integer(total(diff, true)));
	json_describe(before, diff->before->snaps.v[0]);
	json_describe(after, diff->after->snaps.v[0]);
	json_object_set_new(root, "before", before);
	json_object_set_new(root, "after", after);
	json_write(out, root);
}

void diff_folded(FILE *out, const struct diff *diff)
{
	size_t i;

	for (i = 0; i < diff->rows.n; i++) {
		const struct diff_row *row = &diff->rows.v[i];

		folded_trace(out, row->trace);
		fprintf(out, " %llu %llu\n", (unsigned long long)row->bytes[0],
			(unsigned long long)row->bytes[1]);
	}
}

void diff_html(FILE *out, const struct diff *diff)
{
	const struct snapshot *before = diff->before->snaps.v[0], *after = diff->after->snaps.v[0];
	json_t *data = json_object(), *rows = json_array(), *processes = json_array();
	struct html_frames frames = { .list = json_array() };
	char *name = report_process(after), t0[HUMAN_LEN], t1[HUMAN_LEN], *text;
	size_t i;

	for (i = 0; i < diff->rows.n; i++) {
		const struct diff_row *row = &diff->rows.v[i];
		json_t *object = json_object();

		json_object_set_new(object, "process", json_integer(0));
		json_object_set_new(object, "kind", json_string(change_name[diff_change(row)]));
		json_object_set_new(object, "bytes", json_integer(diff_bytes(row)));
		json_object_set_new(object, "blocks", json_integer(diff_blocks(row)));
		json_object_set_new(object, "bytes_after", json_number(row->bytes[1]));
		json_object_set_new(object, "stack", html_stack(&frames, row->trace));
		json_array_append_new(rows, object);
	}
	json_array_append_new(processes, html_process(after));
	text = xasprintf("What changed from %s to %s. The flame graph shows what grew.",
			 human_ms(t0, before->uptime), human_ms(t1, after->uptime));
	json_object_set_new(data, "form", json_string("diff"));
	json_object_set_new(data, "subtitle", json_string(text));
	json_object_set_new(data, "shown", json_array());
	json_object_set_new(data, "processes", processes);
	json_object_set_new(data, "rows", rows);
	json_object_set_new(data, "frames", frames.list);
	free(text);
	text = xasprintf("Growth of %s", name);
	html_write(out, text, data);
	html_frames_free(&frames);
	free(text);
	free(name);
}
