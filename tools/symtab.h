/* SPDX-License-Identifier: MIT */
/*
 * The symbols of one ELF file in order of address. libdwfl's own look-up by address goes through
 * all of them each time, which a compiler's hundred thousand do not bear.
 */
#ifndef STELE_TOOL_SYMTAB_H
#define STELE_TOOL_SYMTAB_H

#include "util.h"

#include <elfutils/libdwfl.h>

struct symtab {
	VEC(struct symtab_entry) list;
};

void symtab_load(struct symtab *tab, Dwfl_Module *module, uint64_t bias);
void symtab_free(struct symtab *tab);

/* The name of the function or variable that the address lies in, and where it begins; NULL: none. */
const char *symtab_function(const struct symtab *tab, uint64_t address, uint64_t *start);
const char *symtab_variable(const struct symtab *tab, uint64_t address, uint64_t *start);

#endif
