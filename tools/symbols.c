/* SPDX-License-Identifier: MIT */
#include "symbols.h"

#include <stdlib.h>
#include <string.h>

/* What one address resolves to. */
struct place {
	size_t object; /* NO_INDEX: in no module */
	uint64_t address;
	struct frame *frames;
	size_t n;
};

struct file {
	struct object *object;
	char *path, *build_id;
};

struct symbols {
	struct strings strings;
	VEC(struct file) files;
	VEC(struct place) places;
	struct map place_map;
	VEC(struct trace *) traces;
	struct map trace_map;
	struct map alike_map;
};

struct symbols *symbols_new(void)
{
	return xalloc(1, sizeof(struct symbols));
}

void symbols_free(struct symbols *symbols)
{
	size_t i;

	for (i = 0; i < symbols->traces.n; i++) {
		free(symbols->traces.v[i]->frames);
		free(symbols->traces.v[i]);
	}
	for (i = 0; i < symbols->places.n; i++)
		free(symbols->places.v[i].frames);
	for (i = 0; i < symbols->files.n; i++) {
		object_close(symbols->files.v[i].object);
		free(symbols->files.v[i].path);
		free(symbols->files.v[i].build_id);
	}
	vec_free(&symbols->traces);
	vec_free(&symbols->places);
	vec_free(&symbols->files);
	map_free(&symbols->alike_map);
	map_free(&symbols->trace_map);
	map_free(&symbols->place_map);
	strings_free(&symbols->strings);
	free(symbols);
}

const char *symbols_text(struct symbols *symbols, const char *text)
{
	return strings_keep(&symbols->strings, text);
}

