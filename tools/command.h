/* SPDX-License-Identifier: MIT */
/*
 * The sub-commands, and the options that several of them take.
 */
#ifndef STELE_TOOL_COMMAND_H
#define STELE_TOOL_COMMAND_H

#include "form.h"

#include <argp.h>

/* Each returns an exit status; argv[0] is for messages. */
int command_run(int argc, char **argv);
int command_leaks(int argc, char **argv);
int command_report(int argc, char **argv);
int command_diff(int argc, char **argv);

/* What to report and how; input of the parser below. */
struct choice {
	struct filter filter;
	const struct form *form;	/* NULL: not named */
	const char *output;		/* NULL: not named */
};

/* The options for it. */
extern const struct argp_child choice_children[];

/* The form that was named, or that the file's name asks for, else text. */
const struct form *choice_form(const struct choice *choice);

/* Reads the files and writes one report of them; an exit status. Frees what choice holds. */
int report_files(struct choice *choice, char **files, size_t n);

/* The number of an option, or an end with a message about its usage. */
uint64_t option_number(const char *arg, const char *what, struct argp_state *state);

#endif
