/* SPDX-License-Identifier: MIT */
/* The report for the tool: a record per line, see stele-snapshot(5). */
#include <string.h>

#include "base/fmt.h"
#include "debug/capture.h"
#include "debug/fate.h"
#include "observe/history.h"
#include "observe/module.h"
#include "observe/stop.h"
#include "observe/write.h"
#include "os/proc.h"
#include "tune/tune.h"

#define PATH_BYTES	4096u
#define READ_BYTES	4096u

/* A number behind a name in /proc/self/status, which counts in kB. */
static size_t status_bytes(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	size_t kb = 0;

	for (at = at ? at + strlen(name) : ""; *at == ' ' || *at == '\t'; at++)
		;
	for (; *at >= '0' && *at <= '9'; at++)
		kb = kb * 10 + (size_t)(*at - '0');
	return kb << 10;
}

void leak_rss(size_t *now, size_t *peak)
{
	char text[READ_BYTES];

	*now = *peak = 0;
	if (os_read_task(os_tid(), "status", text, sizeof(text)) <= 0)
		return;
	*now = status_bytes(text, "VmRSS:");
	*peak = status_bytes(text, "VmHWM:");
}

static void write_process(struct out *o, const struct leak_facts *f)
{
	char path[PATH_BYTES];

	out_print(o, "process %d %d ", f->pid, os_parent_pid());
	os_readlink("/proc/thread-self/exe", path, sizeof(path));
	out_escaped(o, *path ? path : "-");
	out_text(o, " ");
	os_getcwd(path, sizeof(path));
	out_escaped(o, *path ? path : "-");
	out_text(o, "\n");
}

static void write_args(struct out *o)
{
	int fd = os_open_read("/proc/thread-self/cmdline");
	char buf[READ_BYTES], piece[2] = { 0, 0 };
	bool open = false;
	long n;

	while (fd >= 0 && (n = os_read(fd, buf, sizeof(buf))) > 0) {
		for (long i = 0; i < n; i++) {
			if (!open)
				out_text(o, "arg ");
			open = buf[i];
			piece[0] = buf[i];
			if (open)
				out_escaped(o, piece);
			else
				out_text(o, "\n");
		}
	}
	if (open)
		out_text(o, "\n");
	if (fd >= 0)
		os_close(fd);
}

static void write_facts(struct out *o, const struct leak_facts *f)
{
	size_t now, peak;

	out_print(o, "reason %s", f->reason);
	if (*f->detail) {
		out_text(o, " ");
		out_escaped(o, f->detail);
	}
	out_print(o, "\ntime %lu %u\n", (unsigned long)f->real_ns, f->uptime_ms);
	if (track_sampling)
		out_print(o, "mode profile %lu\n", (unsigned long)tune.profile);
	else
		out_print(o, "mode %s\n", f->marked ? "leak" : "list");
	out_print(o, "unwind %s %u\n", stack_unwinder(), stack_depth());
	leak_rss(&now, &peak);
	out_print(o, "heap %lu %lu %lu %lu\n", (unsigned long)f->bytes, (unsigned long)f->blocks,
		  (unsigned long)now, (unsigned long)peak);
	if (f->marked)
		out_print(o, "scan %lu %lu %lu %lu %lu\n", (unsigned long)f->threads,
			  (unsigned long)f->answered, (unsigned long)f->scanned,
			  (unsigned long)f->scan_us, (unsigned long)f->pause_us);
}

static void write_modules(struct out *o)
{
	for (size_t i = 0; i < module_count(); i++) {
		const struct module *m = module_at(i);

		out_print(o, "module %lx %lx %lx ", (unsigned long)m->start,
			  (unsigned long)m->end, (unsigned long)m->bias);
		if (m->until == MODULE_LOADED)
			out_text(o, "- ");
		else
			out_print(o, "%u ", m->until);
		if (m->build_id_len)
			out_hex(o, m->build_id, m->build_id_len);
		else
			out_text(o, "-");
		out_text(o, " ");
		out_escaped(o, m->path);
		out_text(o, "\n");
	}
}

static bool id_less(const void *a, const void *b)
{
	return *(const uint32_t *)a < *(const uint32_t *)b;
}

static void add_id(struct vec *ids, uint32_t id)
{
	uint32_t *e = id ? VEC_ADD(ids, uint32_t) : NULL;

	if (e)
		*e = id;
}

/* Each once. */
static void sort_ids(struct vec *ids)
{
	size_t kept = 0;

	sort(ids->at, ids->count, sizeof(uint32_t), id_less);
	for (size_t i = 0; i < ids->count; i++) {
		uint32_t id = *VEC_AT(ids, uint32_t, i);

		if (!kept || *VEC_AT(ids, uint32_t, kept - 1) != id)
			*VEC_AT(ids, uint32_t, kept++) = id;
	}
	ids->count = kept;
}

/* The stacks that allocated what is written. */
static struct vec allocators(const struct groups *g)
{
	struct vec ids = { 0 };

	for (size_t i = 0; i < g->count; i++)
		add_id(&ids, g->at[i].stack);
	sort_ids(&ids);
	return ids;
}

static void add_free_stack(const struct fate *fate, void *ids)
{
	add_id(ids, fate->free_stack);
}

