/* SPDX-License-Identifier: MIT */
/* Who called, for messages. */
#ifndef STELE_OS_CALLER_H
#define STELE_OS_CALLER_H

#include "base/compiler.h"

/*
 * "prog(function+0x1f)", "prog+0x1234" where no name is exported there, or the bare
 * address: for fmt_symbol, and so for %pS. Takes locks of the dynamic linker: for
 * reports, not under a lock of ours.
 */
void caller_name(char *buf, size_t size, const void *ip);

/* Where the current function returns to. */
#define CALLER()	__builtin_extract_return_addr(__builtin_return_address(0))

#endif
