/* SPDX-License-Identifier: MIT */
/*
 * Names for addresses, as well as the process itself can tell: from the symbol
 * table of the file where it has one, else from the one for dynamic linking. C++
 * names stay mangled. The tool knows more: lines, inlined functions, separate
 * debug files.
 */
#ifndef STELE_OBSERVE_SYMBOL_H
#define STELE_OBSERVE_SYMBOL_H

#include "observe/module.h"

struct symbol {
	const struct module *module;	/* NULL: the address is in none */
	const char *name;		/* NULL: not known */
	uintptr_t offset;		/* from the symbol; else from the load bias */
};

/* @generation as for module_of(). Good until symbol_end(). */
void symbol_find(uintptr_t addr, uint32_t generation, struct symbol *s);
void symbol_end(void);

#endif
