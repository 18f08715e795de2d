/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer on the reader of snapshots and on what reports make of them. Inputs are the lines between
 * the first and the last, as nothing would get past a wrong count; those that begin with a '!' are whole
 * files. What is accepted is written in every form, and compared with itself.
 */
#include "diff.h"
#include "form.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Millions of refusals need not be read. */
void complain(const char *fmt, ...)
{
	(void)fmt;
}

static struct snapshot *parse(const char *data, size_t size)
{
	struct snapshot *snap;
	size_t lines = 1, i;
	char *text;

	if (size > 0 && data[0] == '!')
		return snapshot_parse("fuzz", data + 1, size - 1);
	for (i = 0; i < size; i++)
		lines += data[i] == '\n';
	text = xasprintf("stele-snapshot 1\n%.*send %zu\n", (int)size, data, lines);
	snap = snapshot_parse("fuzz", text, strlen(text));
	free(text);
	return snap;
}

static void write_all(const struct report *report)
{
	struct diff *diff = diff_build(report, report);
	FILE *out = fopen("/dev/null", "w");
	size_t i;

	if (out == NULL)
		abort();
	for (i = 0; i < FORM_COUNT; i++)
		forms[i].write(out, report);
	/* nothing differs from itself */
	if (diff->rows.n != 0)
		abort();
	diff_text(out, diff);
	diff_json(out, diff);
	diff_html(out, diff);
	fclose(out);
	diff_free(diff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot *snap = parse((const char *)data, size);
	struct symbols *symbols;
	struct filter filter = { 0 };
	struct report *report;

	if (snap == NULL)
		return 0;
	symbols = symbols_new();
	report = report_build(symbols, &snap, 1, &filter, KINDS_ALL);
	write_all(report);
	report_free(report);
	symbols_free(symbols);
	return 0;
}
