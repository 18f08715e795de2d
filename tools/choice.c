/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_SHOW = 256, OPTION_SUPPRESS, OPTION_MIN_AGE, OPTION_SORT, OPTION_TOP, OPTION_FORM };

uint64_t option_number(const char *arg, const char *what, struct argp_state *state)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(arg, &end, 10);
	if (*arg < '0' || *arg > '9' || *end || errno)
		argp_error(state, "%s: '%s' is not a number", what, arg);
	return n;
}

/* "direct:possible", "all", "lost"; commas will do too. */
static unsigned parse_kinds(const char *arg, struct argp_state *state)
{
	char *copy = xstrdup(arg), *rest = copy, *word;
	unsigned kinds = 0, kind;

	while ((word = strsep(&rest, ":,")) != NULL) {
		for (kind = 0; kind < KINDS && strcmp(word, kind_name[kind]) != 0; kind++)
			;
		if (kind < KINDS)
			kinds |= KIND_BIT(kind);
		else if (strcmp(word, "all") == 0)
			kinds |= KINDS_ALL;
		else if (strcmp(word, "lost") == 0)
			kinds |= KINDS_LOST;
		else
			argp_error(state, "--show: there is no kind '%s'", word);
	}
	free(copy);
	return kinds;
}

static enum sort parse_sort(const char *arg, struct argp_state *state)
{
	unsigned i;

	for (i = 0; i < SORTS; i++)
		if (strcmp(arg, sort_name[i]) == 0)
			return i;
	argp_error(state, "--sort: not one of bytes, blocks, age, kind: '%s'", arg);
	return SORT_BYTES;
}

static error_t parse_filter(int key, char *arg, struct argp_state *state)
{
	struct choice *choice = state->input;

	switch (key) {
	case OPTION_SHOW:
		choice->filter.show = parse_kinds(arg, state);
		return 0;
	case OPTION_SUPPRESS:
		if (!suppress_load(&choice->filter.suppress, arg))
			exit(STATUS_TROUBLE);
		return 0;
	case OPTION_MIN_AGE:
		if (!parse_ms(arg, &choice->filter.min_age))
			argp_error(state, "--min-age: '%s' is not a time such as 500ms, 10s or 2m",
				   arg);
		return 0;
	case OPTION_SORT:
		choice->filter.sort = parse_sort(arg, state);
		return 0;
	case OPTION_TOP:
		choice->filter.top = option_number(arg, "--top", state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option filter_options[] = {
	{ NULL, 0, NULL, 0, "What to report:", 2 },
	{ "show", OPTION_SHOW, "KINDS", 0,
	  "kinds of leaks, joined by ':': direct, indirect, possible, reachable, young; lost is the "
	  "first three, all is all", 2 },
	{ "suppress", OPTION_SUPPRESS, "FILE", 0,
	  "leave out what the rules of FILE name (LeakSanitizer's syntax)", 2 },
	{ "min-age", OPTION_MIN_AGE, "TIME", 0, "leave out younger blocks: 500ms, 10s, 2m, 1h", 2 },
	{ "sort", OPTION_SORT, "KEY", 0, "by bytes (default), blocks, age or kind", 2 },
	{ "top", OPTION_TOP, "N", 0, "list the first N stacks in a text", 2 },
	{ 0 },
};

static const struct argp filter_argp = { .options = filter_options, .parser = parse_filter };

static error_t parse_form(int key, char *arg, struct argp_state *state)
{
	struct choice *choice = state->input;

	if (key == 'o') {
		choice->output = arg;
		return 0;
	}
	if (key == ARGP_KEY_INIT) {
		state->child_inputs[0] = choice;
		return 0;
	}
	if (key < OPTION_FORM || key >= OPTION_FORM + FORM_COUNT)
		return ARGP_ERR_UNKNOWN;
	choice->form = &forms[key - OPTION_FORM];
	return 0;
}

static const struct argp_option form_options[] = {
	{ NULL, 0, NULL, 0, "The form of the report:", 3 },
#define FORM_OPTION(name, suffix, help, ...) { #name, OPTION_FORM + FORM_##name, NULL, 0, help, 3 },
	FORMS(FORM_OPTION)
	{ "output", 'o', "FILE", 0,
	  "write to FILE; its suffix (.txt .json .html .folded .pb.gz .heap) stands for the form", 3 },
	{ 0 },
};

static const struct argp_child form_children[] = {
	{ &filter_argp, 0, NULL, 0 },
	{ 0 },
};

static const struct argp choice_argp = {
	.options = form_options,
	.parser = parse_form,
	.children = form_children,
};

const struct form *choice_form(const struct choice *choice)
{
	const struct form *form = choice->form;
	size_t suffix;

	if (form == NULL && choice->output)
		form = form_of_file(choice->output, &suffix);
	return form ? form : &forms[FORM_text];
}

const struct argp_child choice_children[] = {
	{ &choice_argp, 0, NULL, 0 },
	{ 0 },
};
