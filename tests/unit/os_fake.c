/* SPDX-License-Identifier: MIT */
/*
 * The fake machine: its memory. For the rest of it see os_fake_misc.c.
 *
 * 1. Memory. One bit per 4 KiB page says what is mapped; the real system is
 *    told by mprotect, and MADV_DONTNEED gives the zeros that fresh pages have.
 *    Only when the real system has no more room for a cut in its own list of
 *    mappings an unmapped page stays accessible.
 *
 * 2. Locking. The core calls in from several threads at a time: one mutex.
 */
#include "os_fake.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bits.h"
#include "os/libc.h"
#include "os/os.h"

#define UNIT		4096ul			/* what the bitmap counts in */
#define NR_UNITS	(FAKE_SPAN / UNIT)
#define RESERVED	(256ul << 30)
#define LEAF_SPAN	(128ul << 30)

struct failure {
	unsigned after, times;
	int err;
};

struct fake fake;

static uint64_t mapped[NR_UNITS / 64];
static struct {
	size_t low, high;			/* units that were ever mapped */
} used[2];					/* below and above FAKE_MIDDLE */
static size_t map_hint;				/* all units from here up are mapped */
static struct failure failures[NR_FAKE_CALLS];
static bool failing_all;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static _Noreturn void broken_contract(const char *what, uintptr_t addr, size_t len)
{
	fprintf(stderr, "os_fake: %s: address %#lx, length %#lx\n", what, (unsigned long)addr,
		(unsigned long)len);
	abort();
}

static void reserve(void)
{
	/* By number: sanitizers need not know of so large a range. */
	long raw = syscall(SYS_mmap, NULL, RESERVED, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0L);

	if (raw == -1) {
		perror("os_fake: mmap");
		abort();
	}
	fake.base = ALIGN_UP((uintptr_t)raw + FAKE_LEAF, LEAF_SPAN) - FAKE_LEAF;
}

/* Take memory back, so that a machine can be booted again. */
static void wipe(size_t low, size_t high)
{
	void *p = (void *)(fake.base + low * UNIT);

	if (low == high)
		return;
	madvise(p, (high - low) * UNIT, MADV_DONTNEED);
	mprotect(p, (high - low) * UNIT, PROT_NONE);
	bits_clear_range(mapped, low, high);
}

void fake_boot(void)
{
	uintptr_t base;

	if (!fake.base)
		reserve();
	for (unsigned half = 0; half < 2; half++) {
		wipe(used[half].low, used[half].high);
		used[half].low = used[half].high = 0;
	}
	base = fake.base;
	memset(&fake, 0, sizeof(fake));
	memset(failures, 0, sizeof(failures));
	failing_all = false;
	fake_text_clear();
	fake.base = base;
	fake.page_size = 4096;
	fake.cpus = 2;
	fake.single_threaded = true;
	fake.limit = SIZE_MAX;
	fake_break(1ul << 20, FAKE_MIDDLE - (1ul << 20));
	fake_map_area(FAKE_MIDDLE, FAKE_SPAN);
}

void fake_break(size_t offset, size_t room)
{
	fake.brk_start = fake.brk = fake.base + offset;
	fake.break_limit = fake.brk_start + room;
}

void fake_map_area(size_t low, size_t high)
{
	fake.map_low = fake.base + low;
	fake.map_high = fake.base + high;
	map_hint = high / UNIT;
}

void fake_fail(enum fake_call kind, unsigned after, unsigned times, int err)
{
	failures[kind] = (struct failure){ after, times, err };
}

void fake_fail_all(bool fail)
{
	failing_all = fail;
}

/* Count a call; returns the error that a test asked for, or 0. */
static int enter_call(enum fake_call kind, uintptr_t addr, size_t len, bool gives_memory)
{
	struct failure *f = &failures[kind];

	fake.calls[kind]++;
	fake.last[kind].addr = addr;
	fake.last[kind].len = len;
	if (failing_all && gives_memory)
		return -ENOMEM;
	if (!f->times)
		return 0;
	if (f->after) {
		f->after--;
		return 0;
	}
	if (f->times != FAKE_ALWAYS)
		f->times--;
	return -f->err;
}

int fake_enter(enum fake_call kind, void *addr, size_t len, bool gives_memory)
{
	int err;

	pthread_mutex_lock(&mutex);
	err = enter_call(kind, (uintptr_t)addr, len, gives_memory);
	pthread_mutex_unlock(&mutex);
	return err;
}

static size_t unit_of(uintptr_t addr)
{
	return (addr - fake.base) / UNIT;
}

static bool all_mapped(uintptr_t addr, size_t len)
{
	return addr >= fake.base && addr + len <= fake.base + FAKE_SPAN &&
	       bits_next(mapped, unit_of(addr), unit_of(addr + len), false) ==
		       unit_of(addr + len);
}

