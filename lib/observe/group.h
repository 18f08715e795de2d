/* SPDX-License-Identifier: MIT */
/*
 * Equal blocks together: of one kind and one stack, held by the same root or
 * lost through the same leader. In scratch memory; after mark_finish().
 */
#ifndef STELE_OBSERVE_GROUP_H
#define STELE_OBSERVE_GROUP_H

#include "observe/leak.h"

#define NO_ROOT	(~0u)
#define GROUP_HEAD	32u

struct group {
	enum leak_kind kind;
	uint32_t stack;		/* of its blocks */
	uint32_t root;		/* index for mark_root(), NO_ROOT: none */
	uint32_t via;		/* stack of what leads to them; STACK_NONE: nothing */
	uint32_t min_age, max_age;	/* ms */
	uintptr_t sample;	/* one block */
	size_t sample_size;
	size_t blocks, bytes;
	size_t total_blocks, total_bytes;	/* ever, of a profile; else as above */
	bool suppressed;
	uint8_t head_bytes;
	uint8_t head[GROUP_HEAD];	/* how the sample begins */
};

struct groups {
	struct group *at;
	size_t count;
};

/* Groups in order: by kind, then the largest first. False: no memory. */
bool groups_collect(struct groups *g, struct leak_facts *facts);
/* The same of profile=: a group for each stack, with estimates. */
bool groups_profile(struct groups *g, struct leak_facts *facts);
/* Mark what is suppressed, and count. Threads need not be stopped for it. */
void groups_judge(struct groups *g, struct leak_facts *facts);

#endif
