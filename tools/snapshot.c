/* SPDX-License-Identifier: MIT */
/*
 * Reads snapshots. Nothing in the file is taken on trust: every known record is checked field by
 * field, references between records when all are there, and the last line must count the others.
 * Unknown records, and fields after the known ones, are from a later version and are skipped.
 */
#include "snapshot_reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *const kind_name[KINDS] = { "direct", "indirect", "possible", "reachable", "young" };
const char *const kind_title[KINDS] = { "directly lost", "indirectly lost", "possibly lost",
					"still reachable", "young" };
const char *const mode_name[MODES] = { "leak", "list", "profile" };
bool snapshot_damaged(const char *file, size_t line, const char *fmt, ...)
{
	va_list args;
	char *what;

	va_start(args, fmt);
	if (vasprintf(&what, fmt, args) >= 0) {
		complain("%s: line %zu: %s", file, line, what);
		free(what);
	}
	va_end(args);
	return false;
}

static int by_stack_id(const void *a, const void *b)
{
	const struct snap_stack *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int by_root_id(const void *a, const void *b)
{
	const struct snap_root *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* From the id of a stack to its index. */
static bool link_stack(const struct snapshot *snap, size_t *ref, size_t line)
{
	const struct snap_stack key = { .id = *ref }, *found;

	if (*ref == NO_INDEX)
		return true;
	found = snap->stacks.n == 0
			? NULL
			: bsearch(&key, snap->stacks.v, snap->stacks.n, sizeof(key), by_stack_id);
	if (found == NULL)
		return snapshot_damaged(snap->file, line, "there is no stack %zu", *ref);
	*ref = (size_t)(found - snap->stacks.v);
	return true;
}

static bool link_root(const struct snapshot *snap, size_t *ref, size_t line)
{
	const struct snap_root key = { .id = *ref }, *found;

	if (*ref == NO_INDEX)
		return true;
	found = snap->roots.n == 0
			? NULL
			: bsearch(&key, snap->roots.v, snap->roots.n, sizeof(key), by_root_id);
	if (found == NULL)
		return snapshot_damaged(snap->file, line, "there is no root %zu", *ref);
	*ref = (size_t)(found - snap->roots.v);
	return true;
}

static bool link_all(struct snapshot *snap)
{
	size_t i;

	if (snap->stacks.n > 0)
		qsort(snap->stacks.v, snap->stacks.n, sizeof(*snap->stacks.v), by_stack_id);
	for (i = 1; i < snap->stacks.n; i++)
		if (snap->stacks.v[i].id == snap->stacks.v[i - 1].id)
			return snapshot_damaged(snap->file, snap->stacks.v[i].line,
						"a second stack %llu",
						(unsigned long long)snap->stacks.v[i].id);
	if (snap->roots.n > 0)
		qsort(snap->roots.v, snap->roots.n, sizeof(*snap->roots.v), by_root_id);
	for (i = 1; i < snap->roots.n; i++)
		if (snap->roots.v[i].id == snap->roots.v[i - 1].id)
			return snapshot_damaged(snap->file, snap->roots.v[i].line,
						"a second root %llu",
						(unsigned long long)snap->roots.v[i].id);
	for (i = 0; i < snap->leaks.n; i++) {
		struct snap_leak *leak = &snap->leaks.v[i];

		if (!link_stack(snap, &leak->stack, leak->line) ||
		    !link_stack(snap, &leak->via, leak->line) ||
		    !link_root(snap, &leak->root, leak->line))
			return false;
	}
	for (i = 0; i < snap->allocs.n; i++)
		if (!link_stack(snap, &snap->allocs.v[i].stack, snap->allocs.v[i].line))
			return false;
	for (i = 0; i < snap->frees.n; i++)
		if (!link_stack(snap, &snap->frees.v[i].stack, snap->frees.v[i].line) ||
		    !link_stack(snap, &snap->frees.v[i].free_stack, snap->frees.v[i].line))
			return false;
	return true;
}

static size_t line_of(const char *text, const char *at)
{
	size_t line = 1;

	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

struct snapshot *snapshot_parse(const char *file, const char *text, size_t size)
{
	struct snapshot *snap = xalloc(1, sizeof(*snap));
	struct reader r = { .snap = snap };
	const char *nul = memchr(text, '\0', size);
	char *copy;
	bool fine;

	snap->file = xstrdup(file);
	if (nul) {
		snapshot_damaged(file, line_of(text, nul), "a byte that is 0");
		snapshot_free(snap);
		return NULL;
	}
	copy = xstrndup(text, size);
	fine = snapshot_read_lines(&r, copy) && link_all(snap);
	free(copy);
	if (fine)
		return snap;
	snapshot_free(snap);
	return NULL;
}

struct snapshot *snapshot_read(const char *file)
{
	FILE *in = fopen(file, "re");
	struct snapshot *snap = NULL;
	char *text = NULL;
	size_t size = 0, room = 0, got;

	if (in == NULL) {
		complain("%s: %s", file, strerror(errno));
		return NULL;
	}
	do {
		if (size == room) {
			room = room ? 2 * room : 1 << 16;
			text = xrealloc(text, room, 1);
		}
		got = fread(text + size, 1, room - size, in);
		size += got;
	} while (got > 0);
	if (ferror(in))
		complain("%s: %s", file, strerror(errno));
	else
		snap = snapshot_parse(file, text, size);
	fclose(in);
	free(text);
	return snap;
}

void snapshot_free(struct snapshot *snap)
{
	size_t i;

	if (snap == NULL)
		return;
	for (i = 0; i < snap->args.n; i++)
		free(snap->args.v[i]);
	for (i = 0; i < snap->modules.n; i++) {
		free(snap->modules.v[i].build_id);
		free(snap->modules.v[i].path);
	}
	for (i = 0; i < snap->stacks.n; i++)
		free(snap->stacks.v[i].pcs);
	for (i = 0; i < snap->roots.n; i++)
		free(snap->roots.v[i].text);
	vec_free(&snap->args);
	vec_free(&snap->modules);
	vec_free(&snap->stacks);
	vec_free(&snap->roots);
	vec_free(&snap->leaks);
	vec_free(&snap->allocs);
	vec_free(&snap->frees);
	vec_free(&snap->points);
	free(snap->file);
	free(snap->exe);
	free(snap->cwd);
	free(snap->reason);
	free(snap->reason_detail);
	free(snap->unwinder);
	free(snap);
}

struct snap_module *snapshot_module(const struct snapshot *snap, uint64_t pc, uint64_t generation)
{
	struct snap_module *found = NULL;
	size_t i;

	for (i = 0; i < snap->modules.n; i++) {
		struct snap_module *m = &snap->modules.v[i];

		if (pc >= m->start && pc < m->end && m->until > generation &&
		    (found == NULL || m->until < found->until))
			found = m;
	}
	return found;
}
