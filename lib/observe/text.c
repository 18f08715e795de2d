/* SPDX-License-Identifier: MIT */
/*
 * The report for people, in the manner of the kernel's kmemleak.
 *
 *	unreferenced 3 objects, 96 bytes (10.0% of the heap): direct
 *	  first object 0x7f... (size 32), age 1.204 s to 3.020 s
 *	  hex dump (first 32 bytes):
 *	    01 00 00 00 ...  ........
 *	  backtrace:
 *	    name+0x12 [module]
 */
#include <string.h>

#include "debug/fate.h"
#include "observe/stop.h"
#include "observe/symbol.h"
#include "observe/write.h"
#include "os/os.h"
#include "os/proc.h"

#define GROUPS_MAX	1000u	/* lines for people end somewhere */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void symbol_line(struct out *o, const struct symbol *s)
{
	if (s->name) {
		/* Not through a format: C++ names may be longer than a line. */
		out_text(o, s->name);
		out_print(o, "+0x%lx", (unsigned long)s->offset);
	} else {
		out_print(o, "0x%lx", (unsigned long)s->offset);
	}
	if (s->module) {
		out_text(o, " [");
		out_text(o, base_name(s->module->path));
		out_text(o, "]");
	}
}

static void backtrace(struct out *o, uint32_t stack, const char *indent)
{
	uintptr_t pcs[STACK_DEPTH_MAX];
	uint32_t generation;
	size_t n = stack_get(stack, pcs, &generation);

	if (!n)
		out_print(o, "%s(not known)\n", indent);
	for (size_t i = 0; i < n; i++) {
		struct symbol s;

		symbol_find(pcs[i] - 1, generation, &s);
		if (s.module && s.module->ours)
			continue;
		s.offset++;
		out_text(o, indent);
		symbol_line(o, &s);
		out_text(o, "\n");
		if (s.name && !strcmp(s.name, "main"))
			break;
	}
}

static bool is_text(uint8_t c)
{
	return c > 0x1f && c < 0x7f;
}

static void hex_dump(struct out *o, const struct group *g)
{
	if (!g->head_bytes)
		return;
	out_print(o, "  hex dump (first %u bytes):\n", g->head_bytes);
	for (unsigned i = 0; i < g->head_bytes; i += 16) {
		out_text(o, "    ");
		for (unsigned k = i; k < i + 16; k++) {
			if (k < g->head_bytes)
				out_print(o, "%02x ", g->head[k]);
			else
				out_text(o, "   ");
		}
		out_text(o, " ");
		for (unsigned k = i; k < MIN(i + 16, (unsigned)g->head_bytes); k++)
			out_print(o, "%c", is_text(g->head[k]) ? g->head[k] : '.');
		out_text(o, "\n");
	}
}

static const char *thread_name(uint32_t tid)
{
	for (size_t i = 0; i < stop_count(); i++) {
		if (stop_at(i)->tid == (int)tid)
			return stop_at(i)->name;
	}
	return os_program();
}

static void root_line(struct out *o, const struct group *g, const struct leak_facts *f)
{
	const struct root *r = mark_root(g->root);
	struct symbol s;

	out_print(o, "  %s by ", g->via ? "held through the block below, " : "held");
	switch (r->kind) {
	case ROOT_DATA:
		symbol_find(r->at, ~0u, &s);
		symbol_line(o, &s);
		break;
	case ROOT_STACK:
	case ROOT_REGISTER:
	case ROOT_TLS:
		out_print(o, "%s of thread %u (%s)",
			  r->kind == ROOT_STACK ? "the stack" :
			  r->kind == ROOT_TLS	? "thread-local storage" : "a register",
			  r->who, thread_name(r->who));
		break;
	case ROOT_MAPPING:
		out_print(o, "the mapping %lx-%lx ", (unsigned long)f->maps->at[r->who].start,
			  (unsigned long)f->maps->at[r->who].end);
		out_text(o, f->maps->at[r->who].path);
		break;
	case ROOT_IGNORED:
		out_text(o, "the program, which says that it is no leak");
		break;
	default:
		out_print(o, "an untracked block at 0x%lx", (unsigned long)r->at);
	}
	out_text(o, "\n");
}

static void seconds(struct out *o, uint32_t ms)
{
	out_print(o, "%u.%03u s", ms / 1000, ms % 1000);
}

