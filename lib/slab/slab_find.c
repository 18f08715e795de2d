/* SPDX-License-Identifier: MIT */
/*
 * Finding the objects of a cache that are out. Full slabs are on no list, so this
 * walks the class maps of all sections. For reports.
 *
 * Locking: list_lock for the bitmaps, zone_lock for the sections.
 */
#include "base/bits.h"
#include "page/section.h"
#include "page/zone.h"
#include "slab/slab.h"

struct found {
	struct kmem_cache *c;
	void **objs;
	size_t n, max;
};

static void in_slab(struct found *f, struct slab *s)
{
	const uint64_t *map = slab_bitmap(s);
	size_t i = 0;

	while ((i = bits_next(map, i, f->c->objects, true)) < f->c->objects) {
		if (f->n < f->max)
			f->objs[f->n] = (char *)s->base + i * f->c->size;
		f->n++;
		i++;
	}
}

static void in_section(struct found *f, const struct section *sec)
{
	size_t step = 1ul << f->c->order;

	/* Slabs are aligned to their size, and never cross a section. */
	for (size_t i = 0; i < SECTION_PAGES; i += step) {
		struct page *page;

		if (READ_ONCE(sec->classmap[i]) != f->c->class)
			continue;
		page = page_of(sec->base + i);
		if (page && page->state == PG_SLAB)
			in_slab(f, (struct slab *)page);
	}
}

size_t slab_find_out(struct kmem_cache *c, void **objs, size_t max)
{
	struct found f = { .c = c, .objs = objs, .max = max };

	lock_acquire(&c->list_lock);
	lock_acquire(&zone_lock);
	for (unsigned z = 0; z < NR_ZONES; z++) {
		for (size_t k = 0; k < zones[z].nr_sections; k++)
			in_section(&f, *zone_section(&zones[z], k));
	}
	lock_release(&zone_lock);
	lock_release(&c->list_lock);
	return f.n;
}
