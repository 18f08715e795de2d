/* SPDX-License-Identifier: MIT */
/*
 * Budget groups: a limit for what a part of the program allocates.
 *
 * A request with STELE_GFP_ACCOUNT, and one from a cache with STELE_SLAB_ACCOUNT,
 * is charged to the thread's current group, and fails with ENOMEM where that would
 * go above its limit (after shrinkers were called, where the flags allow). What it
 * was charged is given back when the block is freed, by whatever thread and
 * function. A thread without a group is not charged.
 *
 * A block counts with all of its bytes (stele_ksize()). Accounted blocks are kept
 * apart from others and cost a lock each; plain malloc() is not charged, and
 * realloc() makes an accounted block an ordinary one (stele_krealloc() with
 * STELE_GFP_ACCOUNT does not).
 */
#ifndef STELE_BUDGET_H
#define STELE_BUDGET_H

#include <stddef.h>

#include <stele/gfp.h>

#ifdef __cplusplus
extern "C" {
#endif

struct stele_budget;

#define STELE_BUDGET_NO_LIMIT	(~(size_t)0)

/* @name is copied (31 characters). NULL: ENOMEM. Process context. */
struct stele_budget *stele_budget_create(const char *name, size_t limit)
	__attribute__((warn_unused_result));
/* 0; or -EBUSY: blocks are still charged to it, nothing was done. NULL: 0. Process. */
int stele_budget_destroy(struct stele_budget *b);
/* The limit may be below what is in use: then nothing more is charged. Any. */
void stele_budget_set_limit(struct stele_budget *b, size_t limit);
size_t stele_budget_limit(const struct stele_budget *b);
/* Bytes charged now, and the most there were; requests refused. Any. */
size_t stele_budget_usage(const struct stele_budget *b);
size_t stele_budget_peak(const struct stele_budget *b);
unsigned long stele_budget_failures(const struct stele_budget *b);
const char *stele_budget_name(const struct stele_budget *b);

/* The calling thread's group from now on (NULL: none); returns the one before. Any. */
struct stele_budget *stele_budget_set_current(struct stele_budget *b);
struct stele_budget *stele_budget_current(void);

#ifdef __cplusplus
}
#endif

#endif
