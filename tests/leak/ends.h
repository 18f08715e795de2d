/* SPDX-License-Identifier: MIT */
/* The scenes and how they end. */
#ifndef TRUTH_ENDS_H
#define TRUTH_ENDS_H

struct scene_end {
	const char *scene;
	const char *how;	/* "exit N" or "signal N": what the parent has to see */
	int (*end)(void);	/* runs after the cases; its value is main's */
};

extern const struct scene_end scene_ends[];

#endif
