/* SPDX-License-Identifier: MIT */
/*
 * More of the contract with the operating system (os.h): address space apart
 * from memory, and mappings of other kinds. The conventions are those of os.h;
 * ranges are whole system pages inside of what the caller has mapped itself.
 */
#ifndef STELE_OS_VM_H
#define STELE_OS_VM_H

#include <sys/types.h>

#include "base/compiler.h"

/* What os_map_low() stays below. */
uint64_t os_low_limit(void);

/* The size of a huge page that one entry of the next table maps. */
size_t os_huge_size(void);

/* Fresh zeroed private memory below os_low_limit(). */
int os_map_low(size_t len, void **addr);

/*
 * Fresh zeroed private memory at a multiple of @align, a power of two, in a part of the
 * address space that nobody else is given addresses of: next to nothing, at an address that
 * was not ours lately, and, if it is shorter, with no multiple of 4 GiB inside of it (of
 * 16 MiB: the same). So nothing but a pointer to it looks like one: no end of a neighbour,
 * no number, no number beside half of another pointer. Resized, it stays such.
 */
int os_map_apart(size_t len, size_t align, void **addr);
int os_remap_apart(void *addr, size_t old_len, size_t new_len, void **new_addr);
/* os_sbrk() in whole pages, of a break there, which is ours alone. */
int os_sbrk_apart(intptr_t delta, void **old_break);

/* Address space alone: nobody else is given it, every access faults. */
int os_reserve(size_t len, void **addr);
/* Put fresh zeroed memory there, or reserved huge pages (a range of whole ones). */
int os_open(void *addr, size_t len);
int os_open_huge(void *addr, size_t len);
/* Or a file, shared. */
int os_open_file(void *addr, size_t len, int fd, off_t offset, bool writable);
/*
 * Every access faults from now on; private memory goes back to the system. The
 * range stays the caller's. os_seal_any() does it for mappings of any kind.
 */
int os_seal(void *addr, size_t len);
int os_seal_any(void *addr, size_t len);
/*
 * Move the memory of @from, whole system pages, to @to, whose own goes back: both stay
 * mapped, and @from reads as zero. -errno: nothing was moved (the memory is locked, or
 * the program has split the mapping); but what was in either may be zero now.
 * OS_LOST: and what lay at @to is not mapped any more.
 */
int os_move(void *from, void *to, size_t len);
#define OS_LOST	1
/* Does the system know how to? Asked once. */
bool os_can_move(void);
/* Ask for transparent huge pages. */
int os_want_huge(void *addr, size_t len);
/* Bring in and lock; a child of fork() does not get it. */
int os_pin(void *addr, size_t len);
/* The physical address behind @addr; 0: not known to us. */
uint64_t os_phys(const void *addr);

struct os_file {
	uint64_t dev, inode;
	uint64_t size;		/* of a regular file; UINT64_MAX for others */
	bool writable;		/* as it is open */
};
int os_file(int fd, struct os_file *file);

#endif
