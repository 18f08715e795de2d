/* SPDX-License-Identifier: MIT */
/* fork handlers: see fork.c. */
#ifndef STELE_LIFE_FORK_H
#define STELE_LIFE_FORK_H

/* Before the first fork, and before others register handlers; any number of times. */
void fork_register(void);

#endif
