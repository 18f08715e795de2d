/* SPDX-License-Identifier: MIT */
/*
 * Caches that check their objects.
 *
 *	object that is free	poison 0x6b..., 0xa5 last; red zone 0xbb
 *	object that is out	the program's;             red zone 0xcc
 *
 * The bytes are the kernel's. Such a cache has no sheaves, so that every object
 * passes here both ways; the bitmap behind it finds double frees at once.
 *
 * Locking: none; an object on its way belongs to the thread.
 */
#include <string.h>

#include "base/bits.h"
#include "base/fmt.h"
#include "os/bug.h"
#include "slab/cache.h"

#define POISON_FREE	0x6b
#define POISON_END	0xa5
#define RED_FREE	0xbb
#define RED_OUT		0xcc

/* Who had it: return addresses, NULL where free() came by. */
struct track {
	const void *allocated_by, *freed_by;
	bool known;			/* it has been out */
};

struct debug_layout debug_layout(size_t size, unsigned flags)
{
	struct debug_layout d = { 0, 0, (uint32_t)size };

	if (flags & (STELE_SLAB_RED_ZONE | STELE_SLAB_STORE_USER) || flags & SLAB_LINK)
		d.end = ALIGN_UP(d.end, 8u);
	if (flags & STELE_SLAB_RED_ZONE)
		d.end += 8;
	if (flags & STELE_SLAB_STORE_USER) {
		d.track = d.end;
		d.end += (uint32_t)sizeof(struct track);
	}
	if (flags & SLAB_LINK) {
		d.link = d.end;
		d.end += (uint32_t)sizeof(void *);
	}
	return d;
}

static unsigned char *red_zone(const struct stele_kmem_cache *h, void *obj, size_t *n)
{
	*n = ALIGN_UP(h->size, 8u) + 8 - h->size;
	return (unsigned char *)obj + h->size;
}

static struct track *track_of(const struct stele_kmem_cache *h, const void *obj)
{
	return (struct track *)((char *)(uintptr_t)obj + debug_layout(h->size, h->flags).track);
}

void debug_who(const struct stele_kmem_cache *h, const void *obj, char *buf, size_t size)
{
	struct track *t = track_of(h, obj);
	size_t n = 0;

	buf[0] = '\0';
	if (!(h->flags & STELE_SLAB_STORE_USER) || !t->known)
		return;
	n = fmt_print(buf, size, ", allocated by %p", t->allocated_by);
	if (t->freed_by)
		fmt_print(buf + n, size - n, ", last freed by %p", t->freed_by);
}

static _Noreturn void corrupt(struct stele_kmem_cache *h, const void *obj, const char *what,
			      const unsigned char *at, unsigned expected, const void *caller)
{
	char who[96];

	debug_who(h, obj, who, sizeof(who));
	bug("cache %s: %s of object %p overwritten: byte %ld is %x instead of %x%s; found by %p",
	    h->name, what, obj, (long)(at - (const unsigned char *)obj), *at, expected, who,
	    caller);
}

/* The first byte that is not as it should be, NULL: all are. */
static const unsigned char *other_than(const unsigned char *p, unsigned byte, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] != byte)
			return p + i;
	}
	return NULL;
}

static void check_red(struct stele_kmem_cache *h, void *obj, unsigned expected,
		      const void *caller)
{
	size_t n;
	unsigned char *red = red_zone(h, obj, &n);
	const unsigned char *bad = other_than(red, expected, n);

	if (bad)
		corrupt(h, obj, "red zone", bad, expected, caller);
}

static void set_red(struct stele_kmem_cache *h, void *obj, unsigned byte)
{
	size_t n;
	unsigned char *red = red_zone(h, obj, &n);

	memset(red, (int)byte, n);
}

static void set_poison(struct stele_kmem_cache *h, void *obj)
{
	memset(obj, POISON_FREE, h->size - 1);
	((unsigned char *)obj)[h->size - 1] = POISON_END;
}

void debug_make(struct stele_kmem_cache *h, void *obj)
{
	if (h->flags & STELE_SLAB_RED_ZONE)
		set_red(h, obj, RED_FREE);
	if (h->flags & STELE_SLAB_POISON)
		set_poison(h, obj);
	if (h->flags & STELE_SLAB_STORE_USER)
		*track_of(h, obj) = (struct track){ .known = false };
}

void debug_leave(struct stele_kmem_cache *h, void *obj, const void *caller)
{
	if (h->flags & STELE_SLAB_POISON) {
		const unsigned char *p = obj, *last = p + h->size - 1;
		const unsigned char *bad = other_than(p, POISON_FREE, h->size - 1);

		if (bad || *last != POISON_END)
			corrupt(h, obj, "poison", bad ? bad : last,
				bad ? POISON_FREE : POISON_END, caller);
	}
	if (h->flags & STELE_SLAB_RED_ZONE) {
		check_red(h, obj, RED_FREE, caller);
		set_red(h, obj, RED_OUT);
	}
	if (h->flags & STELE_SLAB_STORE_USER) {
		struct track *t = track_of(h, obj);

		t->allocated_by = caller;
		t->known = true;
	}
}

void debug_return(struct stele_kmem_cache *h, void *obj, const void *caller)
{
	char who[96];

	if (!slab_is_out(h->cache, obj)) {
		debug_who(h, obj, who, sizeof(who));
		bug("cache %s: double free of object %p%s; freed again by %p", h->name, obj, who,
		    caller);
	}
	if (h->flags & STELE_SLAB_RED_ZONE) {
		check_red(h, obj, RED_OUT, caller);
		set_red(h, obj, RED_FREE);
	}
	if (h->flags & STELE_SLAB_POISON)
		set_poison(h, obj);
	if (h->flags & STELE_SLAB_STORE_USER)
		track_of(h, obj)->freed_by = caller;
}
