/* SPDX-License-Identifier: MIT */
#include "suppress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Does the text begin with the pattern, up to its end, or anything after it? */
static bool match_here(const char *pattern, const char *text)
{
	const char *star = NULL, *retry = NULL;

	for (;;) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = text;
		} else if (*pattern == '\0') {
			return true;
		} else if (*pattern == '$' && pattern[1] == '\0' && *text == '\0') {
			return true;
		} else if (*pattern == *text && *text) {
			pattern++;
			text++;
		} else if (star && *retry) {
			pattern = star;
			text = ++retry;
		} else {
			return false;
		}
	}
}

bool suppress_pattern(const char *pattern, const char *text)
{
	if (*pattern == '^')
		return match_here(pattern + 1, text);
	for (;; text++) {
		if (match_here(pattern, text))
			return true;
		if (*text == '\0')
			return false;
	}
}

static char *trimmed(char *line)
{
	char *end;

	line += strspn(line, " \t\r\n");
	end = line + strlen(line);
	while (end > line && strchr(" \t\r\n", end[-1]))
		*--end = '\0';
	return line;
}

static bool add_line(struct suppress *suppress, const char *file, size_t number, char *line)
{
	static const char type[] = "leak:";

	line = trimmed(line);
	if (*line == '\0' || *line == '#')
		return true;
	if (strncmp(line, type, sizeof(type) - 1) != 0) {
		complain("%s: line %zu: not of the form leak:PATTERN", file, number);
		return false;
	}
	line = trimmed(line + sizeof(type) - 1);
	if (*line == '\0') {
		complain("%s: line %zu: the pattern is empty", file, number);
		return false;
	}
	vec_push(&suppress->rules)->pattern = xstrdup(line);
	return true;
}

bool suppress_load(struct suppress *suppress, const char *file)
{
	FILE *in = fopen(file, "re");
	char *line = NULL;
	size_t room = 0, number = 0;
	bool fine = true;

	if (in == NULL) {
		complain("%s: %s", file, strerror(errno));
		return false;
	}
	while (fine && getline(&line, &room, in) >= 0)
		fine = add_line(suppress, file, ++number, line);
	if (fine && ferror(in)) {
		complain("%s: %s", file, strerror(errno));
		fine = false;
	}
	free(line);
	fclose(in);
	return fine;
}

void suppress_free(struct suppress *suppress)
{
	size_t i;

	for (i = 0; i < suppress->rules.n; i++)
		free(suppress->rules.v[i].pattern);
	vec_free(&suppress->rules);
}

static bool matches_frame(const char *pattern, const struct frame *frame)
{
	return suppress_pattern(pattern, frame->function) ||
	       (frame->file && suppress_pattern(pattern, frame->file)) ||
	       (frame->module && suppress_pattern(pattern, frame->module));
}

struct suppress_rule *suppress_match(const struct suppress *suppress, const struct trace *trace)
{
	size_t i, k;

	for (i = 0; i < suppress->rules.n; i++)
		for (k = 0; k < trace->n; k++)
			if (matches_frame(suppress->rules.v[i].pattern, trace->frames[k]))
				return &suppress->rules.v[i];
	return NULL;
}
