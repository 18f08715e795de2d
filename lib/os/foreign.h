/* SPDX-License-Identifier: MIT */
/*
 * Blocks of libc's own malloc. They reach us from libraries that are bound to
 * libc directly (RTLD_DEEPBIND, a handle on libc.so.6) and from ld.so.
 *
 * A pointer that no zone knows is either such a block or wild. libc keeps a
 * word of size and flags before its blocks; it is looked at only when its page
 * is mapped, and believed only when it and the next block's agree. Nothing is
 * ever written there.
 */
#ifndef STELE_OS_FOREIGN_H
#define STELE_OS_FOREIGN_H

#include "base/compiler.h"

/*
 * Set once, before the first block: every block of this process is libc's. Then
 * foreign_is_libc() is true of everything.
 */
extern bool foreign_all;
/* Can libc's malloc be called by its other names? musl's cannot. */
bool foreign_serves(void);
/* libc's own, for such a process. */
void *foreign_alloc(size_t size, size_t align, bool zero);

/* Does @p look like a live block of libc's malloc? */
bool foreign_is_libc(const void *p);
/* Hand over to libc. Only after foreign_is_libc(). */
void foreign_free(void *p);
void *foreign_realloc(void *p, size_t size);
size_t foreign_size(const void *p);

#endif
