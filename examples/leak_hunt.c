/* SPDX-License-Identifier: MIT */
/*
 * A leak hunt in a test: a function is called a few times, and nothing may be lost.
 * No tool runs, and the function needs no hooks; the program only has to be
 * started with its blocks tracked, which this one sees to by starting itself again.
 *
 * To see where the lost blocks come from, without changing a program at all:
 *
 *	stele run -- program			or
 *	STELE_CONF=leak=exit LD_PRELOAD=libstele.so program
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <stele.h>

#define ROUNDS	5
#define NAMES	16

static char *names[NAMES];

/* Forgets what was there: the bug. */
__attribute__((noinline)) static void rename_badly(unsigned i, const char *name)
{
	names[i] = strdup(name);
}

__attribute__((noinline)) static void rename_well(unsigned i, const char *name)
{
	free(names[i]);
	names[i] = strdup(name);
}

/* How many blocks the function loses in a round, on average. */
static double lost_by(void (*rename_one)(unsigned i, const char *name))
{
	struct stele_leak_count before, after;
	char name[32];

	if (stele_leak_get_count(&before))
		exit(1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < NAMES; i++) {
			snprintf(name, sizeof(name), "name %u of round %u", i, round);
			rename_one(i, name);
		}
	}
	if (stele_leak_get_count(&after))
		exit(1);
	return (double)(after.direct.blocks - before.direct.blocks) / ROUNDS;
}

int main(int argc, char **argv)
{
	double bad, well;

	if (!stele_leak_on()) {
		if (argc > 1) {
			puts("blocks are not tracked, whatever STELE_CONF says");
			return 1;
		}
		setenv("STELE_CONF", "leak=on", 1);
		execl("/proc/self/exe", argv[0], "again", (char *)NULL);
		perror("leak_hunt: /proc/self/exe");
		return 1;
	}
	well = lost_by(rename_well);
	bad = lost_by(rename_badly);
	printf("rename_well  loses %4.1f blocks in a round\n", well);
	printf("rename_badly loses %4.1f blocks in a round\n", bad);
	for (unsigned i = 0; i < NAMES; i++)
		free(names[i]);
	/* One more or less may be seen in a register that was not used again. */
	return well < 1 && bad > NAMES - 2 ? 0 : 1;
}
