/* SPDX-License-Identifier: MIT */
/*
 * stele run [OPTION...] -- PROGRAM [ARGUMENT...]
 */
#include "collect.h"
#include "command.h"
#include "launch.h"
#include "library.h"
#include "stragglers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* For those that the program has not waited for. */
#define WAIT_MS 2000
/* Between the first points of the history; the library makes it more as time goes on. */
#define HISTORY_MS 5

enum what { RUN_LEAKS, RUN_LIST, RUN_PROFILE };

enum {
	OPTION_LEAKS = 1024,
	OPTION_LIST,
	OPTION_PROFILE,
	OPTION_UNWIND,
	OPTION_DEPTH,
	OPTION_INTERVAL,
	OPTION_FREE_STACKS,
	OPTION_EXIT_CODE,
	OPTION_YOUNG,
	OPTION_WAIT,
};

struct arguments {
	struct choice choice;
	enum what what;
	const char *profile; /* bytes, NULL: the library's default */
	const char *unwind;
	uint64_t depth, interval, young; /* 0: not named; young in ms */
	uint64_t wait;			 /* ms */
	bool free_stacks;
	uint64_t exit_code; /* 0: off */
	char **program;
};

/* A number of bytes as STELE_CONF takes it, and not 0. */
static bool is_size(const char *arg)
{
	size_t n = strspn(arg, "0123456789");

	return n > strspn(arg, "0") &&
	       (arg[n] == '\0' || (strchr("KMGTkmgt", arg[n]) && arg[n + 1] == '\0'));
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	static const char *const unwinders[] = { "auto", "fp", "libunwind", "none" };
	struct arguments *arguments = state->input;
	size_t i;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->choice;
		return 0;
	case OPTION_LEAKS:
		arguments->what = RUN_LEAKS;
		return 0;
	case OPTION_LIST:
		arguments->what = RUN_LIST;
		return 0;
	case OPTION_PROFILE:
		arguments->what = RUN_PROFILE;
		arguments->profile = arg;
		if (arg && !is_size(arg))
			argp_error(state, "--profile: '%s' is not a size such as 65536 or 512K",
				   arg);
		return 0;
	case OPTION_UNWIND:
		for (i = 0; i < 4 && strcmp(arg, unwinders[i]) != 0; i++)
			;
		if (i == 4)
			argp_error(state, "--unwind: not one of auto, fp, libunwind, none: '%s'",
				   arg);
		arguments->unwind = arg;
		return 0;
	case OPTION_DEPTH:
		arguments->depth = option_number(arg, "--depth", state);
		return 0;
	case OPTION_INTERVAL:
		arguments->interval = option_number(arg, "--interval", state);
		return 0;
	case OPTION_YOUNG:
		if (!parse_ms(arg, &arguments->young))
			argp_error(state, "--young: '%s' is not a time such as 500ms, 10s or 2m",
				   arg);
		return 0;
	case OPTION_WAIT:
		if (!parse_ms(arg, &arguments->wait))
			argp_error(state, "--wait: '%s' is not a time such as 500ms, 10s or 2m",
				   arg);
		return 0;
	case OPTION_FREE_STACKS:
		arguments->free_stacks = true;
		return 0;
	case OPTION_EXIT_CODE:
		arguments->exit_code = option_number(arg, "--leak-exit-code", state);
		if (arguments->exit_code > 255)
			argp_error(state, "--leak-exit-code: above 255");
		return 0;
	case ARGP_KEY_ARGS:
		arguments->program = state->argv + state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which program?");
		return 0;
	case ARGP_KEY_SUCCESS:
		if (arguments->choice.form && arguments->choice.form != &forms[FORM_text] &&
		    arguments->choice.output == NULL)
			argp_error(state, "--%s: name a file with -o",
				   arguments->choice.form->name);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What to look for:", 1 },
	{ "leaks", OPTION_LEAKS, NULL, 0, "blocks that nothing points to at the end (default)", 1 },
	{ "list", OPTION_LIST, NULL, 0, "blocks that were not freed, whatever points to them", 1 },
	{ "profile", OPTION_PROFILE, "BYTES", OPTION_ARG_OPTIONAL,
	  "what uses the memory, by a sample per so many bytes", 1 },
	{ "unwind", OPTION_UNWIND, "HOW", 0, "how to find callers: auto, fp, libunwind, none", 1 },
	{ "depth", OPTION_DEPTH, "N", 0, "frames to keep of a stack", 1 },
	{ "free-stacks", OPTION_FREE_STACKS, NULL, 0, "keep the stacks of free() too", 1 },
	{ "interval", OPTION_INTERVAL, "SECONDS", 0, "take a snapshot this often as well", 1 },
	{ "young", OPTION_YOUNG, "TIME", 0,
	  "blocks that nothing points to are young, not lost, up to this age", 1 },
	{ "wait", OPTION_WAIT, "TIME", 0,
	  "how long to wait for processes that the program leaves running (2s)", 1 },
	{ "leak-exit-code", OPTION_EXIT_CODE, "N", 0,
	  "exit with N if blocks are lost and the program succeeded", 1 },
	{ 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "PROGRAM [ARGUMENT...]",
	.doc = "Run a program on Stele and report its leaks or its heap when it ends: on standard "
	       "error, or in the file that -o names. Without a known suffix that gets the snapshot "
	       "itself. "
	       "Child processes are reported too. The exit status is the program's.",
	.children = choice_children,
};

static void add(char **settings, const char *name, const char *value)
{
	char *more = xasprintf("%s%s%s=%s", *settings, **settings ? "," : "", name, value);

	free(*settings);
	*settings = more;
}

static void add_number(char **settings, const char *name, uint64_t value)
{
	char text[24];

	if (value == 0)
		return;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	add(settings, name, text);
}

/* Will the report have a picture of the size over time? */
static bool has_picture(const struct choice *choice)
{
	const struct form *form = choice->form;
	size_t at;

	if (form == NULL && choice->output)
		form = form_of_file(choice->output, &at);
	return form == &forms[FORM_html];
}

static void configure(const struct arguments *arguments, const char *dir)
{
	char *settings = xstrdup(""), *output = xasprintf("%s/%%p-%%e-%%n.snapshot", dir);

	if (arguments->what == RUN_PROFILE)
		add(&settings, "profile", arguments->profile ? arguments->profile : "512K");
	else
		add(&settings, "leak", "exit");
	if (arguments->what == RUN_LIST)
		add(&settings, "scan", "off");
	add(&settings, arguments->what == RUN_PROFILE ? "profile_output" : "leak_output", output);
	if (arguments->unwind)
		add(&settings, "unwind", arguments->unwind);
	if (arguments->free_stacks)
		add(&settings, "free_stacks", "on");
	add_number(&settings, "depth", arguments->depth);
	add_number(&settings, "leak_young", arguments->young);
	/* so that `stele leaks PID` can ask; numbers near the top are the least used */
	add_number(&settings, "leak_signal", (uint64_t)SIGRTMAX - 3);
	add_number(&settings, "leak_interval", arguments->interval);
	if (has_picture(&arguments->choice))
		add_number(&settings, "leak_history", HISTORY_MS);
	library_configure(settings);
	free(output);
	free(settings);
}

/* Said before the program runs rather than after it. */
static bool can_write(const char *file)
{
	bool there = access(file, F_OK) == 0;
	int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);

	if (fd < 0) {
		complain("%s: %s", file, strerror(errno));
		return false;
	}
	close(fd);
	if (!there)
		unlink(file);
	return true;
}

