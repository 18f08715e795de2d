/* SPDX-License-Identifier: MIT */
/*
 * What all forms of a report are written from: rows with names, filtered and sorted, of one or
 * more processes.
 */
#ifndef STELE_TOOL_REPORT_H
#define STELE_TOOL_REPORT_H

#include "suppress.h"

enum sort { SORT_BYTES, SORT_BLOCKS, SORT_AGE, SORT_KIND, SORTS };
extern const char *const sort_name[SORTS];

struct filter {
	unsigned show;		/* kinds, 0: what the form of the report shows by itself */
	uint64_t min_age;	/* ms; groups whose oldest block is younger are left out */
	enum sort sort;
	bool by_address;	/* stacks that differ in addresses alone stay apart */
	uint64_t top;		/* how many stacks the text lists, 0: all */
	struct suppress suppress;
};

struct row {
	size_t process;			/* index in snaps */
	enum kind kind;
	size_t stack;			/* index in the snapshot, NO_INDEX: not known */
	const struct trace *trace;
	const struct trace *via;	/* NULL: not led to by another block */
	const char *root;		/* NULL: none */
	uint64_t blocks, bytes;		/* in use */
	uint64_t total_blocks, total_bytes; /* ever allocated; in profiles only */
	uint64_t min_age, max_age;	/* ms; not in profiles */
	uint64_t address;		/* of one block; not in profiles */
};

/* Of blocks that are no more, where that was kept: who allocated and who freed them. */
struct ended {
	size_t process;
	const struct trace *trace, *by;
	uint64_t count;
};

struct total {
	uint64_t stacks, blocks, bytes;
};

struct process_totals {
	struct total kind[KINDS];	/* before the choice of kinds */
	struct total suppressed;
	uint64_t inuse, allocated;	/* bytes, of the profile */
};

struct report {
	struct symbols *symbols;
	const struct suppress *suppress;
	VEC(struct snapshot *) snaps;	/* one per process; belong to the report */
	VEC(struct row) leaks;
	VEC(struct row) profile;	/* kind is not used */
	VEC(struct ended) ended;	/* by process and trace, the most frequent first */
	VEC(struct process_totals) totals; /* one per process */
	unsigned shown;			/* the kinds that leaks still holds */
	enum sort sort;
	uint64_t top;
};

/*
 * Takes the snapshots over. Of several of one process only the last is kept, with the history
 * of all. default_show: the kinds to keep where the filter names none.
 */
struct report *report_build(struct symbols *symbols, struct snapshot **snaps, size_t n,
			    struct filter *filter, unsigned default_show);
void report_free(struct report *report);

/* The rows that a picture of memory in use is drawn from: the profile's, or the leaks'. */
const struct row *report_inuse(const struct report *report, size_t *n);

/* How others of the row's stack ended; NULL: nothing is known. */
const struct ended *report_ended(const struct report *report, const struct row *row, size_t *n);
/* For report_build(): once for each process, then once. */
void ended_add(struct report *report, size_t process);
void ended_sort(struct report *report);

/* For qsort_r(): the order that a report is sorted in; arg points to an enum sort. */
int report_compare(const void *a, const void *b, void *arg);

/* Snapshots of one program in one process, and not of what it was replaced by in exec()? */
bool report_same_process(const struct snapshot *a, const struct snapshot *b);

/* A process as one line: "prog, pid 12". */
char *report_process(const struct snapshot *snap);
/* Why and when the snapshot was taken: "at exit, after 3.2 s". */
char *report_occasion(const struct snapshot *snap);

/* Parts of folded lines: a name without ';', and a stack, outermost first. */
void folded_name(FILE *out, const char *name);
void folded_trace(FILE *out, const struct trace *trace);

/* The lines of a stack in a text. */
void text_trace(FILE *out, const struct trace *trace);

/* The forms. */
void report_text(FILE *out, const struct report *report);
void report_json(FILE *out, const struct report *report);
void report_folded(FILE *out, const struct report *report);
void report_heap(FILE *out, const struct report *report);
void report_pprof(FILE *out, const struct report *report);
void report_html(FILE *out, const struct report *report);

#endif
