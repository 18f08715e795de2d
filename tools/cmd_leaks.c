/* SPDX-License-Identifier: MIT */
/*
 * stele leaks PID|FILE...
 */
#include "command.h"
#include "live.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct arguments {
	struct choice choice;
	VEC(char *) names;
	uint64_t timeout; /* ms */
};

enum { OPTION_TIMEOUT = 1024 };

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->choice;
		return 0;
	case OPTION_TIMEOUT:
		if (!parse_ms(arg, &arguments->timeout))
			argp_error(state, "--timeout: '%s' is not a time such as 500ms, 10s or 2m",
				   arg);
		return 0;
	case ARGP_KEY_ARG:
		*vec_push(&arguments->names) = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which process, or which file?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "timeout", OPTION_TIMEOUT, "TIME", 0, "how long to wait for a process (default 10s)", 1 },
	{ 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "PID|FILE...",
	.doc = "Ask a running process for its leaks, or report those of a snapshot. The process "
	       "must have been "
	       "started with leak=on or leak=exit in STELE_CONF, as stele run does.",
	.children = choice_children,
};

/* A name that is a number, and not that of a file. */
static bool is_pid(const char *name)
{
	return *name && name[strspn(name, "0123456789")] == '\0' && access(name, F_OK) != 0;
}

int command_leaks(int argc, char **argv)
{
	struct arguments arguments = { .timeout = 10000 };
	bool fine = true;
	int status = STATUS_TROUBLE;
	size_t i;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	for (i = 0; i < arguments.names.n && fine; i++) {
		char **name = &arguments.names.v[i];

		*name = is_pid(*name) ? live_snapshot(*name, arguments.timeout) : xstrdup(*name);
		fine = *name != NULL;
	}
	if (fine)
		status = report_files(&arguments.choice, arguments.names.v, arguments.names.n);
	else
		suppress_free(&arguments.choice.filter.suppress);
	while (i-- > 0)
		free(arguments.names.v[i]);
	vec_free(&arguments.names);
	return status;
}
