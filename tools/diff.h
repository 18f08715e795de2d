/* SPDX-License-Identifier: MIT */
/*
 * What grew between two snapshots, by stack.
 */
#ifndef STELE_TOOL_DIFF_H
#define STELE_TOOL_DIFF_H

#include "report.h"

enum change { CHANGE_NEW, CHANGE_GROWN, CHANGE_SHRUNK, CHANGE_GONE, CHANGE_SAME, CHANGES };
extern const char *const change_name[CHANGES];

struct diff_row {
	const struct trace *trace;
	uint64_t blocks[2], bytes[2];	/* before, after */
};

struct diff {
	const struct report *before, *after;
	VEC(struct diff_row) rows;	/* those that changed, the greatest growth first */
	struct {
		size_t stacks;
		int64_t blocks, bytes;
	} sum[CHANGES];
	uint64_t top;
};

/* Both reports share their symbols, and belong to the caller. */
struct diff *diff_build(const struct report *before, const struct report *after);
void diff_free(struct diff *diff);

enum change diff_change(const struct diff_row *row);
int64_t diff_blocks(const struct diff_row *row);
int64_t diff_bytes(const struct diff_row *row);

void diff_text(FILE *out, const struct diff *diff);
void diff_json(FILE *out, const struct diff *diff);
void diff_folded(FILE *out, const struct diff *diff);
void diff_html(FILE *out, const struct diff *diff);

#endif
