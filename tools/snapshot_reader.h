/* SPDX-License-Identifier: MIT */
/*
 * Inside the reader of snapshots: what snapshot.c, which holds the whole, and snapshot_record.c,
 * which knows the lines, share.
 */
#ifndef STELE_TOOL_SNAPSHOT_READER_H
#define STELE_TOOL_SNAPSHOT_READER_H

#include "snapshot.h"

struct reader {
	struct snapshot *snap;
	size_t line;
	char *rest;	/* of the line, NULL: nothing is left */
	unsigned seen;	/* bits of the records that may come once */
};

/* Says what is wrong with which line; always false. */
bool snapshot_damaged(const char *file, size_t line, const char *fmt, ...) PRINTF_LIKE(3, 4);
#define bad(r, ...) snapshot_damaged((r)->snap->file, (r)->line, __VA_ARGS__)

/* Reads the lines of text, which is changed, up to and including "end". */
bool snapshot_read_lines(struct reader *r, char *text);

#endif
