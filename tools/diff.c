/* SPDX-License-Identifier: MIT */
#include "diff.h"

#include <stdlib.h>

const char *const change_name[CHANGES] = { "new", "grown", "shrunk", "gone", "same" };

enum change diff_change(const struct diff_row *row)
{
	if (row->blocks[0] == row->blocks[1] && row->bytes[0] == row->bytes[1])
		return CHANGE_SAME;
	if (row->blocks[0] == 0)
		return CHANGE_NEW;
	if (row->blocks[1] == 0)
		return CHANGE_GONE;
	if (row->bytes[0] == row->bytes[1])
		return row->blocks[1] > row->blocks[0] ? CHANGE_GROWN : CHANGE_SHRUNK;
	return row->bytes[1] > row->bytes[0] ? CHANGE_GROWN : CHANGE_SHRUNK;
}

int64_t diff_blocks(const struct diff_row *row)
{
	return (int64_t)(row->blocks[1] - row->blocks[0]);
}

int64_t diff_bytes(const struct diff_row *row)
{
	return (int64_t)(row->bytes[1] - row->bytes[0]);
}

static int by_growth(const void *a, const void *b)
{
	const struct diff_row *x = a, *y = b;
	int64_t dx = diff_bytes(x), dy = diff_bytes(y);

	if (dx == dy) {
		dx = diff_blocks(x);
		dy = diff_blocks(y);
	}
	if (dx != dy)
		return dx > dy ? -1 : 1;
	return (x->trace->id > y->trace->id) - (x->trace->id < y->trace->id);
}

static bool same_stack(const void *key, size_t index, const void *arg)
{
	const struct trace *trace = key;

	return ((const struct diff *)arg)->rows.v[index].trace->alike == trace->alike;
}

static void add_rows(struct diff *diff, struct map *map, const struct report *report, unsigned side)
{
	size_t n, i;
	const struct row *rows = report_inuse(report, &n);

	for (i = 0; i < n; i++) {
		const struct trace *trace = rows[i].trace;
		uint64_t hash = hash_bytes(0, &trace->alike, sizeof(trace->alike));
		size_t index = map_find(map, hash, same_stack, trace, diff);

		if (index == MAP_NONE) {
			index = diff->rows.n;
			map_add(map, hash, index);
			vec_push(&diff->rows)->trace = trace;
		}
		diff->rows.v[index].blocks[side] += rows[i].blocks;
		diff->rows.v[index].bytes[side] += rows[i].bytes;
	}
}

struct diff *diff_build(const struct report *before, const struct report *after)
{
	struct diff *diff = xalloc(1, sizeof(*diff));
	struct map map = { 0 };
	size_t i, kept = 0;

	diff->before = before;
	diff->after = after;
	diff->top = after->top;
	add_rows(diff, &map, before, 0);
	add_rows(diff, &map, after, 1);
	map_free(&map);
	for (i = 0; i < diff->rows.n; i++) {
		const struct diff_row *row = &diff->rows.v[i];
		enum change change = diff_change(row);

		diff->sum[change].stacks++;
		diff->sum[change].blocks += diff_blocks(row);
		diff->sum[change].bytes += diff_bytes(row);
		if (change != CHANGE_SAME)
			diff->rows.v[kept++] = *row;
	}
	diff->rows.n = kept;
	if (kept > 0)
		qsort(diff->rows.v, kept, sizeof(*diff->rows.v), by_growth);
	return diff;
}

void diff_free(struct diff *diff)
{
	vec_free(&diff->rows);
	free(diff);
}