static void note_used(size_t low, size_t high)
{
	unsigned half = low >= FAKE_MIDDLE / UNIT;

	used[half].low = used[half].high ? MIN(used[half].low, low) : low;
	used[half].high = MAX(used[half].high, high);
}

static void commit(uintptr_t addr, size_t len)
{
	if (!len)
		return;
	note_used(unit_of(addr), unit_of(addr + len));
	if (mprotect((void *)addr, len, PROT_READ | PROT_WRITE))
		broken_contract("mprotect", addr, len);
	if (bits_set_range(mapped, unit_of(addr), unit_of(addr + len)) != len / UNIT)
		broken_contract("mapped twice", addr, len);
	fake.mapped += len;
}

static void release(uintptr_t addr, size_t len)
{
	if (!len)
		return;
	if (!all_mapped(addr, len))
		broken_contract("unmapping what is not mapped", addr, len);
	madvise((void *)addr, len, MADV_DONTNEED);
	mprotect((void *)addr, len, PROT_NONE);
	bits_clear_range(mapped, unit_of(addr), unit_of(addr + len));
	fake.mapped -= len;
}

static void check_range(const char *call, uintptr_t addr, size_t len)
{
	if (!IS_ALIGNED(addr, fake.page_size) || !IS_ALIGNED(len, fake.page_size) || !len)
		broken_contract(call, addr, len);
}

static bool over_limit(size_t more)
{
	return fake.mapped > fake.limit || more > fake.limit - fake.mapped;
}

size_t os_page_size(void)
{
	return fake.page_size;
}

static int move_break(intptr_t delta, void **old_break)
{
	uintptr_t old = fake.brk, new = old + (uintptr_t)delta;
	uintptr_t old_end = ALIGN_UP(old, fake.page_size);
	uintptr_t new_end = ALIGN_UP(new, fake.page_size);

	if ((delta < 0 && (new > old || new < fake.brk_start)) ||
	    (delta > 0 && (new < old || new > fake.break_limit)))
		return -ENOMEM;
	if (new_end > old_end) {
		if (over_limit(new_end - old_end))
			return -ENOMEM;
		/* The page of an unaligned start belongs to the program. */
		commit(old_end, new_end - old_end);
	} else if (new_end < old_end) {
		release(new_end, old_end - new_end);
	}
	fake.brk = new;
	*old_break = (void *)old;
	return 0;
}

int os_sbrk(intptr_t delta, void **old_break)
{
	enum fake_call kind = delta > 0 ? FAKE_BRK_GROW :
			      delta < 0 ? FAKE_BRK_TRIM : FAKE_SBRK_QUERY;
	void (*before)(intptr_t) = fake.before_sbrk;
	int err;

	if (before && delta) {
		fake.before_sbrk = NULL;
		before(delta);
	}
	pthread_mutex_lock(&mutex);
	err = enter_call(kind, fake.brk, (size_t)(delta < 0 ? -delta : delta), delta > 0);
	if (!err)
		err = move_break(delta, old_break);
	pthread_mutex_unlock(&mutex);
	return err;
}

#ifdef __GLIBC__
void *os_libc_symbol(const char *name)
{
	return dlsym(RTLD_DEFAULT, name);
}
#endif

void *fake_foreign_sbrk(intptr_t delta)
{
	void *old = NULL;

	pthread_mutex_lock(&mutex);
	if (move_break(delta, &old))
		old = NULL;
	pthread_mutex_unlock(&mutex);
	return old;
}

/* The highest hole of @len bytes, as Linux places mappings; 0: none. */
static uintptr_t place(size_t len)
{
	size_t want = len / UNIT, low = unit_of(fake.map_low), run = 0, i = map_hint;
	bool above_full = true;

	while (i > low) {
		uint64_t word = mapped[(i - 1) / 64];

		if (i % 64 == 0 && i - low >= 64 && (word == ~0ull || word == 0)) {
			run = word ? 0 : run + 64;
			i -= 64;
		} else {
			run = bits_test(mapped, i - 1) ? 0 : run + 1;
			i--;
		}
		if (run && above_full) {
			map_hint = i + run;
			above_full = false;
		}
		if (run >= want)
			return fake.base + (i + run - want) * UNIT;
	}
	return 0;
}

static int map_locked(size_t len, void **addr)
{
	uintptr_t at;

	if (len > FAKE_SPAN || over_limit(len) || !(at = place(len)))
		return -ENOMEM;
	commit(at, len);
	*addr = (void *)at;
	return 0;
}

