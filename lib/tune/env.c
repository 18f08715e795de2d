/* SPDX-License-Identifier: MIT */
/*
 * Where values come from: the file, if configure named one; glibc's own
 * variables, GLIBC_TUNABLES and STELE_CONF. Later sources win. In secure mode
 * the environment is not read; the caller sees to that.
 */
#include "os/bug.h"
#include "os/os.h"
#include "tune/tune.h"

/* The rest of @s after @prefix, or NULL. */
static const char *after(const char *s, const char *prefix)
{
	while (*prefix) {
		if (*s++ != *prefix++)
			return NULL;
	}
	return s;
}

static const char *find_env(char **envp, const char *name)
{
	for (; *envp; envp++) {
		const char *v = after(*envp, name);

		if (v && *v == '=')
			return v + 1;
	}
	return NULL;
}

static const char *skip_item(const char *s, char sep)
{
	while (*s && *s != sep)
		s++;
	return *s ? s + 1 : s;
}

static void read_glibc_tunables(const char *s)
{
	for (; *s; s = skip_item(s, ':')) {
		const char *name = after(s, "glibc.malloc.");

		if (!name)
			continue;
		for (int id = 0; id < NR_TUNABLES; id++) {
			const char *v = tunables[id].glibc[0] ? after(name, tunables[id].glibc) : NULL;

			if (v && *v == '=')
				tune_set_text((enum tune_id)id, v + 1, ":", TUNE_GLIBC);
		}
	}
}

static const char *const source_names[] = {
	"default", "file", "environment", "GLIBC_TUNABLES", "STELE_CONF", "mallopt",
};
static_assert(ARRAY_SIZE(source_names) == TUNE_MALLOPT + 1, "one name per source");

/* What is to be printed when all sources are read. */
static bool want_help __initdata, want_confirm __initdata;

static void print_wanted(void)
{
	for (int i = 0; i < NR_TUNABLES; i++) {
		enum tune_id id = (enum tune_id)i;
		const char *source = source_names[tune_source(id)];
		char value[64];

		tune_format(id, value, sizeof(value));
		if (want_help)
			report("%-16s %12s  %-15s %s", tunables[id].name, value, source,
			       tunables[id].help);
		else if (want_confirm)
			report("stele: %s=%s (%s)", tunables[id].name, value, source);
	}
}

/* Of a list: an item ends at a comma, a line or the text. */
#define STOPS ",\n"

static bool at_stop(const char *s)
{
	return !*s || *s == ',' || *s == '\n';
}

static void unknown_name(const char *s, enum tune_source source)
{
	char name[33];
	size_t n = 0;

	while (n < sizeof(name) - 1 && !at_stop(s + n) && s[n] != '=') {
		name[n] = s[n];
		n++;
	}
	name[n] = '\0';
	warn("%s: unknown name '%s' ignored", source_names[source], name);
}

static void read_item(const char *s, enum tune_source source)
{
	const char *v;

	if ((v = after(s, "help")) && at_stop(v)) {
		want_help = true;
		return;
	}
	if ((v = after(s, "confirm")) && at_stop(v)) {
		want_confirm = true;
		return;
	}
	for (int id = 0; id < NR_TUNABLES; id++) {
		v = after(s, tunables[id].name);
		if (v && *v == '=') {
			tune_set_text((enum tune_id)id, v + 1, STOPS, source);
			return;
		}
	}
	unknown_name(s, source);
}

static void read_list(const char *s, enum tune_source source)
{
	while (*s) {
		while (*s == ' ' || *s == '\t')
			s++;
		if (*s == '#') {
			s = skip_item(s, '\n');
			continue;
		}
		if (!at_stop(s))
			read_item(s, source);
		while (!at_stop(s))
			s++;
		s += *s != '\0';
	}
}

void tune_read_file(const char *path)
{
	static char text[4096];		/* names stay where they are */
	long n = os_read_file(path, text, sizeof(text) - 1);

	if (n < 0)
		return;
	if (n == sizeof(text) - 1)
		warn("%s: longer than %lu bytes, the rest is ignored", path, (unsigned long)n);
	text[n] = '\0';
	read_list(text, TUNE_FILE);
}

/*
 * Told by three letters, which are in the code: most programs are told nothing, and shall
 * not map the pages of the table for that.
 */
__init bool tune_is_told(char **envp)
{
	for (; *envp; envp++) {
		const char *s = *envp;

		if ((s[0] == 'S' && s[1] == 'T' && s[2] == 'E') ||
		    (s[0] == 'M' && s[1] == 'A' && s[2] == 'L') ||
		    (s[0] == 'G' && s[1] == 'L' && s[2] == 'I'))
			return true;
	}
	return false;
}

void tune_read_environment(char **envp)
{
	const char *s;

	for (int id = 0; id < NR_TUNABLES; id++) {
		if (tunables[id].env[0] && (s = find_env(envp, tunables[id].env)))
			tune_set_text((enum tune_id)id, s, "", TUNE_ENVIRONMENT);
	}
	if ((s = find_env(envp, "GLIBC_TUNABLES")))
		read_glibc_tunables(s);
	if ((s = find_env(envp, "STELE_CONF")))
		read_list(s, TUNE_CONF);
	if (want_help || want_confirm)
		print_wanted();
}
