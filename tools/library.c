/* SPDX-License-Identifier: MIT */
/*
 * The library is sought where STELE_LIB says; beside the tool, if that is still in its build tree;
 * where it was installed; and in ../lib seen from the tool, if both were moved.
 */
#include "library.h"

#include "util.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The path if it can be read and fits into LD_PRELOAD, else NULL. Takes it over. */
static char *usable(char *path)
{
	char *real = realpath(path, NULL);

	free(path);
	if (real && access(real, R_OK) == 0)
		return real;
	free(real);
	return NULL;
}

/* The directory of the tool itself, "" if it is not known. */
static void own_directory(char dir[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", dir, PATH_MAX - 1);
	char *slash;

	dir[len > 0 ? len : 0] = '\0';
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
}

char *library_find(void)
{
	static const char *const beside[] = { "/../lib/.libs/libstele.so",
					      "/../lib/libstele.so.1" };
	static const char *const installed[] = { "/libstele.so.1", "/libstele.so" };
	const char *named = getenv("STELE_LIB");
	char dir[PATH_MAX], *found = NULL;

	own_directory(dir);
	if (named && *named) {
		found = usable(xstrdup(named));
		if (found == NULL)
			complain("STELE_LIB: %s: not a readable file", named);
	} else if (!(found = usable(xasprintf("%s%s", dir, beside[0]))) &&
		   !(found = usable(xasprintf("%s%s", LIBDIR, installed[0]))) &&
		   !(found = usable(xasprintf("%s%s", LIBDIR, installed[1])))) {
		found = usable(xasprintf("%s%s", dir, beside[1]));
		if (found == NULL)
			complain("libstele.so is not in %s: name it in STELE_LIB", LIBDIR);
	}
	if (found && strpbrk(found, " :\t\n")) {
		complain("%s: LD_PRELOAD cannot name a path with spaces or colons", found);
		free(found);
		found = NULL;
	}
	return found;
}

/* Sets a variable to the two texts and what stands between them; one that is empty is left out. */
static void join(const char *name, const char *first, char between, const char *second)
{
	char *value;

	if (*first && *second)
		value = xasprintf("%s%c%s", first, between, second);
	else
		value = xstrdup(*first ? first : second);
	setenv(name, value, 1);
	free(value);
}

void library_preload(const char *library)
{
	const char *old = getenv("LD_PRELOAD");

	join("LD_PRELOAD", library, ':', old ? old : "");
}

void library_configure(const char *settings)
{
	const char *old = getenv("STELE_CONF");

	join("STELE_CONF", old ? old : "", ',', settings);
}
