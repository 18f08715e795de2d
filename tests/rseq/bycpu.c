/* SPDX-License-Identifier: MIT */
/*
 * A kernel before 6.3 has no mm_cid: sheaves go by the CPU's number, with holes where the
 * process does not run. Told by a getauxval() that reports the size of the older rseq area.
 */
#include <elf.h>

#include "owner.h"

#define THREADS 4
#define ROUNDS 400
#define SECONDS 0.4
#define AT_RSEQ_SIZE 27
#define SIZE_BEFORE_MM_CID 20

extern void *__libc_stack_end;
unsigned long getauxval(unsigned long type);

static unsigned asked;
static cpu_set_t all;

/* Called before libc is ready: from the process's stack, by hand. */
unsigned long getauxval(unsigned long type)
{
	long argc = *(long *)__libc_stack_end;
	char **env = (char **)__libc_stack_end + 1 + argc + 1;
	Elf64_auxv_t *aux;

	if (type == AT_RSEQ_SIZE) {
		asked++;
		return SIZE_BEFORE_MM_CID;
	}
	while (*env)
		env++;
	for (aux = (Elf64_auxv_t *)(env + 1); aux->a_type != AT_NULL; aux++)
		if (aux->a_type == type)
			return aux->a_un.a_val;
	errno = ENOENT;
	return 0;
}

static void *worker(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	struct owner owner;

	owner_init(&owner, me, 2048);
	for (unsigned i = 0; i < 20; i++) {
		cpu_set_t one = owner_cpu(&all, me + i);

		sched_setaffinity(0, sizeof(one), &one);
		owner_run(&owner, ROUNDS / 20, SECONDS / 20);
	}
	owner_end(&owner);
	return NULL;
}

int main(void)
{
	struct owner owner;
	pthread_t t[THREADS];
	cpu_set_t last;
	const char *conf = getenv("STELE_CONF");

	CHECK(!sched_getaffinity(0, sizeof(all), &all), "errno %d", errno);
	last = owner_cpu(&all, (unsigned)CPU_COUNT(&all) - 1);
	CHECK(!sched_setaffinity(0, sizeof(last), &last), "errno %d", errno);
	owner_init(&owner, THREADS, 2048);
	owner_run(&owner, ROUNDS, SECONDS);
	for (uintptr_t i = 0; i < THREADS; i++)
		owner_start(&t[i], worker, (void *)i);
	for (int i = 0; i < THREADS; i++)
		hard_join(t[i]);
	owner_end(&owner);
	if (hard_on_stele() && !(conf && strstr(conf, "locked")))
		CHECK(asked, "nobody asked for the size of the area");
	return 0;
}
