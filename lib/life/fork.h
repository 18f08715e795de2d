/* SPDX-License-Identifier: MIT */
/* fork handlers: see fork.c. */
#ifndef STELE_LIFE_FORK_H
#define STELE_LIFE_FORK_H

void fork_prepare(void);
void fork_parent(void);
void fork_child(void);

#endif
