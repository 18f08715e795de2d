/* SPDX-License-Identifier: MIT */
/* The OS seam of os/vm.h on Linux. */
#include "os/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/bits.h"
#include "os/os.h"
#include "os/syscall.h"

/* Missing from the headers of old distributions. */
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE	0x100000
#endif
#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT		26
#endif
#define ADVISE_GUARD		102	/* MADV_GUARD_INSTALL, Linux 6.13 */
#define ADVISE_COLD		20	/* MADV_COLD, Linux 5.4 */
#define REMAP_KEEP		4	/* MREMAP_DONTUNMAP, Linux 5.7 */
#ifndef MREMAP_FIXED
#define MREMAP_FIXED		2
#endif

#define MAP_OWN		(MAP_PRIVATE | MAP_ANONYMOUS)
#define READ_WRITE	(PROT_READ | PROT_WRITE)

/* Pages up to which markers in the page table are cheaper than a mapping. */
#define GUARD_PAGES	16

#define LOW_LIMIT	(1ull << 32)
#define LOW_FIRST	(16ul << 20)	/* programs that are linked low, and NULL */
#define LOW_STEP	(1ul << 20)

static long map(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	return raw_syscall6(SYS_mmap, (long)at, (long)len, prot, flags, fd, offset);
}

static bool failed(long ret)
{
	return ret < 0 && ret > -4096;
}

static int fixed(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	long ret = map(at, len, prot, flags | MAP_FIXED, fd, offset);

	return failed(ret) ? (int)ret : 0;
}

size_t os_huge_size(void)
{
	return os_page_size() * (os_page_size() / sizeof(uint64_t));
}

/*
 * At this very address? A kernel that does not know NOREPLACE takes the address
 * for a wish, and may answer with another.
 */
static bool map_at(uintptr_t at, size_t len, int prot)
{
	int flags = MAP_OWN | MAP_FIXED_NOREPLACE | (prot == PROT_NONE ? MAP_NORESERVE : 0);
	long ret = map((void *)at, len, prot, flags, -1, 0);

	if (failed(ret))
		return false;
	if ((uintptr_t)ret == at)
		return true;
	os_unmap((void *)ret, len);
	return false;
}

uint64_t os_low_limit(void)
{
	return LOW_LIMIT;
}

/*
 * There is no flag for it: MAP_32BIT is x86's alone, and half as far. Addresses
 * are tried from the top down, on from the last one that was free; then once more
 * from the top, for what has been unmapped since.
 */
__far int os_map_low(size_t len, void **addr)
{
	static uintptr_t last = LOW_LIMIT;
	uintptr_t start = READ_ONCE(last);

	for (int round = 0; round < 2; round++, start = LOW_LIMIT) {
		uintptr_t at = start;

		while (at >= LOW_FIRST + len && at - len >= LOW_FIRST) {
			at = ALIGN_DOWN(at - len, os_page_size());
			if (map_at(at, len, READ_WRITE)) {
				WRITE_ONCE(last, at);
				*addr = (void *)at;
				return 0;
			}
			at = ALIGN_DOWN(at + len - 1, LOW_STEP);
		}
		if (start == LOW_LIMIT)
			break;
	}
	return -ENOMEM;
}

/*
 * Where neither programs nor the kernel put anything by themselves, no text points, and the
 * upper half is a number like none that programs count: a heap, and mappings.
 */
#define APART_HEAP	0x1c5b00000000ul
#define APART_FIRST	0x1d3b00000000ul
#define APART_LAST	0x1e3b00000000ul
#define APART_GAP	(64ul << 10)
#define APART_ROOM	(1ul << 30)	/* the most that is left behind what grows */
#define APART_MARGIN	(1ul << 20)	/* of numbers beside halves of pointers, below 0 too */
#define APART_TRIES	10u

#define GRAIN_SMALL	(1ul << 24)	/* by the three low bytes of a pointer, */
#define GRAIN_LARGE	(1ul << 32)	/* and four */

/* Can [at, at + len) keep off the multiples of @grain? The first place from @at on. */
static bool keep_off(uintptr_t *at, size_t len, size_t align, size_t grain)
{
	size_t lead = MAX(align, APART_MARGIN), off = *at & (grain - 1);

	if (lead >= grain || len > grain - lead - APART_MARGIN)
		return false;
	if (off < APART_MARGIN || off + len > grain - APART_MARGIN)
		*at += (off < APART_MARGIN ? 0 : grain) + lead - off;
	return true;
}

static uintptr_t place_apart(uintptr_t at, size_t len, size_t align)
{
	at = ALIGN_UP(at, align);
	if (!keep_off(&at, len, align, GRAIN_SMALL))
		keep_off(&at, len, align, GRAIN_LARGE);
	return at;
}

