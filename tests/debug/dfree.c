/* SPDX-License-Identifier: MIT */
/*
 * For modes.sh: frees a block twice, or a pointer into it ("inside"), or only once ("once"); its
 * stacks are known by their functions' names.
 */
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))
#define STAY()	__asm__ __volatile__("" ::: "memory")

NOINLINE static void *allocate_c(const char *how)
{
	void *p = !strcmp(how, "calloc") ? calloc(10, 10) :
		  !strcmp(how, "realloc") ? realloc(malloc(8), 100) :
		  !strcmp(how, "memalign") ? aligned_alloc(64, 128) :
		  !strcmp(how, "large") ? malloc(100000) :
		  !strcmp(how, "mapped") ? malloc(8 << 20) : malloc(100);

	STAY();
	return p;
}

NOINLINE static void *allocate_b(const char *how)
{
	volatile char room[200];
	void *p;

	room[0] = 0;
	p = allocate_c(how);
	STAY();
	return room[0] ? NULL : p;
}

NOINLINE static void *allocate_a(const char *how)
{
	void *p = allocate_b(how);

	STAY();
	return p;
}

NOINLINE static void release_b(void *p)
{
	free(p);
	STAY();
}

NOINLINE static void release_a(void *p)
{
	release_b(p);
	STAY();
}

int main(int argc, char **argv)
{
	void *volatile p = allocate_a(argc > 1 ? argv[1] : "malloc");

	if (argc > 2 && !strcmp(argv[2], "inside"))
		p = (char *)p + 32;
	release_a(p);
	if (argc > 2)
		return 0;
	free(p);
	return 0;
}
