/* SPDX-License-Identifier: MIT */
/* Small numbers for things: the lowest that is free. */
#ifndef IDS_H
#define IDS_H

#include <stele/kernel.h>

/* A tree of bitmaps: a bit of an upper level is set while all bits below it are. */
struct ids {
	unsigned int levels;
	unsigned long *map[4];		/* map[0] is the lowest */
	unsigned int words[4];
};

/* Numbers below @n. 0, or -ENOMEM. */
int ids_init(struct ids *ids, unsigned int n, gfp_t gfp);
void ids_exit(struct ids *ids);
/* The lowest number that is free, or -1. */
int ids_get(struct ids *ids);
void ids_put(struct ids *ids, unsigned int id);

#endif
