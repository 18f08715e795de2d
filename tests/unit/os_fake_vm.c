/* SPDX-License-Identifier: MIT */
/*
 * The fake machine: os/vm.h, on the memory of os_fake.c. What is sealed stays
 * mapped there, and cannot be accessed. There are no files, no low addresses (any
 * will do) and no reserved huge pages.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "os/os.h"
#include "os/vm.h"
#include "os_fake.h"

static int protect(enum fake_call kind, void *addr, size_t len, int prot)
{
	int err = fake_enter(kind, addr, len, kind == FAKE_OPEN);

	if (err)
		return err;
	if (!fake_is_mapped(addr) || !fake_is_mapped((char *)addr + len - 1)) {
		fprintf(stderr, "os_fake_vm: %p is not mapped\n", addr);
		abort();
	}
	madvise(addr, len, MADV_DONTNEED);
	return mprotect(addr, len, prot) ? -ENOMEM : 0;
}

size_t os_huge_size(void)
{
	return fake.page_size * (fake.page_size / 8);
}

uint64_t os_low_limit(void)
{
	return fake.low_limit;
}

int os_map_low(size_t len, void **addr)
{
	return os_map(len, addr);
}

/* There is no such place. */
int os_map_apart(size_t len __unused_arg, size_t align __unused_arg, void **addr __unused_arg)
{
	return -ENOMEM;
}

int os_remap_apart(void *addr, size_t old_len, size_t new_len, void **new_addr)
{
	return os_remap(addr, old_len, new_len, new_addr);
}

int os_sbrk_apart(intptr_t delta, void **old_break)
{
	return os_sbrk(delta, old_break);
}

int os_reserve(size_t len, void **addr)
{
	int err = os_map(len, addr);

	return err ? err : mprotect(*addr, len, PROT_NONE);
}

int os_open(void *addr, size_t len)
{
	return protect(FAKE_OPEN, addr, len, PROT_READ | PROT_WRITE);
}

int os_open_huge(void *addr __unused_arg, size_t len __unused_arg)
{
	return -ENOMEM;
}

int os_open_file(void *addr __unused_arg, size_t len __unused_arg, int fd __unused_arg,
		 off_t offset __unused_arg, bool writable __unused_arg)
{
	return -ENODEV;
}

int os_seal(void *addr, size_t len)
{
	return protect(FAKE_SEAL, addr, len, PROT_NONE);
}

int os_seal_any(void *addr, size_t len)
{
	return protect(FAKE_SEAL, addr, len, PROT_NONE);
}

bool os_can_move(void)
{
	return fake.can_move;
}

/* fake_fail(FAKE_MOVE, ..., -OS_LOST) loses the target. */
int os_move(void *from, void *to, size_t len)
{
	int err = fake_enter(FAKE_MOVE, to, len, false);

	if (!fake_is_mapped(from) || !fake_is_mapped((char *)from + len - 1) ||
	    !fake_is_mapped(to) || !fake_is_mapped((char *)to + len - 1)) {
		fprintf(stderr, "os_fake_vm: %p or %p is not mapped\n", from, to);
		abort();
	}
	if (err)
		return err;
	memcpy(to, from, len);
	madvise(from, len, MADV_DONTNEED);
	return 0;
}

int os_want_huge(void *addr __unused_arg, size_t len __unused_arg)
{
	return 0;
}

int os_pin(void *addr, size_t len)
{
	return fake_enter(FAKE_PIN, addr, len, false);
}

uint64_t os_phys(const void *addr __unused_arg)
{
	return 0;
}

int os_file(int fd __unused_arg, struct os_file *file __unused_arg)
{
	return -EBADF;
}
