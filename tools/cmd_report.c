/* SPDX-License-Identifier: MIT */
/*
 * stele report FILE...
 */
#include "command.h"

#include <stdlib.h>

struct arguments {
	struct choice choice;
	VEC(char *) files;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->choice;
		return 0;
	case ARGP_KEY_ARG:
		*vec_push(&arguments->files) = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which file?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.parser = parse,
	.args_doc = "FILE...",
	.doc = "Report what snapshots say. Of several snapshots of one process the last counts; "
	       "several "
	       "processes are reported one after another, or side by side where the form allows.",
	.children = choice_children,
};

int report_files(struct choice *choice, char **files, size_t n)
{
	const struct form *form = choice_form(choice);
	struct snapshot **snaps = xalloc(n, sizeof(*snaps));
	struct symbols *symbols;
	struct report *report;
	bool fine = true;
	size_t i, k;

	choice->filter.by_address = form->one_process;
	for (i = 0; i < n && fine; i++) {
		snaps[i] = snapshot_read(files[i]);
		fine = snaps[i] != NULL;
	}
	if (fine) {
		symbols = symbols_new();
		report = report_build(symbols, snaps, n, &choice->filter, form->show);
		fine = form_write(form, report, choice->output);
		report_free(report);
		symbols_free(symbols);
	} else {
		for (k = 0; k < i; k++)
			snapshot_free(snaps[k]);
	}
	free(snaps);
	suppress_free(&choice->filter.suppress);
	return fine ? EXIT_SUCCESS : STATUS_TROUBLE;
}

int command_report(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	status = report_files(&arguments.choice, arguments.files.v, arguments.files.n);
	vec_free(&arguments.files);
	return status;
}