static bool same_build(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

struct object *symbols_object(struct symbols *symbols, struct snap_module *module)
{
	struct file *file;
	size_t i;

	if (module->object != NO_INDEX)
		return symbols->files.v[module->object].object;
	for (i = 0; i < symbols->files.n; i++)
		if (strcmp(symbols->files.v[i].path, module->path) == 0 &&
		    same_build(symbols->files.v[i].build_id, module->build_id))
			break;
	module->object = i;
	if (i < symbols->files.n)
		return symbols->files.v[i].object;
	file = vec_push(&symbols->files);
	file->path = xstrdup(module->path);
	file->build_id = module->build_id ? xstrdup(module->build_id) : NULL;
	file->object = object_open(&symbols->strings, module->path, module->build_id);
	return file->object;
}

static bool same_place(const void *key, size_t index, const void *arg)
{
	const struct place *place = key, *other = &((const struct symbols *)arg)->places.v[index];

	return place->object == other->object && place->address == other->address;
}

/* An address in no module: code made at run time, or a damaged stack. */
static size_t frames_of_nothing(struct symbols *symbols, uint64_t address, struct frame **frames)
{
	struct frame *frame = xalloc(1, sizeof(*frame));
	char *name = xasprintf("0x%llx", (unsigned long long)address);

	frame->function = frame->symbol = symbols_text(symbols, name);
	frame->address = address;
	free(name);
	*frames = frame;
	return 1;
}

static const struct place *resolve(struct symbols *symbols, const struct snapshot *snap,
				   uint64_t pc, uint64_t generation)
{
	/* a return address; the call ends there, and may be the last instruction of its function */
	uint64_t call = pc > 0 ? pc - 1 : pc, hash;
	struct snap_module *module = snapshot_module(snap, call, generation);
	struct object *object = module ? symbols_object(symbols, module) : NULL;
	struct place key = { .object = module ? module->object : NO_INDEX,
			     .address = module ? call - module->bias : pc };
	struct place *place;
	size_t index;

	hash = hash_bytes(key.object, &key.address, sizeof(key.address));
	index = map_find(&symbols->place_map, hash, same_place, &key, symbols);
	if (index != MAP_NONE)
		return &symbols->places.v[index];
	key.n = object ? object_frames(object, key.address, &key.frames)
		       : frames_of_nothing(symbols, key.address, &key.frames);
	map_add(&symbols->place_map, hash, symbols->places.n);
	place = vec_push(&symbols->places);
	*place = key;
	return place;
}

static bool is_allocator(const struct frame *frame)
{
	static const char name[] = "libstele.so";

	return frame->module && strncmp(base_name(frame->module), name, sizeof(name) - 1) == 0;
}

static bool same_trace(const void *key, size_t index, const void *arg)
{
	const struct trace *trace = key, *other = ((const struct symbols *)arg)->traces.v[index];

	return trace->n == other->n &&
	       (trace->n == 0 ||
		memcmp(trace->frames, other->frames, trace->n * sizeof(*trace->frames)) == 0);
}

static bool looks_same(const struct frame *a, const struct frame *b)
{
	return a->function == b->function && a->file == b->file && a->line == b->line &&
	       a->module == b->module && a->inlined == b->inlined;
}

static bool alike(const void *key, size_t index, const void *arg)
{
	const struct trace *trace = key, *other = ((const struct symbols *)arg)->traces.v[index];
	size_t i;

	if (trace->n != other->n)
		return false;
	for (i = 0; i < trace->n; i++)
		if (!looks_same(trace->frames[i], other->frames[i]))
			return false;
	return true;
}

static size_t find_alike(struct symbols *symbols, const struct trace *trace)
{
	uint64_t hash = trace->n;
	size_t i, index;

	for (i = 0; i < trace->n; i++) {
		const struct frame *f = trace->frames[i];

		hash = hash_bytes(hash, &f->function, sizeof(f->function));
		hash = hash_bytes(hash, &f->line, sizeof(f->line));
	}
	index = map_find(&symbols->alike_map, hash, alike, trace, symbols);
	if (index != MAP_NONE)
		return index;
	map_add(&symbols->alike_map, hash, trace->id);
	return trace->id;
}

/* Keeps the trace, or frees it and returns the one that is kept already. */
static const struct trace *intern(struct symbols *symbols, struct trace *trace)
{
	uint64_t hash = hash_bytes(trace->n, trace->frames, trace->n * sizeof(*trace->frames));
	size_t index = map_find(&symbols->trace_map, hash, same_trace, trace, symbols);

	if (index != MAP_NONE) {
		free(trace->frames);
		free(trace);
		return symbols->traces.v[index];
	}
	trace->id = symbols->traces.n;
	trace->alike = find_alike(symbols, trace);
	map_add(&symbols->trace_map, hash, trace->id);
	return *vec_push(&symbols->traces) = trace;
}

const struct trace *symbols_trace(struct symbols *symbols, const struct snapshot *snap,
				  size_t stack)
{
	struct trace *trace = xalloc(1, sizeof(*trace));
	const struct snap_stack *s = stack == NO_INDEX ? NULL : &snap->stacks.v[stack];
	VEC(const struct frame *) list = { 0 };
	size_t i, k, from = 0;

	for (i = 0; s && i < s->n; i++) {
		const struct place *place = resolve(symbols, snap, s->pcs[i], s->generation);

		for (k = 0; k < place->n; k++)
			*vec_push(&list) = &place->frames[k];
	}
	while (from < list.n && is_allocator(list.v[from]))
		from++;
	trace->n = list.n - from;
	for (i = list.n; i > from; i--) {
		if (list.v[i - 1]->named && strcmp(list.v[i - 1]->function, "main") == 0) {
			trace->n = i - from;
			break;
		}
	}
	trace->frames = xalloc(trace->n, sizeof(*trace->frames));
	if (trace->n > 0)
		memcpy(trace->frames, list.v + from, trace->n * sizeof(*trace->frames));
	vec_free(&list);
	return intern(symbols, trace);
}

/* "1234 worker" as "1234 (worker)" */
static char *thread_text(const char *what, const char *text)
{
	const char *space = strchr(text, ' ');

	if (space && space[1])
		return xasprintf("%s of thread %.*s (%s)", what, (int)(space - text), text,
				 space + 1);
	return xasprintf("%s of thread %s", what, text);
}

static struct snap_module *module_by_path(const struct snapshot *snap, const char *path)
{
	struct snap_module *found = NULL;
	size_t i;

	for (i = 0; i < snap->modules.n; i++) {
		struct snap_module *m = &snap->modules.v[i];

		if (strcmp(m->path, path) == 0 && (found == NULL || m->until > found->until))
			found = m;
	}
	return found;
}

static char *data_text(struct symbols *symbols, const struct snapshot *snap,
		       const struct snap_root *root)
{
	struct snap_module *module = module_by_path(snap, root->text);
	const char *name = NULL;
	uint64_t offset = 0;

	if (module)
		name = object_variable(symbols_object(symbols, module), root->offset, &offset);
	if (name == NULL)
		return xasprintf("global %s+0x%llx", base_name(root->text),
				 (unsigned long long)root->offset);
	if (offset == 0)
		return xasprintf("global %s in %s", name, base_name(root->text));
	return xasprintf("global %s+0x%llx in %s", name, (unsigned long long)offset,
			 base_name(root->text));
}

const char *symbols_root(struct symbols *symbols, const struct snapshot *snap, size_t index)
{
	const struct snap_root *root;
	const char *kept;
	char *text = NULL;

	if (index == NO_INDEX)
		return NULL;
	root = &snap->roots.v[index];
	switch (root->kind) {
	case ROOT_DATA:
		text = data_text(symbols, snap, root);
		break;
	case ROOT_STACK:
		text = thread_text("stack", root->text);
		break;
	case ROOT_REGISTER:
		text = thread_text("registers", root->text);
		break;
	case ROOT_TLS:
		text = thread_text("thread-local data", root->text);
		break;
	case ROOT_MAPPING:
		text = xasprintf("mapping %s", root->text);
		break;
	case ROOT_IGNORED:
		text = xstrdup("the program, which says that it is no leak");
		break;
	case ROOT_HEAP:
	case ROOTS:
		text = xasprintf("heap%s%s", *root->text ? " " : "", root->text);
		break;
	}
	kept = symbols_text(symbols, text);
	free(text);
	return kept;
}
