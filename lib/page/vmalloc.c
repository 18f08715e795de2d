/* SPDX-License-Identifier: MIT */
/*
 * vmalloc: large blocks by mmap.
 *
 * The kernel knows the mapping, we must know its length: an open-addressing
 * table from address to length, in pages of our own. Nothing is written in
 * the block or beside it. Deletion shifts the followers back, so that there
 * are no tombstones and a look-up ends at the first empty slot.
 *
 * Locking: vmalloc_lock for the table; system calls are made outside of it.
 * An address is in the table only while its mapping exists: it is removed
 * before munmap (another thread may be handed the same address at once) and
 * entered after mmap.
 */
#include "page/vmalloc.h"

#include "base/bits.h"
#include "os/os.h"
#include "page/fault.h"
#include "tune/tune.h"

struct vm_area {
	uintptr_t addr;		/* 0: empty slot */
	size_t len;
};

#define NR_FREED	64
#define FIRST_CAPACITY	(PAGE_SIZE / sizeof(struct vm_area))

static struct {
	struct vm_area *slots;	/* NULL: nothing was mapped yet */
	size_t capacity;	/* power of two */
	struct vmalloc_stats stats;
	uintptr_t freed[NR_FREED];	/* the latest, for reports */
	unsigned next_freed;
} table;

struct lock vmalloc_lock = LOCK_INIT(RANK_VMALLOC);

static size_t home(uintptr_t addr)
{
	return (size_t)((addr >> PAGE_SHIFT) * 0x9e3779b97f4a7c15ull >> 20) &
	       (table.capacity - 1);
}

static struct vm_area *find(uintptr_t addr)
{
	if (!table.slots || !addr)
		return NULL;
	for (size_t i = home(addr); table.slots[i].addr; i = (i + 1) & (table.capacity - 1)) {
		if (table.slots[i].addr == addr)
			return &table.slots[i];
	}
	return NULL;
}

static void insert(uintptr_t addr, size_t len)
{
	size_t i = home(addr);

	while (table.slots[i].addr)
		i = (i + 1) & (table.capacity - 1);
	table.slots[i] = (struct vm_area){ addr, len };
}

static void erase(struct vm_area *a)
{
	size_t mask = table.capacity - 1;
	size_t hole = (size_t)(a - table.slots), i = hole;

	for (;;) {
		i = (i + 1) & mask;
		if (!table.slots[i].addr)
			break;
		/* Move back only what the hole cuts off from its home. */
		if (((i - home(table.slots[i].addr)) & mask) >= ((i - hole) & mask)) {
			table.slots[hole] = table.slots[i];
			hole = i;
		}
	}
	table.slots[hole].addr = 0;
}

/* Room for one more at a load of 3/4; false: no memory for the table. */
static bool reserve(void)
{
	size_t old_capacity = table.capacity;
	struct vm_area *old = table.slots, *slots;
	size_t capacity = old ? 2 * old_capacity : FIRST_CAPACITY;

	if (old && table.stats.count + 1 <= old_capacity / 4 * 3)
		return true;
	slots = page_alloc_meta(capacity * sizeof(*slots) / PAGE_SIZE);
	if (!slots)
		return false;
	table.slots = slots;
	table.capacity = capacity;
	for (size_t i = 0; i < old_capacity; i++) {
		if (old[i].addr)
			insert(old[i].addr, old[i].len);
	}
	if (old)
		page_free_meta(old, old_capacity * sizeof(*old) / PAGE_SIZE);
	return true;
}

bool vmalloc_allowed(void)
{
	return READ_ONCE(table.stats.count) < tune.mmap_max;
}

/* A mapping at a multiple of @align: map more, cut both ends off. */
static int map_aligned(size_t len, size_t align, void **addr)
{
	size_t page = os_page_size(), more = align > page ? align - page : 0;
	uintptr_t start, at;
	int err;

	if (len + more < len)
		return -1;
	err = os_map(len + more, addr);
	if (err || !more)
		return err;
	start = (uintptr_t)*addr;
	at = ALIGN_UP(start, align);
	if (at > start)
		os_unmap((void *)start, at - start);
	if (at + len < start + len + more)
		os_unmap((void *)(at + len), start + more - at);
	*addr = (void *)at;
	return 0;
}

