/* SPDX-License-Identifier: MIT */
/*
 * The report for programs. "leaks" and "profile" hold the rows of all processes; "process", "time" and
 * so on describe the first process, and "processes" each of them.
 */
#include "json.h"

#include <stdlib.h>
#include <string.h>

static json_t *json_text(const char *text)
{
	char *clean = clean_text(text);
	json_t *string = json_string(clean);

	free(clean);
	return string;
}

json_t *json_number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *json_address(uint64_t address)
{
	char text[2 + 16 + 1];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)address);
	return json_string(text);
}

json_t *json_stack(const struct trace *trace)
{
	json_t *stack = json_array();
	size_t i;

	for (i = 0; i < trace->n; i++)
		json_array_append_new(stack, json_string(trace->frames[i]->function));
	return stack;
}

json_t *json_frames(const struct trace *trace)
{
	json_t *frames = json_array();
	size_t i;

	for (i = 0; i < trace->n; i++) {
		const struct frame *f = trace->frames[i];
		json_t *frame = json_object();

		json_object_set_new(frame, "function", json_string(f->function));
		json_object_set_new(frame, "file", f->file ? json_string(f->file) : json_null());
		json_object_set_new(frame, "line", f->file ? json_integer(f->line) : json_null());
		json_object_set_new(frame, "module",
				    f->module ? json_string(f->module) : json_null());
		json_object_set_new(frame, "address", json_address(f->address));
		json_object_set_new(frame, "inlined", json_boolean(f->inlined));
		json_array_append_new(frames, frame);
	}
	return frames;
}

