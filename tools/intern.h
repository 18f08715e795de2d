/* SPDX-License-Identifier: MIT */
/*
 * Strings kept once each: equal texts are the same pointer. All are valid UTF-8 without control
 * characters, so they can go into any report.
 */
#ifndef STELE_TOOL_INTERN_H
#define STELE_TOOL_INTERN_H

#include "util.h"

struct strings {
	VEC(char *) list;
	struct map map;
};

const char *strings_keep(struct strings *s, const char *text);
void strings_free(struct strings *s);

#endif
