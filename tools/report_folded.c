/* SPDX-License-Identifier: MIT */
/*
 * Folded stacks, one line each, outermost first: "main;work;grow 4096". The number is of bytes in use.
 */
#include "report.h"

#include <stdlib.h>

void folded_name(FILE *out, const char *name)
{
	for (; *name; name++)
		fputc(*name == ';' ? ':' : *name, out);
}

void folded_trace(FILE *out, const struct trace *trace)
{
	size_t i;

	if (trace->n == 0)
		fputs("(unknown)", out);
	for (i = trace->n; i-- > 0;) {
		folded_name(out, trace->frames[i]->function);
		if (i > 0)
			fputc(';', out);
	}
}

void report_folded(FILE *out, const struct report *report)
{
	size_t n, i;
	const struct row *rows = report_inuse(report, &n);

	for (i = 0; i < n; i++) {
		if (rows[i].bytes == 0)
			continue;
		if (report->snaps.n > 1) {
			char *name = report_process(report->snaps.v[rows[i].process]);

			folded_name(out, name);
			fputc(';', out);
			free(name);
		}
		folded_trace(out, rows[i].trace);
		fprintf(out, " %llu\n", (unsigned long long)rows[i].bytes);
	}
}
