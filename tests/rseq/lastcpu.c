/* SPDX-License-Identifier: MIT */
/*
 * A process that is born on the last CPU alone, so that the first number it sees may be any;
 * then it gets all CPUs back.
 */
#include "owner.h"

#define THREADS 4
#define ROUNDS 400
#define SECONDS 0.5

static void *worker(void *arg)
{
	struct owner owner;

	owner_init(&owner, (unsigned)(uintptr_t)arg, 2048);
	owner_run(&owner, ROUNDS, SECONDS);
	owner_end(&owner);
	return NULL;
}

static void run_threads(void)
{
	pthread_t t[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		owner_start(&t[i], worker, (void *)i);
	for (int i = 0; i < THREADS; i++)
		hard_join(t[i]);
}

static void born_again(char **argv)
{
	char mask[sizeof(cpu_set_t) * 2 + 1];
	char *again[] = { argv[0], mask, NULL };
	cpu_set_t all, last;

	CHECK(!sched_getaffinity(0, sizeof(all), &all), "errno %d", errno);
	for (size_t i = 0; i < sizeof(all); i++)
		snprintf(mask + 2 * i, 3, "%02x", ((unsigned char *)&all)[i]);
	last = owner_cpu(&all, (unsigned)CPU_COUNT(&all) - 1);
	CHECK(!sched_setaffinity(0, sizeof(last), &last), "errno %d", errno);
	execv("/proc/self/exe", again);
	CHECK(0, "execv: errno %d", errno);
}

int main(int argc, char **argv)
{
	cpu_set_t all;

	if (argc < 2)
		born_again(argv);
	run_threads();
	for (size_t i = 0; i < sizeof(all); i++) {
		char two[3] = { argv[1][2 * i], argv[1][2 * i + 1], 0 };

		((unsigned char *)&all)[i] = (unsigned char)strtoul(two, NULL, 16);
	}
	CHECK(!sched_setaffinity(0, sizeof(all), &all), "errno %d", errno);
	run_threads();
	return 0;
}
