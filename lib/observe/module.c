/* SPDX-License-Identifier: MIT */
#include "observe/module.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#include "debug/stack.h"
#include "observe/leak.h"
#include "os/proc.h"

#define NR_PHDRS	32
#define NOTE_BYTES	512
#define PER_BLOCK	64u
#define NR_BLOCKS	256u

/* Rows never move: others keep pointers to them. */
static struct module *blocks[NR_BLOCKS];
static size_t nr_modules;

size_t module_count(void)
{
	return nr_modules;
}

struct module *module_at(size_t i)
{
	return &blocks[i / PER_BLOCK][i % PER_BLOCK];
}

static struct module *add_row(void)
{
	size_t b = nr_modules / PER_BLOCK;

	if (b >= NR_BLOCKS)
		return NULL;
	if (!blocks[b])
		blocks[b] = keep_alloc(PER_BLOCK * sizeof(struct module));
	if (!blocks[b])
		return NULL;
	return module_at(nr_modules++);
}

static const char *keep_string(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = keep_alloc(n);

	return copy ? memcpy(copy, s, n) : "";
}

static void read_build_id(struct module *m, uintptr_t at, size_t len)
{
	char note[NOTE_BYTES] __attribute__((aligned(8)));

	len = MIN(len, sizeof(note));
	if (os_peek((const void *)at, note, len))
		return;
	for (size_t i = 0; i + sizeof(ElfW(Nhdr)) <= len;) {
		const ElfW(Nhdr) *n = (const ElfW(Nhdr) *)(note + i);
		size_t name = i + sizeof(*n), desc = name + ALIGN_UP(n->n_namesz, 4u);

		if (n->n_namesz > len || n->n_descsz > len || desc + n->n_descsz > len)
			return;
		if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == 4 &&
		    !memcmp(note + name, "GNU", 4)) {
			m->build_id_len = (uint8_t)MIN(n->n_descsz, (uint32_t)BUILD_ID_MAX);
			memcpy(m->build_id, note + desc, m->build_id_len);
			return;
		}
		i = desc + ALIGN_UP(n->n_descsz, 4u);
	}
}

static bool peek(uintptr_t at, void *to, size_t len)
{
	return !os_peek((const void *)at, to, len);
}

static void add_segment(struct module *m, const ElfW(Phdr) *p)
{
	size_t page = os_page_size();
	struct module_segment *s = &m->segment[m->nr_segments];

	if (m->nr_segments == ARRAY_SIZE(m->segment) || !p->p_memsz)
		return;
	s->start = ALIGN_DOWN(m->bias + p->p_vaddr, page);
	s->end = ALIGN_UP(m->bias + p->p_vaddr + p->p_memsz, page);
	s->write = p->p_flags & PF_W;
	s->exec = p->p_flags & PF_X;
	m->start = m->nr_segments ? MIN(m->start, s->start) : s->start;
	m->end = MAX(m->end, s->end);
	m->nr_segments++;
}

/* Is a file that begins at @v loaded there, or only mapped to be read? */
static bool read_headers(const struct maps *maps, const struct vma *v, struct module *m)
{
	ElfW(Phdr) phdr[NR_PHDRS];
	ElfW(Ehdr) ehdr;
	bool first = true, loaded = false;

	memset(m, 0, sizeof(*m));
	if (!peek(v->start, &ehdr, sizeof(ehdr)) || memcmp(ehdr.e_ident, ELFMAG, SELFMAG) ||
	    ehdr.e_phentsize != sizeof(phdr[0]) || !ehdr.e_phnum || ehdr.e_phnum > NR_PHDRS ||
	    !peek(v->start + ehdr.e_phoff, phdr, ehdr.e_phnum * sizeof(phdr[0])))
		return false;
	for (unsigned i = 0; i < ehdr.e_phnum; i++) {
		if (phdr[i].p_type != PT_LOAD)
			continue;
		if (first)
			m->bias = v->start - ALIGN_DOWN(phdr[i].p_vaddr, os_page_size());
		first = false;
		add_segment(m, &phdr[i]);
	}
	for (unsigned i = 0; i < m->nr_segments && !loaded; i++) {
		const struct vma *x = m->segment[i].exec ? maps_find(maps, m->segment[i].start) :
							   NULL;

		loaded = x && x->exec && (x->inode == v->inode);
	}
	if (!loaded)
		return false;
	m->inode = v->inode;
	for (unsigned i = 0; i < ehdr.e_phnum; i++) {
		const ElfW(Phdr) *p = &phdr[i];

		if (p->p_type == PT_NOTE && !m->build_id_len) {
			read_build_id(m, m->bias + p->p_vaddr, p->p_memsz);
		} else if (p->p_type == PT_DYNAMIC) {
			m->dynamic = m->bias + p->p_vaddr;
		} else if (p->p_type == PT_TLS) {
			m->tls_size = p->p_memsz;
			m->tls_align = p->p_align;
		}
	}
	return true;
}

/* What is loaded at an address is there until a reading does not find it. */
static struct module *find_row(const struct vma *v)
{
	for (size_t i = 0; i < nr_modules; i++) {
		struct module *old = module_at(i);

		if (old->until == MODULE_LOADED && old->start == v->start &&
		    old->inode == v->inode && !strcmp(old->path, v->path))
			return old;
	}
	return NULL;
}

/* May a module begin in this mapping? */
static bool may_begin(const struct vma *v)
{
	return !v->offset && v->read && !v->shared &&
	       (v->path[0] == '/' || !strcmp(v->path, "[vdso]"));
}

void module_read(const struct maps *maps)
{
	uint32_t gone = 0;
	bool unloaded = false;

	for (size_t i = 0; i < nr_modules; i++)
		module_at(i)->seen = false;
	for (size_t i = 0; i < maps->count; i++) {
		const struct vma *v = &maps->at[i];
		struct module m, *row;

		if (!may_begin(v))
			continue;
		row = find_row(v);
		if (!row && read_headers(maps, v, &m) && (row = add_row())) {
			m.path = keep_string(v->path);
			m.ours = (uintptr_t)&blocks >= m.start && (uintptr_t)&blocks < m.end;
			*row = m;
		}
		if (row)
			row->seen = true;
	}
	for (size_t i = 0; i < nr_modules; i++) {
		struct module *m = module_at(i);

		if (m->seen || m->until != MODULE_LOADED)
			continue;
		if (!unloaded) {
			stack_new_generation();
			gone = stack_generation();
			unloaded = true;
		}
		m->until = gone;
	}
}

struct module *module_of(uintptr_t addr, uint32_t generation)
{
	struct module *found = NULL;

	for (size_t i = 0; i < nr_modules; i++) {
		struct module *m = module_at(i);

		if (addr - m->start >= m->end - m->start)
			continue;
		if (m->until == MODULE_LOADED) {
			if (!found)
				found = m;
		} else if (m->until > generation && (!found || found->until == MODULE_LOADED ||
						     m->until < found->until)) {
			found = m;
		}
	}
	return found;
}

static void compare(void)
{
	struct maps m;
	uint64_t blocked = os_block_signals();

	lock_acquire(&observe_lock);
	if (maps_read(&m))
		module_read(&m);
	scratch_free_all();
	lock_release(&observe_lock);
	os_set_blocked(blocked);
}

void module_before_unload(void)
{
	compare();
}

void module_after_unload(void)
{
	compare();
}
