/* SPDX-License-Identifier: MIT */
/* Asks whether the library named in STELE_LIB is mapped here and malloc is its malloc. */
#include <dlfcn.h>
#include <limits.h>

#include "hard.h"

int main(void)
{
	const char *lib = getenv("STELE_LIB");
	char line[PATH_MAX + 128], want[PATH_MAX], from[PATH_MAX];
	Dl_info info;
	FILE *f = fopen("/proc/self/maps", "r");
	int mapped = 0;

	CHECK(lib, "STELE_LIB is not set");
	CHECK(realpath(lib, want), "%s: errno %d", lib, errno);
	CHECK(f, "no /proc/self/maps");
	while (fgets(line, sizeof(line), f))
		if (strstr(line, want))
			mapped = 1;
	fclose(f);
	CHECK(mapped, "%s is not in /proc/self/maps", want);
	CHECK(dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) && info.dli_fname, "dladdr");
	CHECK(realpath(info.dli_fname, from) && strcmp(from, want) == 0, "malloc comes from %s",
	      info.dli_fname);
	return 0;
}
