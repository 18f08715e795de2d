/* SPDX-License-Identifier: MIT */
/* Shrinkers and OOM notifiers: see shrinker.c. */
#ifndef STELE_SLAB_SHRINKER_H
#define STELE_SLAB_SHRINKER_H

#include "os/lock.h"
#include "stele/shrinker.h"

#define SHRINK_PRIORITY	12	/* where a round begins; 0 is the last */

/*
 * Ask every shrinker for its share at @priority; returns objects freed. No lock of
 * the library may be held. Shrinkers are not entered by a thread that is in one.
 */
unsigned long shrink_all(stele_gfp_t gfp, int priority);
/* Tell the OOM notifiers; returns what they freed. */
unsigned long oom_notify(void);
/* Is anybody there to be asked? */
bool shrinkers_exist(void);
bool oom_notifiers_exist(void);

void shrinker_add(struct stele_shrinker *s);
void shrinker_remove(struct stele_shrinker *s);
int oom_notifier_add(struct stele_notifier_block *nb);
int oom_notifier_remove(struct stele_notifier_block *nb);

extern struct lock shrinker_lock;
/* In a fork child, with the lock held: who was inside of a callback is not here. */
void shrinker_fork_child(void);

#endif
