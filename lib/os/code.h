/* SPDX-License-Identifier: MIT */
/* The module that an address of code lies in, as ld.so knows it. */
#ifndef STELE_OS_CODE_H
#define STELE_OS_CODE_H

#include "base/compiler.h"

struct os_code {
	uintptr_t start, end;		/* of its mapping */
	const uint8_t *eh_frame_hdr;	/* NULL: it has none */
	const char *path;		/* "" for the program itself */
	uintptr_t bias;
};

/*
 * False: no module has @pc, or libc does not tell. Takes no lock, and may be
 * called in a signal handler.
 */
bool os_code_at(uintptr_t pc, struct os_code *code);
/* Does libc tell at all? */
bool os_code_known(void);

#endif