static void count_area(long areas, size_t len)
{
	struct vmalloc_stats *st = &table.stats;

	WRITE_ONCE(st->count, st->count + (size_t)areas);
	st->bytes += areas > 0 ? len : 0 - len;
	st->max_count = MAX(st->max_count, st->count);
	st->max_bytes = MAX(st->max_bytes, st->bytes);
}

static bool enter(void *addr, size_t len)
{
	bool ok;

	lock_acquire(&vmalloc_lock);
	/* A table that cannot grow is good until it is nearly full. */
	ok = reserve() || (table.slots && table.stats.count + 1 < table.capacity);
	if (ok) {
		insert((uintptr_t)addr, len);
		count_area(1, len);
	}
	lock_release(&vmalloc_lock);
	return ok;
}

/*
 * Take the entry out; returns its length, 0: there was none. While a mapping
 * moves, its entry is out of the table but still counted, so that there is a slot
 * for it when it comes back.
 */
static size_t detach(const void *addr, bool for_good)
{
	struct vm_area *a;
	size_t len = 0;

	lock_acquire(&vmalloc_lock);
	a = find((uintptr_t)addr);
	if (a) {
		len = a->len;
		erase(a);
	}
	if (a && for_good) {
		count_area(-1, len);
		table.freed[table.next_freed++ % NR_FREED] = (uintptr_t)addr;
	}
	lock_release(&vmalloc_lock);
	return len;
}

static void attach(const void *addr, size_t old_len, size_t len)
{
	lock_acquire(&vmalloc_lock);
	insert((uintptr_t)addr, len);
	table.stats.bytes += len - old_len;
	table.stats.max_bytes = MAX(table.stats.max_bytes, table.stats.bytes);
	lock_release(&vmalloc_lock);
}

void *vmalloc_alloc(size_t size, size_t align)
{
	size_t len = ALIGN_UP(size, os_page_size());
	void *addr;

	if (len < size || should_fail(STELE_FAIL_PAGE_ALLOC, len) ||
	    map_aligned(len, align, &addr))
		return NULL;
	if (enter(addr, len))
		return addr;
	os_unmap(addr, len);
	return NULL;
}

size_t vmalloc_size(const void *addr)
{
	struct vm_area *a;
	size_t len;

	if (!READ_ONCE(table.slots))
		return 0;
	lock_acquire(&vmalloc_lock);
	a = find((uintptr_t)addr);
	len = a ? a->len : 0;
	lock_release(&vmalloc_lock);
	return len;
}

void *vmalloc_block_of(const void *addr, size_t *size)
{
	void *block = NULL;

	lock_acquire(&vmalloc_lock);
	for (size_t i = 0; i < table.capacity && !block; i++) {
		struct vm_area *a = &table.slots[i];

		if (a->addr && (uintptr_t)addr - a->addr < a->len) {
			block = (void *)a->addr;
			*size = a->len;
		}
	}
	lock_release(&vmalloc_lock);
	return block;
}

bool vmalloc_was_freed(const void *addr)
{
	for (unsigned i = 0; i < NR_FREED; i++) {
		if (addr && table.freed[i] == (uintptr_t)addr)
			return true;
	}
	return false;
}

bool vmalloc_free(void *addr)
{
	size_t len = detach(addr, true);

	if (!len)
		return false;
	tune_note_unmap(len);
	/* Without room for one more mapping a hole cannot be cut: empty it then. */
	if (os_unmap(addr, len))
		os_purge(addr, len);
	return true;
}

void *vmalloc_resize(void *addr, size_t size)
{
	size_t len = ALIGN_UP(size, os_page_size());
	size_t old_len = len < size ? 0 : detach(addr, false);
	void *new_addr = addr;

	if (!old_len)
		return NULL;
	if (len != old_len && os_remap(addr, old_len, len, &new_addr)) {
		attach(addr, old_len, old_len);
		return NULL;
	}
	attach(new_addr, old_len, len);
	return new_addr;
}

struct vmalloc_stats vmalloc_stats(void)
{
	struct vmalloc_stats s;

	lock_acquire(&vmalloc_lock);
	s = table.stats;
	lock_release(&vmalloc_lock);
	return s;
}