int os_map(size_t len, void **addr)
{
	int err;

	check_range("os_map", 0, len);
	pthread_mutex_lock(&mutex);
	err = enter_call(FAKE_MAP, 0, len, true);
	if (!err)
		err = map_locked(len, addr);
	if (!err)
		fake.last[FAKE_MAP].addr = (uintptr_t)*addr;
	pthread_mutex_unlock(&mutex);
	return err;
}

/* A mapping at a multiple of the page size, as the real system makes it. */
static int map_huge_locked(size_t len, void **addr)
{
	uintptr_t at;

	if (len > fake.pool || over_limit(len) || !(at = place(len + FAKE_HUGE)))
		return -ENOMEM;
	at = ALIGN_UP(at, FAKE_HUGE);
	fake.pool -= len;
	commit(at, len);
	*addr = (void *)at;
	return 0;
}

int os_map_huge(size_t len, size_t huge, void **addr)
{
	int err;

	if (!IS_ALIGNED(len, huge) || !len)
		broken_contract("os_map_huge", 0, len);
	pthread_mutex_lock(&mutex);
	err = enter_call(FAKE_MAP_HUGE, 0, len, true);
	if (!err)
		err = huge == FAKE_HUGE ? map_huge_locked(len, addr) : -EINVAL;
	pthread_mutex_unlock(&mutex);
	return err;
}

int os_advise_huge(void *addr, size_t len, bool huge)
{
	int err;

	check_range("os_advise_huge", (uintptr_t)addr, len);
	pthread_mutex_lock(&mutex);
	if (!all_mapped((uintptr_t)addr, len))
		broken_contract("advising what is not mapped", (uintptr_t)addr, len);
	err = enter_call(huge ? FAKE_ADVISE_HUGE : FAKE_ADVISE_SMALL, (uintptr_t)addr, len, false);
	pthread_mutex_unlock(&mutex);
	return err;
}

static void unmap_locked(uintptr_t addr, size_t len)
{
	release(addr, len);
	map_hint = MAX(map_hint, unit_of(addr + len));
}

int os_unmap(void *addr, size_t len)
{
	int err;

	check_range("os_unmap", (uintptr_t)addr, len);
	pthread_mutex_lock(&mutex);
	err = enter_call(FAKE_UNMAP, (uintptr_t)addr, len, false);
	if (!err)
		unmap_locked((uintptr_t)addr, len);
	pthread_mutex_unlock(&mutex);
	return err;
}

static int remap_locked(uintptr_t addr, size_t old_len, size_t new_len, void **new_addr)
{
	uintptr_t end = addr + old_len, new_end = addr + new_len;
	void *to;
	int err;

	if (!all_mapped(addr, old_len))
		return -EFAULT;
	*new_addr = (void *)addr;
	if (new_len < old_len) {
		unmap_locked(new_end, old_len - new_len);
		return 0;
	}
	if (!fake.remap_moves && new_end <= fake.map_high && !over_limit(new_len - old_len) &&
	    bits_next(mapped, unit_of(end), unit_of(new_end), true) == unit_of(new_end)) {
		commit(end, new_end - end);
		return 0;
	}
	err = map_locked(new_len, &to);
	if (err)
		return err;
	memcpy(to, (void *)addr, old_len);
	unmap_locked(addr, old_len);
	*new_addr = to;
	return 0;
}

int os_remap(void *addr, size_t old_len, size_t new_len, void **new_addr)
{
	void *to = addr;
	int err;

	check_range("os_remap", (uintptr_t)addr, old_len);
	check_range("os_remap", (uintptr_t)addr, new_len);
	pthread_mutex_lock(&mutex);
	err = enter_call(FAKE_REMAP, (uintptr_t)addr, new_len, new_len > old_len);
	if (!err)
		err = remap_locked((uintptr_t)addr, old_len, new_len, &to);
	if (!err)
		*new_addr = to;
	pthread_mutex_unlock(&mutex);
	return err;
}

int os_purge(void *addr, size_t len)
{
	int err;

	check_range("os_purge", (uintptr_t)addr, len);
	pthread_mutex_lock(&mutex);
	if (!all_mapped((uintptr_t)addr, len))
		broken_contract("purging what is not mapped", (uintptr_t)addr, len);
	err = enter_call(FAKE_PURGE, (uintptr_t)addr, len, false);
	if (!err)
		madvise(addr, len, MADV_DONTNEED);
	pthread_mutex_unlock(&mutex);
	return err;
}

bool fake_is_mapped(const void *addr)
{
	uintptr_t a = (uintptr_t)addr;

	return a >= fake.base && a < fake.base + FAKE_SPAN && bits_test(mapped, unit_of(a));
}

int os_fence_init(void)
{
	return -ENOSYS;
}

int os_fence(int cpu __unused_arg)
{
	return -ENOSYS;
}
