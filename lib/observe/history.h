/* SPDX-License-Identifier: MIT */
/*
 * The size of the heap over time: a point for each report, and with leak_history= some in between.
 */
#ifndef STELE_OBSERVE_HISTORY_H
#define STELE_OBSERVE_HISTORY_H

#include "observe/out.h"

/* At most so many; then every second one goes, and they are taken half as often. */
#define HISTORY_POINTS	256u

/* Take one, now. With observe_lock held. */
void history_add(void);
/* Milliseconds to the next, by leak_history= and by how often points were dropped. */
unsigned history_period(void);
/* As records of a snapshot. */
void history_write(struct out *o);

#endif