/*
 * A break of our own. Where it would move over a multiple of 4 GiB it has been moved by
 * somebody else before: our caller knows such breaks.
 */
__far int os_sbrk_apart(intptr_t delta, void **old_break)
{
	static uintptr_t top = APART_HEAP + APART_MARGIN;
	uintptr_t at = top;

	if (delta > 0) {
		keep_off(&at, (size_t)delta, os_page_size(), GRAIN_LARGE);
		if (at + (size_t)delta > APART_FIRST || !map_at(at, (size_t)delta, READ_WRITE))
			return -ENOMEM;
	} else if (delta < 0 && os_unmap((void *)(at + (size_t)delta), 0 - (size_t)delta)) {
		return -ENOMEM;
	}
	top = at + (size_t)delta;
	*old_break = (void *)at;
	return 0;
}

static uintptr_t next_apart = APART_FIRST;	/* atomic */

/* @room: bytes behind it that nothing else is laid in, for now. */
static int map_apart(size_t len, size_t align, size_t room, int prot, void **addr)
{
	uintptr_t from = READ_ONCE(next_apart), at;

	if (len > (APART_LAST - APART_FIRST) / 4 || align > APART_ROOM)
		return -ENOMEM;
	for (unsigned i = 0; i < APART_TRIES; i++) {
		do {
			at = place_apart(from, len, align);
			if (at + len + room > APART_LAST)
				at = place_apart(APART_FIRST, len, align);
		} while (!__atomic_compare_exchange_n(&next_apart, &from, at + len + room, false,
						      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
		if (map_at(at, len, prot)) {
			*addr = (void *)at;
			return 0;
		}
		/* After a round there may be others: over them by longer and longer steps. */
		room = APART_GAP << 2 * i;
		from = READ_ONCE(next_apart);
	}
	return -ENOMEM;
}

static size_t room_to_grow(size_t len)
{
	return CLAMP(len, APART_GAP, APART_ROOM);
}

/* In place, where that is as good a place. */
static bool grow_apart(uintptr_t at, size_t old_len, size_t new_len)
{
	uintptr_t next = READ_ONCE(next_apart), end = at + new_len;

	if (place_apart(at, new_len, os_page_size()) != at ||
	    failed(raw_syscall(SYS_mremap, at, old_len, new_len, 0)))
		return false;
	while (next >= at && next < end + APART_GAP &&
	       !__atomic_compare_exchange_n(&next_apart, &next, end + room_to_grow(new_len), false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return true;
}

__far int os_map_apart(size_t len, size_t align, void **addr)
{
	return map_apart(len, MAX(align, os_page_size()), APART_GAP, READ_WRITE, addr);
}

/* Else somewhere with room for the next time. */
__far int os_remap_apart(void *addr, size_t old_len, size_t new_len, void **new_addr)
{
	void *to;
	long ret;

	*new_addr = addr;
	if (new_len < old_len)
		return os_remap(addr, old_len, new_len, new_addr);
	if (grow_apart((uintptr_t)addr, old_len, new_len))
		return 0;
	if (map_apart(new_len, os_page_size(), room_to_grow(new_len), PROT_NONE, &to))
		return os_remap(addr, old_len, new_len, new_addr);
	ret = raw_syscall6(SYS_mremap, (long)addr, (long)old_len, (long)new_len,
			   MREMAP_MAYMOVE | MREMAP_FIXED, (long)to, 0);
	if (failed(ret)) {
		os_unmap(to, new_len);
		return os_remap(addr, old_len, new_len, new_addr);
	}
	*new_addr = to;
	return 0;
}

int os_reserve(size_t len, void **addr)
{
	long ret = map(NULL, len, PROT_NONE, MAP_OWN | MAP_NORESERVE, -1, 0);

	if (failed(ret))
		return (int)ret;
	*addr = (void *)ret;
	return 0;
}

int os_open(void *addr, size_t len)
{
	return fixed(addr, len, READ_WRITE, MAP_OWN, -1, 0);
}

int os_open_huge(void *addr, size_t len)
{
	int size = (int)bit_first(os_huge_size()) << MAP_HUGE_SHIFT;

	return fixed(addr, len, READ_WRITE, MAP_OWN | MAP_HUGETLB | size, -1, 0);
}

int os_open_file(void *addr, size_t len, int fd, off_t offset, bool writable)
{
	return fixed(addr, len, writable ? READ_WRITE : PROT_READ, MAP_SHARED, fd, offset);
}

/*
 * Small ranges get markers in their page table: less than half of the time of a
 * new mapping, other threads' page faults go on meanwhile, and the list of mappings
 * does not grow. A mapping takes the place of large ones, as it costs nothing
 * for what was never touched, and where the kernel has no markers or the memory
 * is locked.
 */
int os_seal(void *addr, size_t len)
{
	static bool no_markers;

	if (len <= GUARD_PAGES * os_page_size() && !READ_ONCE(no_markers)) {
		if (!raw_syscall(SYS_madvise, addr, len, ADVISE_GUARD, 0))
			return 0;
		WRITE_ONCE(no_markers, true);
	}
	return os_seal_any(addr, len);
}

int os_seal_any(void *addr, size_t len)
{
	return fixed(addr, len, PROT_NONE, MAP_OWN | MAP_NORESERVE, -1, 0);
}

/*
 * By way of a place that the kernel chooses. If @from is more than one mapping, or the
 * kernel cannot do it, that fails with nothing changed; the second step, of one whole
 * mapping, can fail only for want of the kernel's own memory. Straight to @to, that
 * would be unmapped when it is found out that @from does not do.
 */
static long move_away(void *from, size_t len)
{
	return raw_syscall6(SYS_mremap, (long)from, (long)len, (long)len,
			    MREMAP_MAYMOVE | REMAP_KEEP, 0, 0);
}

/* Memory that is locked would not be so any more, and this advice is refused for it. */
static bool is_locked(void *addr)
{
	return raw_syscall(SYS_madvise, addr, os_page_size(), ADVISE_COLD, 0) != 0;
}

int os_move(void *from, void *to, size_t len)
{
	long via, ret;

	if (is_locked(from))
		return -EINVAL;
	via = move_away(from, len);
	if (failed(via))
		return (int)via;
	ret = raw_syscall6(SYS_mremap, via, (long)len, (long)len, MREMAP_MAYMOVE | MREMAP_FIXED,
			   (long)to, 0);
	if (!failed(ret))
		return 0;
	os_unmap((void *)via, len);
	/* Whether it is mapped, and still by us, cannot be told otherwise. */
	return map_at((uintptr_t)to, len, READ_WRITE) ? (int)ret : OS_LOST;
}

/* Emulators know the call, but not all of them the flag: two pages tell. */
static bool try_move(void)
{
	size_t page = os_page_size();
	void *addr;
	bool done = false;
	long via;

	if (os_under_valgrind() || os_map(page, &addr))
		return false;
	*(volatile char *)addr = 1;
	via = move_away(addr, page);
	if (!failed(via)) {
		done = os_readable(addr) && !*(volatile char *)addr && *(volatile char *)via == 1;
		os_unmap((void *)via, page);
	}
	if (failed(via) || done)
		os_unmap(addr, page);
	return done;
}

bool os_can_move(void)
{
	static int can;		/* 0: not asked yet, then 1 or -1 */

	if (unlikely(!READ_ONCE(can)))
		WRITE_ONCE(can, try_move() ? 1 : -1);
	return READ_ONCE(can) > 0;
}

int os_want_huge(void *addr, size_t len)
{
	return (int)raw_syscall(SYS_madvise, addr, len, MADV_HUGEPAGE, 0);
}

int os_pin(void *addr, size_t len)
{
	int err = (int)raw_syscall(SYS_madvise, addr, len, MADV_DONTFORK, 0);

	return err ? err : (int)raw_syscall(SYS_mlock, addr, len, 0, 0);
}

/* An entry of pagemap: the frame in bits 0 to 54 (0 without privilege), bit 63 present. */
__far uint64_t os_phys(const void *addr)
{
	static const char path[] = "/proc/self/pagemap";
	uint64_t entry = 0, frame;
	uintptr_t page = (uintptr_t)addr / os_page_size();
	long fd = raw_syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return 0;
	if (raw_syscall(SYS_pread64, fd, &entry, sizeof(entry), page * sizeof(entry)) !=
	    sizeof(entry))
		entry = 0;
	raw_syscall(SYS_close, fd, 0, 0, 0);
	frame = entry & ((1ull << 55) - 1);
	if (!(entry >> 63) || !frame)
		return 0;
	return frame * os_page_size() + (uintptr_t)addr % os_page_size();
}

int os_file(int fd, struct os_file *file)
{
	struct stat st;
	long flags = raw_syscall(SYS_fcntl, fd, F_GETFL, 0, 0);
	long err = raw_syscall(SYS_fstat, fd, &st, 0, 0);

	if (flags < 0)
		return (int)flags;
	if (err)
		return (int)err;
	file->dev = st.st_dev;
	file->inode = st.st_ino;
	file->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : UINT64_MAX;
	file->writable = (flags & O_ACCMODE) == O_RDWR;
	return 0;
}
