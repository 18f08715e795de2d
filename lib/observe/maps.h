/* SPDX-License-Identifier: MIT */
/*
 * What is mapped, sorted: /proc/thread-self/maps, as that of the process is empty once
 * main has ended.
 */
#ifndef STELE_OBSERVE_MAPS_H
#define STELE_OBSERVE_MAPS_H

#include "observe/scratch.h"

struct vma {
	uintptr_t start, end;
	uint64_t offset, inode;
	bool read, write, exec, shared;
	const char *path;	/* "": none. "[stack]" and the like too */
};

struct maps {
	struct vma *at;
	size_t count;
};

/*
 * Both in scratch memory. Parse is for a text with a NUL at its end, which it
 * cuts into strings. False: no memory, not readable, or not in the format.
 */
bool maps_read(struct maps *m);
bool maps_parse(struct maps *m, char *text);

/* The mapping that holds @addr, or NULL. */
const struct vma *maps_find(const struct maps *m, uintptr_t addr);

#endif
