/* SPDX-License-Identifier: MIT */
/*
 * The forms of a report, and files to write them to.
 */
#ifndef STELE_TOOL_FORM_H
#define STELE_TOOL_FORM_H

#include "report.h"

struct form {
	const char *name;	/* of the option, without dashes */
	const char *suffix;	/* of the files that are meant to be of this form */
	const char *help;
	void (*write)(FILE *out, const struct report *report);
	unsigned show;		/* kinds, where nobody names any */
	bool one_process;	/* it cannot hold more than one */
	bool binary;
};

/* name, suffix, help, kinds that it shows by itself, one process only, binary */
#define FORMS(X)                                                                                   \
	X(text, ".txt", "text for readers (default)", KINDS_LOST, false, false)                    \
	X(json, ".json", "JSON", KINDS_ALL, false, false)                                          \
	X(html, ".html", "a web page with a flame graph", KINDS_ALL, false, false)                 \
	X(folded, ".folded", "folded stacks", KINDS_LOST, false, false)                            \
	X(pprof, ".pb.gz", "a profile for pprof", KINDS_ALL, false, true)                          \
	X(heap, ".heap", "the text of gperftools' heap profiler", KINDS_LOST, true, false)

#define FORM_ID(name, ...) FORM_##name,
enum form_id { FORMS(FORM_ID) FORM_COUNT };
#undef FORM_ID

extern const struct form forms[FORM_COUNT];

/* The form that the name of a file asks for, NULL: none; *suffix: where its suffix begins. */
const struct form *form_of_file(const char *file, size_t *suffix);

/*
 * A file to write a report to, NULL: stdout. output_close() says whether all of it was written.
 * On failure one line has said why.
 */
FILE *output_open(const char *file);
bool output_close(FILE *out, const char *file);

/* Writes the report to the file, NULL: stdout. */
bool form_write(const struct form *form, const struct report *report, const char *file);

#endif
