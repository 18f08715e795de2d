/* SPDX-License-Identifier: MIT */
#include "form.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FORM_ROW(name, suffix, help, show, one_process, binary) \
	{ #name, suffix, help, report_##name, show, one_process, binary },
const struct form forms[FORM_COUNT] = { FORMS(FORM_ROW) };

const struct form *form_of_file(const char *file, size_t *suffix)
{
	size_t len = strlen(file), i, n;

	for (i = 0; i < FORM_COUNT; i++) {
		n = strlen(forms[i].suffix);
		if (len <= n || strcmp(file + len - n, forms[i].suffix) != 0)
			continue;
		*suffix = len - n;
		return &forms[i];
	}
	*suffix = len;
	return NULL;
}

FILE *output_open(const char *file)
{
	FILE *out = file ? fopen(file, "we") : stdout;

	if (out == NULL)
		complain("%s: %s", file, strerror(errno));
	return out;
}

bool output_close(FILE *out, const char *file)
{
	bool failed = ferror(out);

	errno = failed ? EIO : 0;
	if (out == stdout || out == stderr)
		failed |= fflush(out) != 0;
	else
		failed |= fclose(out) != 0;
	if (failed)
		complain("%s: %s", file ? file : "standard output", strerror(errno));
	return !failed;
}

bool form_write(const struct form *form, const struct report *report, const char *file)
{
	FILE *out;

	if (form->one_process && report->snaps.n > 1) {
		complain("the form --%s holds one process, not %zu", form->name, report->snaps.n);
		return false;
	}
	if (form->binary && file == NULL && isatty(STDOUT_FILENO)) {
		complain("--%s is not for terminals: name a file with -o", form->name);
		return false;
	}
	out = output_open(file);
	if (out == NULL)
		return false;
	form->write(out, report);
	return output_close(out, file);
}
