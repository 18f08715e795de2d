/* SPDX-License-Identifier: MIT */
/*
 * The next definition of a name, as dlsym(RTLD_NEXT) finds it, but without the
 * dynamic linker's locks: names that we interpose are called in signal handlers
 * and in children of fork, where another thread may have held them.
 *
 * The list of modules is the one that debuggers read. Modules that were there
 * at the start never leave it, and the definition sought is in one of them.
 */
#include <elf.h>
#include <link.h>
#include <string.h>

#include "os/libc.h"
#include "os/proc.h"

extern struct r_debug _r_debug __weak_ref;
extern ElfW(Dyn) _DYNAMIC[] __hidden;

#define HIDDEN_VERSION	0x8000

struct table {
	const ElfW(Sym) *symbols;
	const char *strings;
	const uint32_t *hash;
	const uint16_t *versions;	/* NULL: none */
};

/* ld.so has made addresses of the offsets in its own list, except where it cannot write. */
static const void *address(const struct link_map *map, uintptr_t value)
{
	return (const void *)(value < map->l_addr ? map->l_addr + value : value);
}

static bool read_table(const struct link_map *map, struct table *t)
{
	*t = (struct table){ NULL, NULL, NULL, NULL };
	for (const ElfW(Dyn) *d = map->l_ld; d && d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_SYMTAB)
			t->symbols = address(map, d->d_un.d_ptr);
		else if (d->d_tag == DT_STRTAB)
			t->strings = address(map, d->d_un.d_ptr);
		else if (d->d_tag == DT_GNU_HASH)
			t->hash = address(map, d->d_un.d_ptr);
		else if (d->d_tag == DT_VERSYM)
			t->versions = address(map, d->d_un.d_ptr);
	}
	return t->symbols && t->strings && t->hash;
}

static bool matches(const struct table *t, uint32_t i, const char *name)
{
	const ElfW(Sym) *s = &t->symbols[i];

	return s->st_shndx != SHN_UNDEF && ELF64_ST_TYPE(s->st_info) == STT_FUNC &&
	       !(t->versions && (t->versions[i] & HIDDEN_VERSION)) &&
	       !strcmp(t->strings + s->st_name, name);
}

/* The GNU hash table: {buckets, first symbol, bloom words, shift}, bloom, buckets, chains. */
static void *look_up(const struct link_map *map, const char *name)
{
	uint32_t h = 5381, i;
	struct table t;

	if (!read_table(map, &t) || !t.hash[0])
		return NULL;
	for (const unsigned char *c = (const unsigned char *)name; *c; c++)
		h = h * 33 + *c;

	const uint32_t *buckets = t.hash + 4 + t.hash[2] * (sizeof(uintptr_t) / sizeof(uint32_t));
	const uint32_t *chains = buckets + t.hash[0] - t.hash[1];

	for (i = buckets[h % t.hash[0]]; i >= t.hash[1]; i++) {
		if ((chains[i] | 1) == (h | 1) && matches(&t, i, name))
			return (void *)(map->l_addr + t.symbols[i].st_value);
		if (chains[i] & 1)
			break;
	}
	return NULL;
}

void *os_next_symbol(const char *name)
{
	const struct link_map *map = &_r_debug ? _r_debug.r_map : NULL;
	void *found = NULL;

	while (map && map->l_ld != _DYNAMIC)
		map = map->l_next;
	for (map = map ? map->l_next : NULL; map && !found; map = map->l_next)
		found = look_up(map, name);
	return found;
}

bool os_before_libc(void)
{
#ifdef __GLIBC__
	const struct link_map *map = &_r_debug ? _r_debug.r_map : NULL;

	for (; map && map->l_ld != _DYNAMIC; map = map->l_next) {
		if (look_up(map, "__libc_start_main"))
			return false;
	}
	return map;
#else
	return false;
#endif
}

#ifdef __GLIBC__
void *os_next_or_libc(const char *name)
{
	void *found = os_next_symbol(name);

	return found ? found : os_libc_symbol(name);
}

void *os_libc_symbol(const char *name)
{
	const struct link_map *map = &_r_debug ? _r_debug.r_map : NULL;
	void *found = NULL;

	for (; map && !found; map = map->l_next) {
		if (map->l_ld != _DYNAMIC)
			found = look_up(map, name);
	}
	return found;
}
#endif

void *os_symbol_before(const char *name)
{
	const struct link_map *map = &_r_debug ? _r_debug.r_map : NULL;
	void *found = NULL;

	/* Behind libc nobody is before us, but we have been loaded late. */
	for (; map && map->l_ld != _DYNAMIC && !found; map = map->l_next) {
		if (look_up(map, "__libc_start_main"))
			return NULL;
		found = look_up(map, name);
	}
	return found;
}
