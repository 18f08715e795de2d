/* SPDX-License-Identifier: MIT */
#include "os/foreign.h"

#include "os/libc.h"
#include "os/os.h"

bool foreign_all __initdata;

extern void *__libc_malloc(size_t) __weak_ref;
extern void *__libc_calloc(size_t, size_t) __weak_ref;
extern void *__libc_memalign(size_t, size_t) __weak_ref;
extern void __libc_free(void *) __weak_ref;
extern void *__libc_realloc(void *, size_t) __weak_ref;

/* The public shape of libc's block header, as its debuggers rely on it. */
#define WORD		sizeof(size_t)
#define PREV_INUSE	1u
#define IS_MMAPPED	2u
#define FLAGS		7u
#define MIN_CHUNK	(4 * WORD)
#define MAX_CHUNK	(1ul << 46)

static bool size_word(uintptr_t at, size_t *word)
{
	return !os_peek((const void *)(at - WORD), word, sizeof(*word));
}

static bool plausible(size_t word)
{
	size_t size = word & ~(size_t)FLAGS;

	return size >= MIN_CHUNK && size < MAX_CHUNK && IS_ALIGNED(size, 2 * WORD);
}

bool foreign_serves(void)
{
	return LIBC(__libc_malloc) && LIBC(__libc_calloc) && LIBC(__libc_memalign) &&
	       LIBC(__libc_realloc) && LIBC(__libc_free);
}

bool foreign_is_libc(const void *p)
{
	uintptr_t at = (uintptr_t)p;
	size_t word;

	if (foreign_all)
		return true;
	if (!LIBC(__libc_free) || !IS_ALIGNED(at, 2 * WORD) || at >= 1ul << OS_ADDRESS_BITS ||
	    at < 2 * os_page_size())
		return false;
	if (!size_word(at, &word) || !plausible(word))
		return false;
	if (word & IS_MMAPPED) {
		size_t before, total;

		if (!size_word(at - WORD, &before))
			return false;
		total = before + (word & ~(size_t)FLAGS);
		return IS_ALIGNED(at - 2 * WORD - before, os_page_size()) &&
		       IS_ALIGNED(total, os_page_size()) && total >= os_page_size();
	}

	/* A live block's successor says that its predecessor is in use. */
	if (!size_word(at + (word & ~(size_t)FLAGS), &word))
		return false;
	return (word & PREV_INUSE) && (word & ~(size_t)FLAGS) < MAX_CHUNK &&
	       (word & ~(size_t)FLAGS) >= 2 * WORD;
}

void *foreign_alloc(size_t size, size_t align, bool zero)
{
	if (align > 2 * WORD)
		return LIBC(__libc_memalign)(align, size);
	return zero ? LIBC(__libc_calloc)(1, size) : LIBC(__libc_malloc)(size);
}

void foreign_free(void *p)
{
	LIBC(__libc_free)(p);
}

void *foreign_realloc(void *p, size_t size)
{
	return LIBC(__libc_realloc)(p, size);
}

size_t foreign_size(const void *p)
{
	size_t word = *(const size_t *)((uintptr_t)p - WORD);

	return (word & ~(size_t)FLAGS) - (word & IS_MMAPPED ? 2 * WORD : WORD);
}