static struct vec write_stacks(struct out *o, const struct groups *g, const struct vec *by)
{
	struct vec ids = { 0 };

	for (size_t i = 0; i < by->count; i++) {
		add_id(&ids, *VEC_AT(by, uint32_t, i));
		if (!track_sampling)
			fate_each(*VEC_AT(by, uint32_t, i), add_free_stack, &ids);
	}
	for (size_t i = 0; i < g->count; i++)
		add_id(&ids, g->at[i].via);
	sort_ids(&ids);
	for (size_t i = 0; i < ids.count; i++) {
		uint32_t id = *VEC_AT(&ids, uint32_t, i), generation = 0;
		uintptr_t pcs[STACK_DEPTH_MAX];
		size_t n = stack_get(id, pcs, &generation);

		out_print(o, "stack %u %u", id, generation);
		for (size_t k = 0; k < n; k++) {
			out_text(o, " ");
			out_address(o, pcs[k]);
		}
		out_text(o, "\n");
	}
	return ids;
}

static const char *thread_name(uint32_t tid)
{
	for (size_t i = 0; i < stop_count(); i++) {
		if (stop_at(i)->tid == (int)tid)
			return stop_at(i)->name;
	}
	return os_program();
}

static void write_root(struct out *o, const struct root *r, const struct leak_facts *f)
{
	static const char *const kinds[NR_ROOT_KINDS] = {
		"data", "stack", "register", "tls", "mapping", "heap", "ignored",
	};
	char text[64];

	out_print(o, "root %u %s ", r->id, kinds[r->kind]);
	switch (r->kind) {
	case ROOT_DATA:
		out_escaped(o, module_at(r->who)->path);
		out_print(o, "+%lx", (unsigned long)(r->at - module_at(r->who)->bias));
		break;
	case ROOT_STACK:
	case ROOT_REGISTER:
	case ROOT_TLS:
		out_print(o, "%u ", r->who);
		out_escaped(o, thread_name(r->who));
		break;
	case ROOT_MAPPING:
		if (*f->maps->at[r->who].path) {
			out_escaped(o, f->maps->at[r->who].path);
			break;
		}
		fmt_print(text, sizeof(text), "%lx-%lx", (unsigned long)f->maps->at[r->who].start,
			  (unsigned long)f->maps->at[r->who].end);
		out_escaped(o, text);
		break;
	default:
		out_text(o, "-");
	}
	out_text(o, "\n");
}

static void write_roots(struct out *o, const struct groups *g, const struct leak_facts *f)
{
	uint32_t next = 0;

	for (size_t i = 0; i < g->count; i++) {
		struct root *r = g->at[i].root != NO_ROOT ? mark_root(g->at[i].root) : NULL;

		if (!r || r->id)
			continue;
		r->id = ++next;
		write_root(o, r, f);
	}
}

static void write_leak(struct out *o, const struct group *e)
{
	out_print(o, "leak %s %u %lu %lu %u %u %lx ", leak_kind_names[e->kind], e->stack,
		  (unsigned long)e->blocks, (unsigned long)e->bytes, e->min_age, e->max_age,
		  (unsigned long)e->sample);
	if (e->root != NO_ROOT)
		out_print(o, "%u ", mark_root(e->root)->id);
	else
		out_text(o, "- ");
	if (e->via)
		out_print(o, "%u\n", e->via);
	else
		out_text(o, "-\n");
}

struct freeing {
	struct out *out;
	uint32_t stack;
	const struct vec *known;	/* stacks that were written */
};

/* Threads are running: of those that came to free meanwhile the stacks are not in the file. */
static void write_fate(const struct fate *fate, void *arg)
{
	const struct freeing *f = arg;
	size_t low = 0, high = f->known->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (*VEC_AT(f->known, uint32_t, mid) < fate->free_stack)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < f->known->count && *VEC_AT(f->known, uint32_t, low) == fate->free_stack)
		out_print(f->out, "free %u %u %lu\n", f->stack, fate->free_stack,
			  (unsigned long)fate->count);
}

static void write_fates(struct out *o, const struct vec *by, const struct vec *known)
{
	for (size_t i = 0; i < by->count; i++) {
		struct freeing f = { o, *VEC_AT(by, uint32_t, i), known };

		fate_each(f.stack, write_fate, &f);
	}
}

void leak_write_snapshot(struct out *o, const struct groups *g, const struct leak_facts *f)
{
	struct vec by = allocators(g), known;

	out_text(o, "stele-snapshot 1\n");
	write_process(o, f);
	write_args(o);
	write_facts(o, f);
	write_modules(o);
	known = write_stacks(o, g, &by);
	if (f->marked)
		write_roots(o, g, f);
	for (size_t i = 0; i < g->count; i++) {
		const struct group *e = &g->at[i];

		if (e->suppressed)
			continue;
		if (f->marked)
			write_leak(o, e);
		else
			out_print(o, "alloc %u %lu %lu %lu %lu\n", e->stack,
				  (unsigned long)e->blocks, (unsigned long)e->bytes,
				  (unsigned long)e->total_blocks, (unsigned long)e->total_bytes);
	}
	if (!track_sampling)
		write_fates(o, &by, &known);
	history_write(o);
	out_print(o, "end %lu\n", (unsigned long)o->lines);
	out_flush(o);
}
