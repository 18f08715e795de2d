/* SPDX-License-Identifier: MIT */
/* Threads that give memory back: see kswapd.c. */
#ifndef STELE_LIFE_KSWAPD_H
#define STELE_LIFE_KSWAPD_H

/* At start: from now on free() may start what kswapd= and psi= ask for. */
void kswapd_init(void);
/* In a child of fork: it has no thread; the next free() may start one. */
void kswapd_fork_child(void);

#endif
