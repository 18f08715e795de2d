/* SPDX-License-Identifier: MIT */
/*
 * The text that gperftools' heap profiler wrote and google-pprof, jeprof and go tool pprof read:
 * addresses, and the map of the process to find names with. One process only: it has one map.
 * Modules that were unloaded are moved to addresses that nothing else had, as another may lie where they
 * were.
 */
#include "report.h"

#include <string.h>

static bool is_own(const struct snapshot *snap, const struct snap_stack *s, size_t i)
{
	static const char name[] = "libstele.so";
	const struct snap_module *m = snapshot_module(snap, s->pcs[i], s->generation);

	return m && strncmp(base_name(m->path), name, sizeof(name) - 1) == 0;
}

#define UNLOADED_BASE 0x100000000000ull
#define UNLOADED_STEP 0x100000000ull

/* How far from its place a module is shown. */
static uint64_t shift_of(const struct snapshot *snap, const struct snap_module *m)
{
	if (m == NULL || m->until == UINT64_MAX)
		return 0;
	return UNLOADED_BASE + UNLOADED_STEP * (uint64_t)(m - snap->modules.v) - m->start;
}

static void put_row(FILE *out, const struct snapshot *snap, const struct row *row)
{
	const struct snap_stack *s = row->stack == NO_INDEX ? NULL : &snap->stacks.v[row->stack];
	bool profile = snapshot_is_profile(snap);
	size_t i = 0;

	fprintf(out, "%6llu: %8llu [%6llu: %8llu] @", (unsigned long long)row->blocks,
		(unsigned long long)row->bytes,
		(unsigned long long)(profile ? row->total_blocks : row->blocks),
		(unsigned long long)(profile ? row->total_bytes : row->bytes));
	while (s && i < s->n && is_own(snap, s, i))
		i++;
	for (; s && i < s->n; i++) {
		uint64_t pc = s->pcs[i];

		pc += shift_of(snap, snapshot_module(snap, pc, s->generation));
		fprintf(out, " 0x%016llx", (unsigned long long)pc);
	}
	fputc('\n', out);
}

static void put_module(FILE *out, const struct report *report, const struct snapshot *snap,
		       struct snap_module *module)
{
	struct object_segment code = { module->start - module->bias, module->end - module->start,
				       0 };
	uint64_t start;

	object_code(symbols_object(report->symbols, module), &code);
	start = module->bias + code.address + shift_of(snap, module);
	fprintf(out, "%llx-%llx r-xp %08llx 00:00 0 %s\n", (unsigned long long)start,
		(unsigned long long)(start + code.size), (unsigned long long)code.offset,
		module->path);
}

void report_heap(FILE *out, const struct report *report)
{
	const struct snapshot *snap = report->snaps.v[0];
	struct row sum = { 0 };
	size_t n, i;
	const struct row *rows = report_inuse(report, &n);
	bool profile = snapshot_is_profile(snap);

	for (i = 0; i < n; i++) {
		sum.blocks += rows[i].blocks;
		sum.bytes += rows[i].bytes;
		sum.total_blocks += profile ? rows[i].total_blocks : rows[i].blocks;
		sum.total_bytes += profile ? rows[i].total_bytes : rows[i].bytes;
	}
	fprintf(out, "heap profile: %6llu: %8llu [%6llu: %8llu] @ heapprofile\n",
		(unsigned long long)sum.blocks, (unsigned long long)sum.bytes,
		(unsigned long long)sum.total_blocks, (unsigned long long)sum.total_bytes);
	for (i = 0; i < n; i++)
		put_row(out, snap, &rows[i]);
	fputs("\nMAPPED_LIBRARIES:\n", out);
	for (i = 0; i < snap->modules.n; i++)
		if (snap->modules.v[i].path[0] == '/')
			put_module(out, report, snap, &snap->modules.v[i]);
}
