/* SPDX-License-Identifier: MIT */
/*
 * stele: finds leaks in programs that run on the library, and shows what uses their memory.
 */
#include "config.h"

#include "command.h"

#include <stdlib.h>
#include <string.h>

static const struct command {
	const char *name;
	const char *arguments;
	const char *help;
	int (*main)(int argc, char **argv);
} commands[] = {
	{ "run", "[OPTION...] -- PROGRAM [ARGUMENT...]",
	  "run a program and report its leaks or its heap", command_run },
	{ "leaks", "PID|FILE...", "report the leaks of a running process, or of snapshots",
	  command_leaks },
	{ "report", "FILE...", "turn snapshots into text, JSON, a web page or a profile",
	  command_report },
	{ "diff", "BEFORE AFTER", "report what grew between two snapshots", command_diff },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *out)
{
	size_t i;

	fputs("usage: stele COMMAND [OPTION...] [ARGUMENT...]\n\n", out);
	for (i = 0; i < COMMANDS; i++)
		fprintf(out, "  stele %s %s\n          %s\n", commands[i].name,
			commands[i].arguments, commands[i].help);
	fputs("\n  stele COMMAND --help    the options of a command\n"
	      "  stele --version\n\nSee stele(1).\n",
	      out);
}

static int run_command(const struct command *command, int argc, char **argv)
{
	char *name = xasprintf("stele %s", command->name);
	int status;

	argv[0] = name;
	status = command->main(argc, argv);
	free(name);
	return status;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	size_t i;

	argp_program_version = "stele " PACKAGE_VERSION;
	argp_err_exit_status = STATUS_USAGE;
	for (i = 0; i < COMMANDS; i++)
		if (strcmp(word, commands[i].name) == 0)
			return run_command(&commands[i], argc - 1, argv + 1);
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		puts(argp_program_version);
		return EXIT_SUCCESS;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	if (*word)
		complain("there is no command '%s'", word);
	usage(stderr);
	return STATUS_USAGE;
}
