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
 * entered after mmap. What is mapped is charged to the limit before; the ends
 * that map_aligned() cuts off at once are not.
 */
#include "page/vmalloc.h"

#include "base/bits.h"
#include "os/os.h"
#include "page/fault.h"
#include "page/limit.h"
#include "page/thp.h"
#include "tune/tune.h"

struct vm_area {
	uintptr_t addr;		/* 0: empty slot */
	uint64_t len : 63;
	uint64_t pool : 1;	/* of the pool's huge pages */
};
static_assert(sizeof(struct vm_area) == 16, "tables are whole pages");

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

static void insert(struct vm_area a)
{
	size_t i = home(a.addr);

	while (table.slots[i].addr)
		i = (i + 1) & (table.capacity - 1);
	table.slots[i] = a;
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
			insert(old[i]);
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

static bool enter(struct vm_area a)
{
	bool ok;

	lock_acquire(&vmalloc_lock);
	/* A table that cannot grow is good until it is nearly full. */
	ok = reserve() || (table.slots && table.stats.count + 1 < table.capacity);
	if (ok) {
		insert(a);
		count_area(1, a.len);
	}
	lock_release(&vmalloc_lock);
	return ok;
}

/*
 * Take the entry out; its address is 0: there was none. While a mapping moves, its
 * entry is out of the table but still counted, so that there is a slot for it when
 * it comes back.
 */
static struct vm_area detach(const void *addr, bool for_good)
{
	struct vm_area *at, a = { 0 };

	lock_acquire(&vmalloc_lock);
	at = find((uintptr_t)addr);
	if (at) {
		a = *at;
		erase(at);
	}
	if (at && for_good) {
		count_area(-1, a.len);
		table.freed[table.next_freed++ % NR_FREED] = (uintptr_t)addr;
	}
	lock_release(&vmalloc_lock);
	return a;
}

static void attach(struct vm_area a, size_t old_len)
{
	lock_acquire(&vmalloc_lock);
	insert(a);
	table.stats.bytes += a.len - old_len;
	table.stats.max_bytes = MAX(table.stats.max_bytes, table.stats.bytes);
	lock_release(&vmalloc_lock);
}

/* From the pool of huge pages, if one was asked for and has them. */
static bool map_pool(size_t size, size_t align, struct vm_area *a)
{
	size_t page = thp_pool_page(), len;
	void *addr;

	if (likely(!page) || size < page || align > page)
		return false;
	len = ALIGN_UP(size, page);
	if (len < size || !limit_charge(len))
		return false;
	if (os_map_huge(len, page, &addr)) {
		limit_uncharge(len);
		return false;
	}
	*a = (struct vm_area){ (uintptr_t)addr, len, true };
	return true;
}

static bool map_pages(size_t size, size_t align, struct vm_area *a)
{
	size_t len = ALIGN_UP(size, os_page_size());
	void *addr;

	if (len < size || should_fail(STELE_FAIL_PAGE_ALLOC, len) || !limit_charge(len))
		return false;
	if (unlikely(thp_mode() == THP_MODE_ALWAYS) && len >= HUGE_SIZE)
		align = MAX(align, HUGE_SIZE);
	if (map_aligned(len, align, &addr)) {
		limit_uncharge(len);
		return false;
	}
	thp_advise(addr, len);
	*a = (struct vm_area){ (uintptr_t)addr, len, false };
	return true;
}

static void unmap(struct vm_area a)
{
	/* Without room for one more mapping a hole cannot be cut: empty it then. */
	if (os_unmap((void *)a.addr, a.len))
		os_purge((void *)a.addr, a.len);
	limit_uncharge(a.len);
}

void *vmalloc_alloc(size_t size, size_t align)
{
	struct vm_area a;

	if (!map_pool(size, align, &a) && !map_pages(size, align, &a))
		return NULL;
	if (enter(a))
		return (void *)a.addr;
	unmap(a);
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
	struct vm_area a = detach(addr, true);

	if (!a.addr)
		return false;
	tune_note_unmap(a.len);
	unmap(a);
	return true;
}

/* Make the mapping @len long; false: it is as it was. */
static bool remap(struct vm_area *a, size_t len)
{
	size_t more = len > a->len ? len - a->len : 0;
	void *addr = (void *)a->addr;

	/* The system grows no mapping of the pool, and shrinks it by huge pages only. */
	if (a->pool)
		return !more && len > a->len / 2;
	if (len == a->len)
		return true;
	if (!limit_charge(more))
		return false;
	if (os_remap(addr, a->len, len, &addr)) {
		limit_uncharge(more);
		return false;
	}
	if (!more)
		limit_uncharge(a->len - len);
	a->addr = (uintptr_t)addr;
	a->len = len;
	return true;
}

void *vmalloc_resize(void *addr, size_t size)
{
	size_t len = ALIGN_UP(size, os_page_size()), old_len;
	struct vm_area a = { 0 };
	bool done;

	if (len >= size)
		a = detach(addr, false);
	if (!a.addr)
		return NULL;
	old_len = a.len;
	done = remap(&a, len);
	attach(a, old_len);
	return done ? (void *)a.addr : NULL;
}

struct vmalloc_stats vmalloc_stats(void)
{
	struct vmalloc_stats s;

	lock_acquire(&vmalloc_lock);
	s = table.stats;
	lock_release(&vmalloc_lock);
	return s;
}

struct vmalloc_stats vmalloc_stats_unlocked(void)
{
	return table.stats;
}