/* null: not kept, or none was freed. */
static json_t *ended_array(const struct report *report, const struct row *row)
{
	size_t n, i;
	const struct ended *ended = report_ended(report, row, &n);
	json_t *array;

	if (ended == NULL)
		return json_null();
	array = json_array();
	for (i = 0; i < n; i++) {
		json_t *object = json_object();

		json_object_set_new(object, "blocks", json_number(ended[i].count));
		json_object_set_new(object, "stack", json_stack(ended[i].by));
		json_object_set_new(object, "frames", json_frames(ended[i].by));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *leak_object(const struct report *report, const struct row *row)
{
	json_t *leak = json_object();

	json_object_set_new(leak, "kind", json_string(kind_name[row->kind]));
	json_object_set_new(leak, "blocks", json_number(row->blocks));
	json_object_set_new(leak, "bytes", json_number(row->bytes));
	json_object_set_new(leak, "stack", json_stack(row->trace));
	json_object_set_new(leak, "root", row->root ? json_string(row->root) : json_null());
	json_object_set_new(leak, "via", row->via ? json_stack(row->via) : json_null());
	json_object_set_new(leak, "min_age_ms", json_number(row->min_age));
	json_object_set_new(leak, "max_age_ms", json_number(row->max_age));
	json_object_set_new(leak, "address", json_address(row->address));
	json_object_set_new(leak, "pid", json_number(report->snaps.v[row->process]->pid));
	json_object_set_new(leak, "frames", json_frames(row->trace));
	json_object_set_new(leak, "others_freed", ended_array(report, row));
	return leak;
}

static json_t *profile_object(const struct report *report, const struct row *row)
{
	json_t *alloc = json_object();

	json_object_set_new(alloc, "inuse_blocks", json_number(row->blocks));
	json_object_set_new(alloc, "inuse_bytes", json_number(row->bytes));
	json_object_set_new(alloc, "total_blocks", json_number(row->total_blocks));
	json_object_set_new(alloc, "total_bytes", json_number(row->total_bytes));
	json_object_set_new(alloc, "stack", json_stack(row->trace));
	json_object_set_new(alloc, "pid", json_number(report->snaps.v[row->process]->pid));
	json_object_set_new(alloc, "frames", json_frames(row->trace));
	return alloc;
}

static json_t *process_object(const struct snapshot *snap)
{
	json_t *process = json_object(), *args = json_array();
	size_t i;

	for (i = 0; i < snap->args.n; i++)
		json_array_append_new(args, json_text(snap->args.v[i]));
	json_object_set_new(process, "pid", json_number(snap->pid));
	json_object_set_new(process, "ppid", json_number(snap->ppid));
	json_object_set_new(process, "exe", json_text(snap->exe));
	json_object_set_new(process, "cwd", json_text(snap->cwd));
	json_object_set_new(process, "args", args);
	return process;
}

static json_t *time_object(const struct snapshot *snap)
{
	json_t *when = json_object();

	json_object_set_new(when, "unix_ns", json_number(snap->taken_ns));
	json_object_set_new(when, "uptime_ms", json_number(snap->uptime));
	return when;
}

static json_t *total_object(const struct total *total)
{
	json_t *object = json_object();

	json_object_set_new(object, "groups", json_number(total->stacks));
	json_object_set_new(object, "blocks", json_number(total->blocks));
	json_object_set_new(object, "bytes", json_number(total->bytes));
	return object;
}

static json_t *summary_object(const struct process_totals *totals)
{
	json_t *summary = json_object();
	unsigned kind;

	for (kind = 0; kind < KINDS; kind++)
		json_object_set_new(summary, kind_name[kind], total_object(&totals->kind[kind]));
	json_object_set_new(summary, "suppressed", total_object(&totals->suppressed));
	return summary;
}

static json_t *heap_object(const struct snapshot *snap)
{
	json_t *heap = json_object();

	json_object_set_new(heap, "used_bytes", json_number(snap->heap_used));
	json_object_set_new(heap, "blocks", json_number(snap->heap_blocks));
	json_object_set_new(heap, "rss_bytes", json_number(snap->rss));
	json_object_set_new(heap, "peak_rss_bytes", json_number(snap->peak_rss));
	return heap;
}

static json_t *scan_object(const struct snapshot *snap)
{
	json_t *scan = json_object();

	json_object_set_new(scan, "threads", json_number(snap->threads));
	json_object_set_new(scan, "stopped", json_number(snap->stopped));
	json_object_set_new(scan, "bytes", json_number(snap->scanned));
	json_object_set_new(scan, "scan_us", json_number(snap->scan_us));
	json_object_set_new(scan, "pause_us", json_number(snap->pause_us));
	return scan;
}

static json_t *modules_array(const struct snapshot *snap)
{
	json_t *modules = json_array();
	size_t i;

	for (i = 0; i < snap->modules.n; i++) {
		const struct snap_module *m = &snap->modules.v[i];
		json_t *module = json_object();

		json_object_set_new(module, "path", json_text(m->path));
		json_object_set_new(module, "build_id",
				    m->build_id ? json_string(m->build_id) : json_null());
		json_object_set_new(module, "start", json_address(m->start));
		json_object_set_new(module, "end", json_address(m->end));
		json_object_set_new(module, "bias", json_address(m->bias));
		json_object_set_new(module, "loaded", json_boolean(m->until == UINT64_MAX));
		json_array_append_new(modules, module);
	}
	return modules;
}

static json_t *history_array(const struct snapshot *snap)
{
	json_t *history = json_array();
	size_t i;

	for (i = 0; i < snap->points.n; i++) {
		const struct snap_point *p = &snap->points.v[i];
		json_t *point = json_object();

		json_object_set_new(point, "uptime_ms", json_number(p->uptime));
		json_object_set_new(point, "used_bytes", json_number(p->used));
		json_object_set_new(point, "rss_bytes", json_number(p->rss));
		json_array_append_new(history, point);
	}
	return history;
}

void json_describe(json_t *object, const struct snapshot *snap)
{
	json_object_set_new(object, "process", process_object(snap));
	json_object_set_new(object, "time", time_object(snap));
	json_object_set_new(object, "reason", snap->reason ? json_text(snap->reason) : json_null());
	json_object_set_new(object, "reason_detail",
			    snap->reason_detail ? json_text(snap->reason_detail) : json_null());
	json_object_set_new(object, "mode", json_string(mode_name[snap->mode]));
	json_object_set_new(object, "sample_bytes", json_number(snap->sample_bytes));
	json_object_set_new(object, "unwinder",
			    snap->unwinder ? json_text(snap->unwinder) : json_null());
	json_object_set_new(object, "heap", snap->has_heap ? heap_object(snap) : json_null());
	json_object_set_new(object, "scan", snap->has_scan ? scan_object(snap) : json_null());
	json_object_set_new(object, "modules", modules_array(snap));
	json_object_set_new(object, "history", history_array(snap));
}

void json_write(FILE *out, json_t *root)
{
	if (json_dumpf(root, out, JSON_INDENT(1)) != 0 && !ferror(out))
		complain("the JSON could not be written");
	fputc('\n', out);
	json_decref(root);
}

void report_json(FILE *out, const struct report *report)
{
	json_t *root = json_object(), *leaks = json_array(), *profile = json_array();
	json_t *processes = json_array();
	size_t i;

	for (i = 0; i < report->leaks.n; i++)
		json_array_append_new(leaks, leak_object(report, &report->leaks.v[i]));
	for (i = 0; i < report->profile.n; i++)
		json_array_append_new(profile, profile_object(report, &report->profile.v[i]));
	json_object_set_new(root, "leaks", leaks);
	json_object_set_new(root, "profile", profile);
	for (i = 0; i < report->snaps.n; i++) {
		json_t *process = json_object();

		json_describe(process, report->snaps.v[i]);
		json_object_set_new(process, "summary", summary_object(&report->totals.v[i]));
		if (i == 0)
			json_object_update(root, process);
		json_array_append_new(processes, process);
	}
	json_object_set_new(root, "processes", processes);
	json_write(out, root);
}
