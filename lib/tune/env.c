/* SPDX-License-Identifier: MIT */
/*
 * The environment: glibc's own variables, GLIBC_TUNABLES and STELE_CONF.
 * Later sources win. Nothing is read in secure mode; the caller sees to that.
 */
#include "os/bug.h"
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
			const char *v = tunables[id].glibc ? after(name, tunables[id].glibc) : NULL;

			if (v && *v == '=')
				tune_set_text((enum tune_id)id, v + 1, ":", TUNE_GLIBC);
		}
	}
}

static void print_help(void)
{
	static const char *const source[] = {
		"default", "environment", "GLIBC_TUNABLES", "STELE_CONF", "mallopt",
	};

	for (int id = 0; id < NR_TUNABLES; id++)
		report("%-16s %12lu  %-15s %s", tunables[id].name,
		       (unsigned long)tune_value((enum tune_id)id),
		       source[tune_source((enum tune_id)id)], tunables[id].help);
}

static void unknown_name(const char *s)
{
	char name[33];
	size_t n = 0;

	while (n < sizeof(name) - 1 && s[n] && s[n] != '=' && s[n] != ',') {
		name[n] = s[n];
		n++;
	}
	name[n] = '\0';
	warn("STELE_CONF: unknown name '%s' ignored", name);
}

static void read_conf(const char *s)
{
	bool help = false;

	for (; *s; s = skip_item(s, ',')) {
		const char *v = after(s, "help");
		int id;

		if (*s == ',')
			continue;
		if (v && (!*v || *v == ',')) {
			help = true;
			continue;
		}
		for (id = 0; id < NR_TUNABLES; id++) {
			v = after(s, tunables[id].name);
			if (v && *v == '=') {
				tune_set_text((enum tune_id)id, v + 1, ",", TUNE_CONF);
				break;
			}
		}
		if (id == NR_TUNABLES)
			unknown_name(s);
	}
	if (help)
		print_help();
}

void tune_read_environment(char **envp)
{
	const char *s;

	for (int id = 0; id < NR_TUNABLES; id++) {
		if (tunables[id].env && (s = find_env(envp, tunables[id].env)))
			tune_set_text((enum tune_id)id, s, "", TUNE_ENVIRONMENT);
	}
	if ((s = find_env(envp, "GLIBC_TUNABLES")))
		read_glibc_tunables(s);
	if ((s = find_env(envp, "STELE_CONF")))
		read_conf(s);
}
