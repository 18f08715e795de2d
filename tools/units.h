/* SPDX-License-Identifier: MIT */
/*
 * The compilation units of one ELF file, and the functions of each, in order of address. libdwfl's
 * own look-up reads .debug_aranges alone, which clang does not write; where some units have it, it
 * takes what lies between them for theirs. And libdw's dwarf_getscopes() finds neither functions in
 * namespaces nor what was inlined from another unit, as link-time optimization does. Here the units
 * themselves say what they cover.
 */
#ifndef STELE_TOOL_UNITS_H
#define STELE_TOOL_UNITS_H

#include "util.h"

#include <elfutils/libdwfl.h>

/* Ranges of addresses, each with the index of what it belongs to. */
struct ranges {
	VEC(struct range) list;
};

struct unit {
	Dwarf_Die *die; /* libdwfl's */
	struct ranges ranges;
	VEC(Dwarf_Die) functions;
	bool loaded; /* ranges and functions; read when they are first asked for */
};

/* Zeroes at first; read when it is first asked. */
struct units {
	struct ranges ranges;
	VEC(struct unit) list;
	Dwarf_Addr bias; /* libdwfl's address less that of DWARF */
	bool loaded;
};

void units_free(struct units *units);

/*
 * The unit that covers an address of libdwfl's in the module, which has to be the same at each
 * call, and the address as DWARF has it; NULL: none.
 */
struct unit *units_at(struct units *units, Dwfl_Module *module, Dwarf_Addr address, Dwarf_Addr *pc);

/*
 * The most deeply inlined function at the address, the one it is inlined into, and so on up to the
 * function itself, which is the last. Returns how many; the caller frees them.
 */
size_t unit_functions(struct unit *unit, Dwarf_Addr pc, Dwarf_Die **functions);

#endif
