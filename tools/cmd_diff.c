/* SPDX-License-Identifier: MIT */
/*
 * stele diff BEFORE AFTER
 */
#include "command.h"
#include "diff.h"

#include <stdlib.h>
#include <string.h>

struct arguments {
	struct choice choice;
	char *file[2];
};

static const struct {
	const char *form;
	void (*write)(FILE *out, const struct diff *diff);
} writers[] = {
	{ "text", diff_text },
	{ "json", diff_json },
	{ "html", diff_html },
	{ "folded", diff_folded },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->choice;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num >= 2)
			argp_error(state, "two files, please");
		arguments->file[state->arg_num] = arg;
		return 0;
	case ARGP_KEY_END:
		if (state->arg_num < 2)
			argp_error(state, "which two files?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.parser = parse,
	.args_doc = "BEFORE AFTER",
	.doc = "Report what grew between two snapshots, by stack: everything in use, or the kinds "
	       "of leaks "
	       "that --show names. Forms: text, json, html, folded.",
	.children = choice_children,
};

static struct report *read_report(struct symbols *symbols, const char *file, struct filter *filter)
{
	struct snapshot *snap = snapshot_read(file);

	return snap ? report_build(symbols, &snap, 1, filter, KINDS_ALL) : NULL;
}

static bool write_diff(const struct choice *choice, const struct form *form,
		       const struct report *before, const struct report *after)
{
	struct diff *diff;
	FILE *out;
	size_t i;

	for (i = 0; strcmp(writers[i].form, form->name) != 0; i++)
		;
	out = output_open(choice->output);
	if (out == NULL)
		return false;
	diff = diff_build(before, after);
	writers[i].write(out, diff);
	diff_free(diff);
	return output_close(out, choice->output);
}

static bool has_writer(const struct form *form)
{
	size_t i;

	for (i = 0; i < sizeof(writers) / sizeof(writers[0]); i++)
		if (strcmp(writers[i].form, form->name) == 0)
			return true;
	return false;
}

int command_diff(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	struct choice *choice = &arguments.choice;
	const struct form *form;
	struct symbols *symbols;
	struct report *before, *after = NULL;
	bool fine;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	form = choice_form(choice);
	if (!has_writer(form)) {
		complain("a difference has no form '%s'", form->name);
		return STATUS_USAGE;
	}
	symbols = symbols_new();
	before = read_report(symbols, arguments.file[0], &choice->filter);
	if (before)
		after = read_report(symbols, arguments.file[1], &choice->filter);
	fine = after && write_diff(choice, form, before, after);
	if (before)
		report_free(before);
	if (after)
		report_free(after);
	symbols_free(symbols);
	suppress_free(&choice->filter.suppress);
	return fine ? EXIT_SUCCESS : STATUS_TROUBLE;
}
