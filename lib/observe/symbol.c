/* SPDX-License-Identifier: MIT */
#include "observe/symbol.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#include "os/os.h"
#include "os/proc.h"

#define SAME_BYTES	4096u	/* of a file, to know that it is the one in memory */

/* Symbols of one module, by address. In scratch memory; the file is mapped. */
struct index {
	const struct module *module;
	struct index *next;
	void *file;		/* NULL: not mapped */
	size_t file_size;
	const ElfW(Sym) *symbols;
	const char *strings;
	size_t strings_size;
	uint32_t *order;	/* of symbols that have an address */
	size_t count;
};

static struct index *indexes;
static const ElfW(Sym) *sorting;

static bool names_address(const ElfW(Sym) *s)
{
	unsigned type = ELF64_ST_TYPE(s->st_info);

	return s->st_shndx != SHN_UNDEF && s->st_value && s->st_name &&
	       (type == STT_FUNC || type == STT_OBJECT || type == STT_GNU_IFUNC ||
		type == STT_NOTYPE);
}

static bool by_value(const void *a, const void *b)
{
	const ElfW(Sym) *x = &sorting[*(const uint32_t *)a], *y = &sorting[*(const uint32_t *)b];

	if (x->st_value != y->st_value)
		return x->st_value < y->st_value;
	/* Of several names the last is found: one that has a size, and is public. */
	if (!x->st_size != !y->st_size)
		return !x->st_size;
	if (ELF64_ST_BIND(x->st_info) != ELF64_ST_BIND(y->st_info))
		return ELF64_ST_BIND(x->st_info) != STB_GLOBAL &&
		       ELF64_ST_BIND(y->st_info) == STB_GLOBAL;
	return *(const uint32_t *)a > *(const uint32_t *)b;
}

static void set_order(struct index *x, size_t n)
{
	x->order = scratch_alloc((n + 1) * sizeof(*x->order));
	for (size_t i = 0; x->order && i < n; i++) {
		if (names_address(&x->symbols[i]) && x->symbols[i].st_name < x->strings_size)
			x->order[x->count++] = (uint32_t)i;
	}
	sorting = x->symbols;
	if (x->order)
		sort(x->order, x->count, sizeof(*x->order), by_value);
}

static bool inside(const struct index *x, uint64_t offset, uint64_t bytes)
{
	return offset <= x->file_size && bytes <= x->file_size - offset;
}

/* The table of the file with the most symbols. */
static bool read_file(struct index *x)
{
	const ElfW(Ehdr) *e = x->file;
	const ElfW(Shdr) *s, *table = NULL;

	if (x->file_size < sizeof(*e) || memcmp(e->e_ident, ELFMAG, SELFMAG) ||
	    e->e_shentsize != sizeof(*s) ||
	    !inside(x, e->e_shoff, (uint64_t)e->e_shnum * sizeof(*s)))
		return false;
	s = (const ElfW(Shdr) *)((const char *)x->file + e->e_shoff);
	for (unsigned i = 0; i < e->e_shnum; i++) {
		if ((s[i].sh_type == SHT_SYMTAB || (s[i].sh_type == SHT_DYNSYM && !table)) &&
		    s[i].sh_link < e->e_shnum && inside(x, s[i].sh_offset, s[i].sh_size))
			table = &s[i];
	}
	if (!table || !inside(x, s[table->sh_link].sh_offset, s[table->sh_link].sh_size) ||
	    !s[table->sh_link].sh_size)
		return false;
	x->symbols = (const ElfW(Sym) *)((const char *)x->file + table->sh_offset);
	x->strings = (const char *)x->file + s[table->sh_link].sh_offset;
	x->strings_size = s[table->sh_link].sh_size;
	if (x->strings[x->strings_size - 1])
		return false;
	set_order(x, table->sh_size / sizeof(ElfW(Sym)));
	return true;
}

/* How many symbols: the end of the last chain of the GNU hash table. */
static uint32_t count_symbols(const uint32_t *hash)
{
	const uint32_t *buckets = hash + 4 + hash[2] * (sizeof(uintptr_t) / sizeof(uint32_t));
	const uint32_t *chains = buckets + hash[0];
	uint32_t last = 0;

	for (uint32_t i = 0; i < hash[0]; i++)
		last = MAX(last, buckets[i]);
	if (last < hash[1])
		return hash[1];
	while (!(chains[last - hash[1]] & 1))
		last++;
	return last + 1;
}

/* What a loaded module has in memory for dynamic linking. */
static void read_dynamic(struct index *x)
{
	const struct module *m = x->module;
	const uint32_t *hash = NULL;

	for (const ElfW(Dyn) *d = (const ElfW(Dyn) *)m->dynamic; d->d_tag != DT_NULL; d++) {
		uintptr_t value = d->d_un.d_ptr;

		/* ld.so has made addresses of offsets, except where it cannot write. */
		if (value < m->bias)
			value += m->bias;
		if (d->d_tag == DT_SYMTAB)
			x->symbols = (const ElfW(Sym) *)value;
		else if (d->d_tag == DT_STRTAB)
			x->strings = (const char *)value;
		else if (d->d_tag == DT_STRSZ)
			x->strings_size = d->d_un.d_val;
		else if (d->d_tag == DT_GNU_HASH)
			hash = (const uint32_t *)value;
	}
	if (x->symbols && x->strings && hash)
		set_order(x, count_symbols(hash));
}

static bool is_same_file(const struct index *x)
{
	const struct module *m = x->module;
	size_t n = MIN(x->file_size, (size_t)SAME_BYTES);
	char head[SAME_BYTES];

	if (m->until != MODULE_LOADED)
		return true;
	n = MIN(n, m->segment[0].end - m->segment[0].start);
	return !os_peek((const void *)m->segment[0].start, head, n) && !memcmp(head, x->file, n);
}

static struct index *index_of(const struct module *m)
{
	struct index *x;

	for (x = indexes; x; x = x->next) {
		if (x->module == m)
			return x;
	}
	x = scratch_alloc(sizeof(*x));
	if (!x)
		return NULL;
	x->module = m;
	x->next = indexes;
	indexes = x;
	if (m->path[0] == '/' && !os_map_file(m->path, &x->file, &x->file_size) &&
	    is_same_file(x) && read_file(x))
		return x;
	/* No such file: what the module has in memory. */
	if (m->until == MODULE_LOADED && m->dynamic)
		read_dynamic(x);
	return x;
}

void symbol_find(uintptr_t addr, uint32_t generation, struct symbol *s)
{
	const struct module *m = module_of(addr, generation);
	struct index *x = m ? index_of(m) : NULL;
	size_t lo = 0, hi = x && x->order ? x->count : 0;
	const ElfW(Sym) *sym;
	uintptr_t value;

	*s = (struct symbol){ .module = m, .offset = m ? addr - m->bias : addr };
	if (!hi)
		return;
	value = addr - m->bias;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (x->symbols[x->order[mid]].st_value <= value)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return;
	sym = &x->symbols[x->order[lo - 1]];
	if (sym->st_size && value - sym->st_value >= sym->st_size)
		return;
	s->name = x->strings + sym->st_name;
	s->offset = value - sym->st_value;
}

void symbol_end(void)
{
	for (; indexes; indexes = indexes->next) {
		if (indexes->file)
			os_unmap(indexes->file,
				 ALIGN_UP(indexes->file_size, os_page_size()));
	}
}
