/* SPDX-License-Identifier: MIT */
/* What the program says of its blocks by the functions of <stele/leak.h>; scene "said". */
#include "truth.h"

#include <errno.h>

#include "stele/leak.h"

/* The program is run on libc as well, but not this scene. */
#pragma weak stele_leak_not_leak
#pragma weak stele_leak_ignore
#pragma weak stele_leak_add_root
#pragma weak stele_leak_remove_root

/* A block for another one to point to. */
#define CHILD(name, size, want) \
	CALLED("said", name, want, void *, (void)) \
	{ \
		void *p = malloc(size); \
\
		use(p); \
		return p; \
	}

CHILD(case_of_no_leak, 611, "reachable 1 611 root=says")
CHILD(case_of_ignored, 612, "direct 1 612")
CHILD(case_of_ignored_held, 613, "direct 1 613")
CHILD(case_in_range, 614, "reachable 1 614 root=says")
CHILD(case_behind_range, 615, "indirect 1 615 via=^case_range<")
CHILD(case_in_removed, 616, "indirect 1 616 via=^case_removed<")

CASE("said", case_no_leak, "reachable 1 601 root=says")
{
	void **p = calloc(1, 601);

	p[7] = case_of_no_leak();
	NEED(stele_leak_not_leak(p) == 0);
	use(p);
}

CASE("said", case_ignored, "reachable 1 602 root=says")
{
	void **p = calloc(1, 602);

	p[7] = case_of_ignored();
	NEED(stele_leak_ignore(p) == 0);
	use(p);
}

/* Held all the same, and yet not looked into. */
static void *held_ignored;
CASE("said", case_ignored_held, "reachable 1 603")
{
	void **p = calloc(1, 603);

	p[7] = case_of_ignored_held();
	NEED(stele_leak_ignore(p) == 0);
	HOLD(held_ignored, p);
}

/* A lost block with a range in it that the program can see. */
CASE("said", case_range, "direct 1 604")
{
	void **p = calloc(1, 604);

	p[8] = case_in_range();
	p[16] = case_behind_range();
	NEED(stele_leak_add_root(&p[4], 10 * sizeof(*p)) == 0);
	use(p);
}

CASE("said", case_removed, "direct 1 605")
{
	void **p = calloc(1, 605);

	p[8] = case_in_removed();
	NEED(stele_leak_add_root(&p[4], 10 * sizeof(*p)) == 0);
	NEED(stele_leak_remove_root(&p[4], 9 * sizeof(*p)) == -ENOENT);
	NEED(stele_leak_remove_root(&p[4], 10 * sizeof(*p)) == 0);
	NEED(stele_leak_remove_root(&p[4], 10 * sizeof(*p)) == -ENOENT);
	use(p);
}

/* What is said of a block is not said of the next at its address, */
APART static uintptr_t said_and_freed(void)
{
	void *p = malloc(606);

	NEED(stele_leak_not_leak(p) == 0);
	free(p);
	return hide(p);
}

CASE("said", case_at_the_same_place, "direct 1 606")
{
	uintptr_t before = said_and_freed();

	/* The latest one freed is the next. */
	NEED(hide(malloc(606)) == before);
}

/* nor of what it becomes by a realloc. */
CASE("said", case_resized, "direct 1 607")
{
	void *p = malloc(10);

	NEED(stele_leak_not_leak(p) == 0);
	use(realloc(p, 607));
}

/* Many, and the last word counts. */
CASE("said", case_many_said, "reachable 500 304000 root=says")
{
	for (int i = 0; i < 500; i++) {
		void *p = malloc(608);

		NEED(stele_leak_ignore(p) == 0 && stele_leak_not_leak(p) == 0);
	}
}

STEP("said", wrong_words)
{
	char *p = malloc(609), here;

	NEED(stele_leak_not_leak(NULL) == -EINVAL);
	NEED(stele_leak_not_leak(&here) == -EINVAL);
	NEED(stele_leak_not_leak(p + 16) == -EINVAL);
	NEED(stele_leak_ignore(p + 1) == -EINVAL);
	NEED(stele_leak_add_root(p, 0) == -EINVAL);
	NEED(stele_leak_add_root(p, SIZE_MAX) == -EINVAL);
	free(p);
	NEED(stele_leak_ignore(p) == -EINVAL);
}
