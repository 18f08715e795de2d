/* SPDX-License-Identifier: MIT */
#include "page/boot.h"

#define BOOT_BYTES	(32u << 10)
#define BOOT_ALIGN	16u

/* Each block has its size in the 16 bytes before it. Allocated by fetch-add. */
static char arena[BOOT_BYTES] __attribute__((aligned(BOOT_ALIGN)));
static size_t used;

void *boot_alloc(size_t size, size_t align)
{
	size_t total, start;
	uintptr_t p;

	align = MAX(align, (size_t)BOOT_ALIGN);
	if (size > BOOT_BYTES || align > BOOT_BYTES)
		return NULL;
	total = ALIGN_UP(size, BOOT_ALIGN) + align + BOOT_ALIGN;
	if (READ_ONCE(used) + total > BOOT_BYTES)
		return NULL;
	start = __atomic_fetch_add(&used, total, __ATOMIC_RELAXED);
	if (start + total > BOOT_BYTES)
		return NULL;
	p = ALIGN_UP((uintptr_t)arena + start + BOOT_ALIGN, align);
	*(size_t *)(p - BOOT_ALIGN) = size;
	return (void *)p;
}

bool boot_owns(const void *p)
{
	return (uintptr_t)p - (uintptr_t)arena < BOOT_BYTES;
}

size_t boot_size(const void *p)
{
	return *(const size_t *)((uintptr_t)p - BOOT_ALIGN);
}

void boot_range(uintptr_t *start, uintptr_t *end)
{
	*start = (uintptr_t)arena;
	*end = *start + MIN(READ_ONCE(used), (size_t)BOOT_BYTES);
}
