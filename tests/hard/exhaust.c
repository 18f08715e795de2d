/* SPDX-License-Identifier: MIT */
/*
 * Memory runs out again and again, by blocks of one size and then of another. What was
 * freed must come back: the fifth round reaches as far as the first.
 */
#include <sys/resource.h>

#include "hard.h"

#define LIMIT (256 * MIB)
#define ROUNDS 5

static const size_t sizes[] = { 24, 1000, 40000, MIB };

/* The blocks are chained through themselves: no table that would need memory. */
static size_t exhaust(size_t n)
{
	void **chain = NULL, **p;
	size_t count = 0;

	errno = 0;
	while ((p = malloc(n)) != NULL) {
		*p = chain;
		chain = p;
		count++;
	}
	CHECK(errno == ENOMEM, "NULL with errno %d", errno);
	while (chain) {
		p = chain;
		chain = *p;
		free(p);
	}
	return count * n;
}

static void rounds(const char *what)
{
	size_t first[ARRAY_LEN(sizes)] = { 0 };
	size_t i, got;
	int round;

	for (round = 1; round <= ROUNDS; round++) {
		for (i = 0; i < ARRAY_LEN(sizes); i++) {
			got = exhaust(sizes[i]);
			if (round == 1)
				first[i] = got;
			CHECK(got >= first[i] / 10 * 9,
			      "%s, blocks of %zu: round %d got %zu KiB, round 1 %zu KiB", what,
			      sizes[i], round, got / KIB, first[i] / KIB);
			CHECK(got >= LIMIT / 4, "%s, blocks of %zu: only %zu KiB", what,
			      sizes[i], got / KIB);
		}
	}
}

static void run_under(__rlimit_resource_t resource, const char *what)
{
	struct rlimit lim = { LIMIT, LIMIT };
	pid_t pid = fork();

	CHECK(pid >= 0, "fork: errno %d", errno);
	if (pid == 0) {
		CHECK(setrlimit(resource, &lim) == 0, "setrlimit: errno %d", errno);
		rounds(what);
		_exit(0);
	}
	hard_reap(pid, what);
}

int main(void)
{
	run_under(RLIMIT_AS, "RLIMIT_AS");
	run_under(RLIMIT_DATA, "RLIMIT_DATA");
	return 0;
}
