/* SPDX-License-Identifier: MIT */
/* Who called, in words, for messages. */
#ifndef STELE_OS_CALLER_H
#define STELE_OS_CALLER_H

#include "base/compiler.h"

struct caller_text {
	char text[128];
};

/*
 * "prog(function+0x1f)", "prog+0x1234" where no name is exported there, or the bare
 * address. Takes locks of the dynamic linker: for reports, not under a lock of ours.
 */
const char *caller_name(struct caller_text *buf, const void *ip);

/* Where the current function returns to. */
#define CALLER()	__builtin_extract_return_addr(__builtin_return_address(0))

#endif
