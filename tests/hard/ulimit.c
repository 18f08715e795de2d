/* SPDX-License-Identifier: MIT */
/*
 * A small address space from the first instruction on: at least half of it can be
 * allocated, then comes NULL with ENOMEM, and all of that works a second time.
 */
#include <sys/resource.h>

#include "hard.h"

#define UNIT (64 * KIB)
#define MAX_UNITS 16384

static void *unit[MAX_UNITS];

static size_t fill_up(void)
{
	size_t n;

	for (n = 0; n < MAX_UNITS; n++) {
		errno = 0;
		unit[n] = malloc(UNIT);
		if (!unit[n])
			break;
		hard_fill(unit[n], UNIT, n);
	}
	CHECK(n < MAX_UNITS, "the limit was never met");
	CHECK(errno == ENOMEM, "NULL with errno %d", errno);
	return n;
}

static void give_back(size_t n)
{
	while (n--) {
		hard_verify(unit[n], UNIT, n);
		free(unit[n]);
	}
}

static void limited(size_t mib)
{
	size_t want = mib * MIB / UNIT / 2;
	size_t first, second;
	void *p;

	first = fill_up();
	CHECK(first >= want, "only %zu KiB of %zu MiB", first * UNIT / KIB, mib);
	give_back(first);
	second = fill_up();
	CHECK(second >= want, "second time only %zu KiB of %zu MiB", second * UNIT / KIB, mib);
	give_back(second);
	p = hard_malloc(mib * MIB / 3);
	free(p);
}

static void run_under(const char *self, const char *mib)
{
	rlim_t bytes = (rlim_t)strtoul(mib, NULL, 10) * MIB;
	struct rlimit lim = { bytes, bytes };
	pid_t pid = fork();

	CHECK(pid >= 0, "fork: errno %d", errno);
	if (pid == 0) {
		CHECK(setrlimit(RLIMIT_AS, &lim) == 0, "setrlimit: errno %d", errno);
		execl("/proc/self/exe", self, mib, (char *)NULL);
		CHECK(0, "exec: errno %d", errno);
	}
	hard_reap(pid, mib);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		limited(strtoul(argv[1], NULL, 10));
		return 0;
	}
	run_under(argv[0], "64");
	run_under(argv[0], "512");
	return 0;
}
