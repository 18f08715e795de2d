/* SPDX-License-Identifier: MIT */
/*
 * A snapshot as the library writes it (stele-snapshot(5)), read and checked.
 */
#ifndef STELE_TOOL_SNAPSHOT_H
#define STELE_TOOL_SNAPSHOT_H

#include "util.h"

enum kind { KIND_DIRECT, KIND_INDIRECT, KIND_POSSIBLE, KIND_REACHABLE, KIND_YOUNG, KINDS };
extern const char *const kind_name[KINDS];	/* as in the file */
extern const char *const kind_title[KINDS];	/* for people: "directly lost" */

#define KIND_BIT(kind) (1u << (kind))
#define KINDS_ALL      (KIND_BIT(KINDS) - 1)
/* What nobody can free any more. */
#define KINDS_LOST (KIND_BIT(KIND_DIRECT) | KIND_BIT(KIND_INDIRECT) | KIND_BIT(KIND_POSSIBLE))

enum mode { MODE_LEAK, MODE_LIST, MODE_PROFILE, MODES };
extern const char *const mode_name[MODES];

enum root_kind { ROOT_DATA, ROOT_STACK, ROOT_REGISTER, ROOT_TLS, ROOT_MAPPING, ROOT_HEAP, ROOT_IGNORED, ROOTS };

#define NO_INDEX SIZE_MAX

struct snap_module {
	uint64_t start, end;
	uint64_t bias;		/* where address 0 of the file lies */
	uint64_t until;		/* generation of its unloading; UINT64_MAX: still loaded */
	char *build_id;		/* hex digits, NULL: none */
	char *path;
	size_t object;		/* symbols.c's number of the file, NO_INDEX: not asked yet */
};

struct snap_stack {
	uint64_t id;
	uint64_t generation;
	uint64_t *pcs;		/* return addresses, innermost first */
	size_t n;
	size_t line;		/* of the file, for messages */
};

struct snap_root {
	uint64_t id;
	enum root_kind kind;
	char *text;
	uint64_t offset;	/* ROOT_DATA: address in the module named by text */
	size_t line;
};

/* References are ids while the file is read, and indices from then on; NO_INDEX: none. */
struct snap_leak {
	enum kind kind;
	size_t stack;
	uint64_t blocks, bytes;
	uint64_t min_age, max_age;	/* ms */
	uint64_t address;		/* of one of the blocks */
	size_t root;
	size_t via;			/* stack of the block that leads here */
	size_t line;
};

struct snap_alloc {
	size_t stack;
	uint64_t inuse_blocks, inuse_bytes;
	uint64_t total_blocks, total_bytes;
	size_t line;
};

struct snap_free {
	size_t stack, free_stack;
	uint64_t count;
	size_t line;
};

struct snap_point {
	uint64_t uptime;	/* ms */
	uint64_t used, rss;	/* bytes */
};

struct snapshot {
	char *file;
	uint64_t pid, ppid;
	char *exe, *cwd;
	VEC(char *) args;
	char *reason, *reason_detail;	/* NULL: not said */
	uint64_t taken_ns;		/* since 1970 */
	uint64_t uptime;		/* ms */
	enum mode mode;
	uint64_t sample_bytes;		/* 0: every block */
	char *unwinder;			/* NULL: not said */
	uint64_t depth;
	bool has_heap;
	uint64_t heap_used, heap_blocks, rss, peak_rss;
	bool has_scan;
	uint64_t threads, stopped, scanned, scan_us, pause_us;
	VEC(struct snap_module) modules;
	VEC(struct snap_stack) stacks;	/* sorted by id */
	VEC(struct snap_root) roots;	/* sorted by id */
	VEC(struct snap_leak) leaks;
	VEC(struct snap_alloc) allocs;
	VEC(struct snap_free) frees;
	VEC(struct snap_point) points;
};

/* NULL: it cannot be read or is damaged, and one line has said so. */
struct snapshot *snapshot_read(const char *file);
struct snapshot *snapshot_parse(const char *file, const char *text, size_t size);
void snapshot_free(struct snapshot *snap);

/* The module that held pc when a stack of this generation was captured; NULL: none. */
struct snap_module *snapshot_module(const struct snapshot *snap, uint64_t pc, uint64_t generation);

/* Does the snapshot's profile, not its list of leaks, say what is in use? */
static inline bool snapshot_is_profile(const struct snapshot *snap)
{
	return snap->mode != MODE_LEAK;
}

/* When the process began, in ms since 1970. */
static inline int64_t snapshot_start(const struct snapshot *snap)
{
	return (int64_t)(snap->taken_ns / 1000000) - (int64_t)snap->uptime;
}

#endif