static const char *why_no_snapshot(int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return "was killed before it could leave a snapshot";
	return "left no snapshot: is it privileged, or linked statically?";
}

int command_run(int argc, char **argv)
{
	struct arguments arguments = { .wait = WAIT_MS };
	struct choice *choice = &arguments.choice;
	char *library, *dir, *why;
	bool fine, lost;
	int status;
	pid_t pid;

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &arguments);
	if (choice->output && !can_write(choice->output))
		return STATUS_TROUBLE;
	library = library_find();
	dir = library ? collect_directory() : NULL;
	if (dir == NULL) {
		free(library);
		return STATUS_TROUBLE;
	}
	library_preload(library);
	free(library);
	configure(&arguments, dir);
	status = launch(arguments.program, &pid);
	if (status == -1) {
		collect_remove(dir);
		free(dir);
		return pid;
	}
	stragglers_wait(dir, arguments.wait);
	why = xasprintf("%s: %s", arguments.program[0], why_no_snapshot(status));
	fine = collect(dir, pid, why, choice, &lost);
	free(why);
	collect_remove(dir);
	free(dir);
	suppress_free(&choice->filter.suppress);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		if (lost && arguments.exit_code)
			return (int)arguments.exit_code;
		if (!fine)
			return STATUS_TROUBLE;
	}
	launch_end_like(status);
}
