/* SPDX-License-Identifier: MIT */
/*
 * Of a batch of blocks that the allocator fetched, what it has left on a stack and in registers must
 * not hold those that the program gets later; scene "residue". All on one CPU, whose batch it is.
 */
#include "truth.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

#define REST 12		/* of a batch */

static void stay_on_one_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	NEED(sched_setaffinity(0, sizeof(one), &one) == 0);
}

/* An alternate stack is a mapping like others: what lies below its pointer counts too. */
CALLED("residue", case_first_on_mapping, "direct|reachable 1 40", void, (int signal))
{
	(void)signal;
	use(malloc(40));
}

CASE("residue", case_after_mapping, "direct 12 480")
{
	const size_t size = 1 << 16;
	stack_t alternate = {.ss_size = size};
	struct sigaction action = {.sa_handler = case_first_on_mapping, .sa_flags = SA_ONSTACK};

	stay_on_one_cpu();
	alternate.ss_sp = mmap(NULL, size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(alternate.ss_sp != MAP_FAILED && sigaltstack(&alternate, NULL) == 0);
	NEED(sigaction(SIGUSR1, &action, NULL) == 0 && raise(SIGUSR1) == 0);
	for (int i = 0; i < REST; i++)
		use(malloc(40));
}

/* A thread that calculates has its vector registers in use. */
CALLED("residue", case_first_in_registers, "direct 1 24", void *, (void *arg))
{
	use(malloc(24));
	scrub();
	sleeper_is_ready();
	for (;;)
		use(arg);
	return arg;
}

CALLED("residue", case_after_registers, "direct 12 288", void, (void))
{
	for (int i = 0; i < REST; i++)
		use(malloc(24));
}

STEP("residue", make_after_registers)
{
	stay_on_one_cpu();
	start_sleeper(case_first_in_registers, NULL);
	case_after_registers();
}
