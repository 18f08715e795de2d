/* SPDX-License-Identifier: MIT */
/* Read-only walkers: mallinfo's numbers and the summary at exit. */
#ifndef STELE_OBSERVE_STATS_H
#define STELE_OBSERVE_STATS_H

#include "base/compiler.h"

/* The fields of struct mallinfo2, read off our layers. Bytes and counts. */
struct heap_stats {
	size_t arena;		/* in zones, tables included */
	size_t ordblks;		/* free blocks: in caches and in the buddy */
	size_t hblks, hblkhd;	/* own mappings */
	size_t uordblks;	/* with the program, mappings excluded */
	size_t fordblks;	/* arena - uordblks */
	size_t keepcost;	/* what a trim of the top could return */
	size_t max_arena, max_hblks, max_hblkhd;
	size_t meta;		/* of arena: tables */
};
void heap_stats(struct heap_stats *st);

/* The summary of stats=exit, to report_fd. */
void stats_print(void);

#endif
