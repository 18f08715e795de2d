/* SPDX-License-Identifier: MIT */
/*
 * The truth program: blocks whose fate is known, each allocated in a function of its own name.
 *
 * CASE declares such a function with what a leak reporter has to say of its blocks, and
 * registers it for a scene; EXPECT is for functions that something else calls: a library, a
 * thread, a signal. A scene is one run of the program; "truth -l" prints the table, and
 * truth.py compares it with the reports.
 *
 * Wanted is a list, separated by ';':
 *	KIND[|KIND...] BLOCKS BYTES [root=REGEX] [via=REGEX] [then=REGEX]
 * KIND is direct, indirect, possible, reachable, young; "ring" stands for one block directly and
 * the others indirectly lost; "none" for no report of any kind. then= must match the stack of each
 * block, "innermost<...<main", via= that of the lost block that leads to it. A scene of several
 * processes has its roles behind a dot ("fork.child").
 *
 * A case must leave no pointer behind but the one that it means to leave: what is kept for later is
 * kept by hide(), and scrub() clears the dead part of the stack between two cases.
 */
#ifndef TRUTH_H
#define TRUTH_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct truth_case {
	const char *scene;
	const char *name;
	const char *want;
	void (*run)(void);	/* NULL: somebody else calls it */
};

#if defined(__has_attribute) && __has_attribute(noipa)
#define APART __attribute__((noipa))
#else
#define APART __attribute__((noinline))
#endif

#ifdef __cplusplus
#define TRUTH_C extern "C"
#else
#define TRUTH_C
#endif

#define TRUTH_ROW2(line, scene, name, want, run) \
	static const struct truth_case truth_row_##line \
		__attribute__((used, aligned(8), section("truth_cases"))) = {scene, name, want, run}
#define TRUTH_ROW(line, scene, name, want, run) TRUTH_ROW2(line, scene, name, want, run)

#define EXPECT(scene, name, want) TRUTH_ROW(__COUNTER__, scene, #name, want, NULL)

/* A function that something else calls, with what it leaves. */
#define CALLED(scene, name, want, type, args) \
	TRUTH_C type name args; \
	EXPECT(scene, name, want); \
	TRUTH_C APART type name args

#define CASE(scene, name, want) \
	TRUTH_C void name(void); \
	TRUTH_ROW(__COUNTER__, scene, #name, want, name); \
	TRUTH_C APART void name(void)

/* What a scene does without leaving a block. */
#define STEP(scene, name) \
	TRUTH_C void name(void); \
	TRUTH_ROW(__COUNTER__, scene, #name, NULL, name); \
	TRUTH_C APART void name(void)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#ifdef __cplusplus
extern "C" {
#endif

/* Ends the program with a line when something that the cases stand on does not hold. */
__attribute__((noreturn)) void truth_fail(const char *what);
#define NEED(cond) ((cond) ? (void)0 : truth_fail(#cond))

void scrub(void);			/* clears the dead part of the stack */
const char *truth_dir(void);		/* where the libraries are */
void *truth_load(const char *name);	/* dlopen of such a library */
void *truth_symbol(void *lib, const char *name);
void truth_role(const char *role);	/* tells the runner who this process is */
void truth_note(const char *line);

/* Threads that sleep until the process ends. start_sleeper returns when it sleeps. */
pthread_t start_sleeper(void *(*fn)(void *), void *arg);
void sleep_forever(void);
void sleeper_is_ready(void);
void wait_for_sleeper(void);
long truth_threads(void);
void wait_threads(long count);		/* until there are no more, the dead ones gone */
extern volatile int truth_spinning;	/* threads that are to spin, and do */
void wait_rest(int spinning);		/* until all other threads but so many sleep */
void wait_main_ended(void);		/* by pthread_exit(), and its stack is nobody's */

#ifdef __cplusplus
}
#endif

/* The pointer is used, and forgotten. */
static inline void use(void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

/* Kept in a variable, which the compiler may not do without. */
#define HOLD(variable, pointer) ((variable) = (pointer), use((void *)&(variable)))

/* Kept, and seen by no scan. */
static inline uintptr_t hide(const void *p)
{
	return (uintptr_t)p ^ (uintptr_t)0xa5a5a5a5a5a5a5a5;
}

static inline void *unhide(uintptr_t hidden)
{
	return (void *)(hidden ^ (uintptr_t)0xa5a5a5a5a5a5a5a5);
}

#endif
