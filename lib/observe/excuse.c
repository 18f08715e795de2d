/* SPDX-License-Identifier: MIT */
/*
 * Blocks are kept by address, with the stack and the time of their records: a free need not know
 * of them. One whose record says otherwise by the next report was freed, and is forgotten then. A
 * block of the same stack and millisecond at the same address is taken for the one that was meant.
 */
#include "observe/excuse.h"

#include <errno.h>
#include <string.h>

#include "observe/leak.h"
#include "observe/mark.h"
#include "slab/tracked.h"

#define FIRST_SLOTS	64u

struct excuse {
	uintptr_t addr;		/* 0: empty */
	uint32_t stack, when;
	bool scan;
};

struct range {
	uintptr_t start;
	size_t size;		/* 0: not in use */
	struct range *next;
};

static struct excuse *slots;	/* open addressing, at most half full */
static size_t nr_slots, nr_used;	/* a power of two */
static struct range *ranges;

static struct excuse *slot_for(uintptr_t addr)
{
	size_t i = (size_t)((addr >> 4) * 0x9e3779b97f4a7c15ull >> 20) & (nr_slots - 1);

	while (slots[i].addr && slots[i].addr != addr)
		i = (i + 1) & (nr_slots - 1);
	return &slots[i];
}

static bool grow(void)
{
	struct excuse *old = slots;
	size_t n = nr_slots, more = n ? 2 * n : FIRST_SLOTS;
	struct excuse *made = keep_alloc(more * sizeof(*made));

	if (!made)
		return false;
	slots = made;
	nr_slots = more;
	for (size_t i = 0; i < n; i++) {
		if (old[i].addr)
			*slot_for(old[i].addr) = old[i];
	}
	return true;
}

static int enter(const struct excuse *e)
{
	struct excuse *at;

	if (nr_used >= nr_slots / 2 && !grow())
		return -ENOMEM;
	at = slot_for(e->addr);
	nr_used += !at->addr;
	*at = *e;
	return 0;
}

/* No handler of a signal may come in between, which could ask for a report. */
static uint64_t begin(void)
{
	uint64_t blocked = os_block_signals();

	lock_acquire(&observe_lock);
	return blocked;
}

static void end(uint64_t blocked)
{
	lock_release(&observe_lock);
	os_set_blocked(blocked);
}

int excuse_block(const void *p, bool scan)
{
	struct track t = tracked_peek(p);
	uint64_t blocked;
	int err;

	if (!t.stack)
		return -EINVAL;
	blocked = begin();
	err = enter(&(struct excuse){ (uintptr_t)p, t.stack, t.when, scan });
	end(blocked);
	return err;
}

/* NULL: there is none. */
static struct range *find_range(uintptr_t start, size_t size)
{
	struct range *r = ranges;

	while (r && (r->size != size || (size && r->start != start)))
		r = r->next;
	return r;
}

int excuse_add_range(uintptr_t start, size_t size)
{
	uint64_t blocked = begin();
	struct range *r = find_range(0, 0);

	if (!r) {
		r = keep_alloc(sizeof(*r));
		if (r) {
			r->next = ranges;
			ranges = r;
		}
	}
	if (r) {
		r->start = start;
		r->size = size;
	}
	end(blocked);
	return r ? 0 : -ENOMEM;
}

int excuse_remove_range(uintptr_t start, size_t size)
{
	uint64_t blocked = begin();
	struct range *r = find_range(start, size);

	if (r)
		r->size = 0;
	end(blocked);
	return r ? 0 : -ENOENT;
}

static bool is_there(const struct excuse *e)
{
	struct block b;

	return block_find((const void *)e->addr, &b) && (uintptr_t)b.addr == e->addr && b.rec &&
	       b.rec->stack == e->stack && b.rec->when == e->when;
}

/* Those that are left find their places anew, as a probe must not end at a hole. */
static void forget_freed(void)
{
	size_t n = 0;
	struct excuse *left = nr_used ? scratch_alloc(nr_used * sizeof(*left)) : NULL;

	if (!left)
		return;
	for (size_t i = 0; i < nr_slots; i++) {
		if (slots[i].addr && is_there(&slots[i]))
			left[n++] = slots[i];
	}
	memset(slots, 0, nr_slots * sizeof(*slots));
	nr_used = 0;
	for (size_t i = 0; i < n; i++)
		enter(&left[i]);
}

static void mark_blocks(bool scan)
{
	for (size_t i = 0; i < nr_slots; i++) {
		const struct excuse *e = &slots[i];

		if (e->addr && e->scan == scan && is_there(e))
			mark_held(e->addr, ROOT_IGNORED, 0, e->addr, scan);
	}
}

void excuse_mark_first(void)
{
	forget_freed();
	mark_blocks(false);
}

void excuse_mark_roots(int pages_fd)
{
	mark_blocks(true);
	for (const struct range *r = ranges; r; r = r->next) {
		if (r->size)
			mark_pages(pages_fd, r->start, r->start + r->size, false, ROOT_IGNORED, 0);
	}
}
