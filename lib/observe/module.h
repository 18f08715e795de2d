/* SPDX-License-Identifier: MIT */
/*
 * The modules of the process, those that were unloaded included.
 *
 * The table is read off /proc/self/maps and the program headers in memory, not
 * asked of the dynamic linker: its locks may be held by whoever was interrupted
 * by a signal, or waits for us in a callback of dl_iterate_phdr(). What it maps
 * is the truth in every name space.
 *
 * A module that is gone keeps its row with the generation from which its
 * addresses are no longer its own (see stack_generation()). dlclose() is
 * interposed: the table is read before, and compared after.
 *
 * Locking: the lock of reports, observe_lock.
 */
#ifndef STELE_OBSERVE_MODULE_H
#define STELE_OBSERVE_MODULE_H

#include "observe/maps.h"

#define BUILD_ID_MAX	32
#define MODULE_LOADED	0u	/* until: still there */

struct module_segment {
	uintptr_t start, end;
	bool write, exec;
};

struct module {
	uintptr_t start, end, bias;
	uint32_t until;
	uint8_t build_id_len, nr_segments;
	uint8_t build_id[BUILD_ID_MAX];
	bool ours;			/* libstele itself */
	bool seen;			/* by the reading under way */
	const char *path;		/* absolute, as mapped; kept */
	uint64_t inode;
	struct module_segment segment[8];
	uintptr_t dynamic;		/* its dynamic section; 0: none */
	uintptr_t tls_size, tls_align;	/* of its PT_TLS; 0: none */
};

/* Compare with what is mapped now. */
void module_read(const struct maps *m);

size_t module_count(void);
struct module *module_at(size_t i);
/* The module that @addr belonged to at @generation; ~0u: now. NULL: none. */
struct module *module_of(uintptr_t addr, uint32_t generation);

/* Around a dlclose(). */
void module_before_unload(void);
void module_after_unload(void);

#endif
