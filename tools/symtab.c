/* SPDX-License-Identifier: MIT */
/*
 * Of several symbols that cover an address, the one that starts last is the closest; of aliases the
 * one that people write: with the fewest underscores before it (strdup, not __strdup), then the
 * global one, then the shortest.
 */
#include "symtab.h"

#include <stdlib.h>
#include <string.h>

struct symtab_entry {
	uint64_t start, end; /* end == start: the size is not known */
	const char *name;    /* libdwfl's */
	bool function;
	bool global;
};

/* A symbol may lie inside a longer one; how far back to look for that. */
#define NESTED 64

static size_t underscores(const char *name)
{
	return strspn(name, "_");
}

static int by_start(const void *a, const void *b)
{
	const struct symtab_entry *x = a, *y = b;
	size_t nx, ny;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	/* the best of the aliases comes last, as the search begins at the end */
	nx = underscores(x->name);
	ny = underscores(y->name);
	if (nx != ny)
		return nx > ny ? -1 : 1;
	if (x->global != y->global)
		return x->global ? 1 : -1;
	nx = strlen(x->name);
	ny = strlen(y->name);
	if (nx != ny)
		return nx > ny ? -1 : 1;
	return strcmp(y->name, x->name);
}

void symtab_load(struct symtab *tab, Dwfl_Module *module, uint64_t bias)
{
	int count = dwfl_module_getsymtab(module), i;

	for (i = 1; i < count; i++) {
		GElf_Sym sym;
		GElf_Addr address;
		GElf_Word section;
		const char *name =
			dwfl_module_getsym_info(module, i, &sym, &address, &section, NULL, NULL);
		unsigned type = GELF_ST_TYPE(sym.st_info);
		struct symtab_entry *entry;

		if (name == NULL || *name == '\0' || section == SHN_UNDEF || section == SHN_ABS)
			continue;
		if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_OBJECT)
			continue;
		entry = vec_push(&tab->list);
		entry->start = address - bias;
		if (__builtin_add_overflow(entry->start, sym.st_size, &entry->end))
			entry->end = UINT64_MAX;
		entry->name = name;
		entry->function = type != STT_OBJECT;
		entry->global = GELF_ST_BIND(sym.st_info) != STB_LOCAL;
	}
	if (tab->list.n > 0)
		qsort(tab->list.v, tab->list.n, sizeof(*tab->list.v), by_start);
}

void symtab_free(struct symtab *tab)
{
	vec_free(&tab->list);
}

/* How many symbols start at the address or before it. */
static size_t symbols_up_to(const struct symtab *tab, uint64_t address)
{
	size_t low = 0, high = tab->list.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (tab->list.v[mid].start <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static const char *covering(const struct symtab *tab, uint64_t address, bool function,
			    uint64_t *start)
{
	size_t i = symbols_up_to(tab, address), looked;
	const struct symtab_entry *sizeless = NULL, *entry;

	for (looked = 0; i > 0 && looked < NESTED; looked++) {
		entry = &tab->list.v[--i];
		if (entry->function != function)
			continue;
		if (address < entry->end) {
			*start = entry->start;
			return entry->name;
		}
		/* assembler code without .size reaches up to the next symbol */
		if (sizeless == NULL && looked == 0 && entry->end == entry->start)
			sizeless = entry;
	}
	if (sizeless == NULL || !function)
		return NULL;
	*start = sizeless->start;
	return sizeless->name;
}

const char *symtab_function(const struct symtab *tab, uint64_t address, uint64_t *start)
{
	return covering(tab, address, true, start);
}

const char *symtab_variable(const struct symtab *tab, uint64_t address, uint64_t *start)
{
	return covering(tab, address, false, start);
}
