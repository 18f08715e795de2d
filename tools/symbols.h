/* SPDX-License-Identifier: MIT */
/*
 * Names for what snapshots hold as numbers. Everything is looked up once, whatever the number of
 * snapshots: files, addresses in files, and whole stacks, which are the same pointer when they have the
 * same addresses in the same files.
 */
#ifndef STELE_TOOL_SYMBOLS_H
#define STELE_TOOL_SYMBOLS_H

#include "object.h"
#include "snapshot.h"

/*
 * A stack as people want it: innermost first, without the allocator's own frames before the
 * caller of malloc() and without what called main().
 */
struct trace {
	const struct frame **frames;
	size_t n;
	size_t id;	/* 0, 1, ... in order of appearance */
	size_t alike;	/* the id of the first trace that prints the same: other calls on the same line */
};

struct symbols *symbols_new(void);
void symbols_free(struct symbols *symbols);

/* stack is an index, NO_INDEX: an empty trace. What is returned lives as long as symbols. */
const struct trace *symbols_trace(struct symbols *symbols, const struct snapshot *snap, size_t stack);

/* What a root is, in words; NULL for NO_INDEX. */
const char *symbols_root(struct symbols *symbols, const struct snapshot *snap, size_t root);

/* The file of a module, opened now if it was not. */
struct object *symbols_object(struct symbols *symbols, struct snap_module *module);

/* Keeps a text. */
const char *symbols_text(struct symbols *symbols, const char *text);

#endif