/* Of a profile: estimates. */
static void profile_text(struct out *o, const struct group *g)
{
	out_print(o, "\nabout %lu objects, %lu bytes; allocated since the start %lu, %lu bytes\n",
		  (unsigned long)g->blocks, (unsigned long)g->bytes,
		  (unsigned long)g->total_blocks, (unsigned long)g->total_bytes);
	backtrace(o, g->stack, "    ");
}

static void keep_largest(const struct fate *fate, void *arg)
{
	struct fate *most = arg;

	if (fate->count > most->count)
		*most = *fate;
}

/* Where those that did not leak have gone, most of them. */
static void fate_text(struct out *o, uint32_t stack)
{
	struct fate most = { 0 };

	fate_each(stack, keep_largest, &most);
	if (!most.count)
		return;
	out_print(o, "  others of this stack, %lu, were freed by:\n", (unsigned long)most.count);
	backtrace(o, most.free_stack, "    ");
}

static void group_text(struct out *o, const struct group *g, const struct leak_facts *f)
{
	unsigned share = f->bytes ? (unsigned)(g->bytes * 1000 / f->bytes) : 0;

	out_print(o, "\n%s %lu object%s, %lu bytes (%u.%u%% of the heap)",
		  !f->marked ? "allocated" :
		  g->kind == LEAK_REACHABLE ? "referenced" : "unreferenced",
		  (unsigned long)g->blocks, g->blocks == 1 ? "" : "s", (unsigned long)g->bytes,
		  share / 10, share % 10);
	if (f->marked)
		out_print(o, ": %s", leak_kind_names[g->kind]);
	out_print(o, "\n  first object 0x%lx (size %lu), age ", (unsigned long)g->sample,
		  (unsigned long)g->sample_size);
	seconds(o, g->min_age);
	if (g->max_age != g->min_age) {
		out_text(o, " to ");
		seconds(o, g->max_age);
	}
	out_text(o, "\n");
	hex_dump(o, g);
	if (g->root != NO_ROOT)
		root_line(o, g, f);
	out_text(o, "  backtrace:\n");
	backtrace(o, g->stack, "    ");
	if (g->via) {
		out_print(o, "  lead to by a block of:\n");
		backtrace(o, g->via, "    ");
	}
	fate_text(o, g->stack);
}

static void summary(struct out *o, const struct leak_facts *f, unsigned show)
{
	out_text(o, "stele: ");
	out_text(o, os_program());
	out_print(o, "[%d]: %s%s", f->pid, f->reason, *f->detail ? " " : "");
	out_text(o, f->detail);
	out_print(o, " after ");
	seconds(o, f->uptime_ms);
	out_print(o, ": %lu blocks, %lu bytes in use\n", (unsigned long)f->blocks,
		  (unsigned long)f->bytes);
	if (!f->marked)
		return;
	out_print(o, "stele: %lu threads stopped of %lu for %lu us; %lu bytes scanned in %lu us\n",
		  (unsigned long)f->answered, (unsigned long)f->threads,
		  (unsigned long)f->pause_us, (unsigned long)f->scanned,
		  (unsigned long)f->scan_us);
	for (unsigned k = 0; k < NR_LEAK_KINDS; k++) {
		if (f->counts.blocks[k] || f->suppressed.blocks[k])
			out_print(o,
				  "stele: %-9s %lu blocks, %lu bytes; known ones left out: %lu%s\n",
				  leak_kind_names[k], (unsigned long)f->counts.blocks[k],
				  (unsigned long)f->counts.bytes[k],
				  (unsigned long)f->suppressed.blocks[k],
				  show >> k & 1 ? "" : "; not shown");
	}
}

void leak_write_text(struct out *o, const struct groups *g, const struct leak_facts *f,
		     unsigned show)
{
	size_t shown = 0;

	summary(o, f, show);
	for (size_t i = 0; i < g->count; i++) {
		const struct group *e = &g->at[i];

		if (e->suppressed || (f->marked && !(show >> e->kind & 1)))
			continue;
		if (++shown > GROUPS_MAX) {
			out_print(o, "\nstele: more than %u groups; leak_output=FILE has all\n",
				  GROUPS_MAX);
			break;
		}
		if (track_sampling)
			profile_text(o, e);
		else
			group_text(o, e, f);
	}
	symbol_end();
	out_flush(o);
}
