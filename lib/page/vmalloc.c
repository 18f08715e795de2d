/* SPDX-License-Identifier: MIT */
/*
 * vmalloc: large blocks by mmap.
 *
 * The kernel knows the mapping, we must know its length: a table from address
 * to length (base/probe.h), in pages of our own. Nothing is written in the
 * block or beside it.
 *
 * Locking: vmalloc_lock for the table; system calls are made outside of it.
 * An address is in the table only while its mapping exists: it is removed
 * before munmap (another thread may be handed the same address at once) and
 * entered after mmap. What is mapped is charged to the limit before; the ends
 * that vmalloc_map() cuts off at once are not.
 */
#include "page/vmalloc.h"

#include "base/probe.h"
#include "os/os.h"
#include "os/vm.h"
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
static_assert(sizeof(struct vm_area) == sizeof(struct vm_tag), "both fill their pages");

static struct {
	struct vm_area *slots;	/* NULL: nothing was mapped yet */
	struct vm_tag *tags;	/* beside the slots; NULL: not kept */
	size_t capacity;	/* power of two */
	struct vmalloc_stats stats;
	uintptr_t freed[NR_FREED];	/* the latest, for reports */
	struct vm_tag freed_tags[NR_FREED];
	unsigned next_freed;
} table;

/*
 * Mappings that lie apart are not merged by the kernel, which has some 65000 for a process:
 * what is more than this many blocks lies where the kernel puts it.
 */
#define NR_APART	16384

bool vmalloc_apart __initdata;
static bool keep_tags;

struct lock vmalloc_lock = LOCK_INIT(RANK_VMALLOC);

static struct probe probe(void)
{
	return (struct probe){ table.slots, sizeof(struct vm_area), table.capacity };
}

static struct vm_area *find(uintptr_t addr)
{
	struct vm_area *a = table.slots && addr ? probe_slot(probe(), addr) : NULL;

	return a && a->addr ? a : NULL;
}

static struct vm_tag tag_of(const struct vm_area *a)
{
	return table.tags ? table.tags[a - table.slots] : (struct vm_tag){ 0 };
}

static void insert(struct vm_area a, struct vm_tag tag)
{
	struct vm_area *at = probe_slot(probe(), a.addr);

	*at = a;
	if (table.tags)
		table.tags[at - table.slots] = tag;
}

static void erase(struct vm_area *a)
{
	struct vm_area *from = a;

	while ((from = probe_follower(probe(), a, from))) {
		*a = *from;
		if (table.tags)
			table.tags[a - table.slots] = table.tags[from - table.slots];
		a = from;
	}
	a->addr = 0;
}

static void free_table(struct vm_area *slots, struct vm_tag *tags, size_t capacity)
{
	if (slots)
		page_free_meta(slots, capacity * sizeof(*slots) / PAGE_SIZE);
	if (tags)
		page_free_meta(tags, capacity * sizeof(*tags) / PAGE_SIZE);
}

/* Room for one more at a load of 3/4; false: no memory for the table. */
static bool reserve(void)
{
	size_t old_capacity = table.capacity;
	struct vm_area *old = table.slots, *slots;
	struct vm_tag *old_tags = table.tags, *tags = NULL;
	size_t capacity = old ? 2 * old_capacity : FIRST_CAPACITY;

	if (old && table.stats.count + 1 <= old_capacity / 4 * 3)
		return true;
	slots = page_alloc_meta(capacity * sizeof(*slots) / PAGE_SIZE);
	if (slots && keep_tags)
		tags = page_alloc_meta(capacity * sizeof(*tags) / PAGE_SIZE);
	if (!slots || (keep_tags && !tags)) {
		free_table(slots, tags, capacity);
		return false;
	}
	table.slots = slots;
	table.tags = tags;
	table.capacity = capacity;
	for (size_t i = 0; i < old_capacity; i++) {
		if (old[i].addr)
			insert(old[i], old_tags ? old_tags[i] : (struct vm_tag){ 0 });
	}
	free_table(old, old_tags, old_capacity);
	return true;
}

void vmalloc_keep_tags(void)
{
	keep_tags = true;
}

bool vmalloc_allowed(void)
{
	return READ_ONCE(table.stats.count) < tune.mmap_max;
}

static bool lies_apart(void)
{
	return unlikely(vmalloc_apart) && READ_ONCE(table.stats.count) < NR_APART;
}

/* A mapping at a multiple of @align: map more, cut both ends off. */
int vmalloc_map(size_t len, size_t align, void **addr)
{
	size_t page = os_page_size(), more = align > page ? align - page : 0;
	uintptr_t start, at;
	int err;

	if (len + more < len)
		return -1;
	if (lies_apart() && !os_map_apart(len, align, addr))
		return 0;
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
		insert(a, (struct vm_tag){ 0 });
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
static struct vm_area detach(const void *addr, bool for_good, struct vm_tag *tag)
{
	struct vm_area *at, a = { 0 };

	lock_acquire(&vmalloc_lock);
	at = find((uintptr_t)addr);
	if (at) {
		a = *at;
		*tag = tag_of(at);
		erase(at);
	}
	if (at && for_good) {
		count_area(-1, a.len);
		table.freed[table.next_freed % NR_FREED] = (uintptr_t)addr;
		table.freed_tags[table.next_freed++ % NR_FREED] = *tag;
	}
	lock_release(&vmalloc_lock);
	return a;
}

static void attach(struct vm_area a, struct vm_tag tag, size_t old_len)
{
	lock_acquire(&vmalloc_lock);
	insert(a, tag);
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
	if (vmalloc_map(len, align, &addr)) {
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

bool vmalloc_set_tag(const void *addr, const struct vm_tag *tag)
{
	struct vm_area *a;

	lock_acquire(&vmalloc_lock);
	a = find((uintptr_t)addr);
	if (a && table.tags)
		table.tags[a - table.slots] = *tag;
	lock_release(&vmalloc_lock);
	return a;
}

bool vmalloc_tag(const void *addr, struct vm_tag *tag)
{
	struct vm_area *a;

	lock_acquire(&vmalloc_lock);
	a = find((uintptr_t)addr);
	if (a)
		*tag = tag_of(a);
	lock_release(&vmalloc_lock);
	return a;
}

bool vmalloc_walk(bool (*fn)(void *addr, size_t len, struct vm_tag *tag, void *arg), void *arg)
{
	for (size_t i = 0; i < table.capacity; i++) {
		struct vm_area *a = &table.slots[i];

		if (a->addr && !fn((void *)a->addr, a->len,
				   table.tags ? &table.tags[i] : NULL, arg))
			return false;
	}
	return true;
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

bool vmalloc_was_freed(const void *addr, struct vm_tag *tag)
{
	/* The latest first: an address comes again. */
	for (unsigned i = table.next_freed + NR_FREED; addr && i-- > table.next_freed;) {
		if (table.freed[i % NR_FREED] == (uintptr_t)addr) {
			*tag = table.freed_tags[i % NR_FREED];
			return true;
		}
	}
	return false;
}

bool vmalloc_free(void *addr)
{
	struct vm_tag tag;
	struct vm_area a = detach(addr, true, &tag);

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
	if ((lies_apart() ? os_remap_apart : os_remap)(addr, a->len, len, &addr)) {
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
	struct vm_tag tag = { 0 };
	bool done;

	if (len >= size)
		a = detach(addr, false, &tag);
	if (!a.addr)
		return NULL;
	old_len = a.len;
	done = remap(&a, len);
	attach(a, tag, old_len);
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
