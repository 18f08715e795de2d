/* SPDX-License-Identifier: MIT */
/* How blocks ended that are no more: the records "free" of the snapshots, for the rows. */
#include "report.h"

#include <stdlib.h>

static int rising(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* Allocated alike. */
static int compare_key(const struct ended *a, const struct ended *b)
{
	int order = rising(a->process, b->process);

	return order ? order : rising(a->trace->alike, b->trace->alike);
}

static int by_both(const void *a, const void *b)
{
	const struct ended *x = a, *y = b;
	int order = compare_key(x, y);

	return order ? order : rising(x->by->alike, y->by->alike);
}

static int by_count(const void *a, const void *b)
{
	const struct ended *x = a, *y = b;
	int order = compare_key(x, y);

	if (order == 0)
		order = rising(y->count, x->count);
	return order ? order : rising(x->by->alike, y->by->alike);
}

void ended_add(struct report *report, size_t process)
{
	const struct snapshot *snap = report->snaps.v[process];
	size_t i;

	for (i = 0; i < snap->frees.n; i++) {
		const struct snap_free *f = &snap->frees.v[i];
		struct ended *e = vec_push(&report->ended);

		e->process = process;
		e->trace = symbols_trace(report->symbols, snap, f->stack);
		e->by = symbols_trace(report->symbols, snap, f->free_stack);
		e->count = f->count;
	}
}

void ended_sort(struct report *report)
{
	struct ended *v = report->ended.v;
	size_t kept = 0, i;

	if (report->ended.n == 0)
		return;
	qsort(v, report->ended.n, sizeof(*v), by_both);
	for (i = 0; i < report->ended.n; i++) {
		if (kept > 0 && by_both(&v[kept - 1], &v[i]) == 0)
			v[kept - 1].count += v[i].count;
		else
			v[kept++] = v[i];
	}
	report->ended.n = kept;
	qsort(v, kept, sizeof(*v), by_count);
}

const struct ended *report_ended(const struct report *report, const struct row *row, size_t *n)
{
	const struct ended key = { .process = row->process, .trace = row->trace };
	size_t low = 0, high = report->ended.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare_key(&report->ended.v[mid], &key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (*n = 0; low + *n < report->ended.n; ++*n)
		if (compare_key(&report->ended.v[low + *n], &key) != 0)
			break;
	return *n ? &report->ended.v[low] : NULL;
}
