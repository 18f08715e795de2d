/* SPDX-License-Identifier: MIT */
/*
 * Each rule asks for what only such a block holds, so that a pointer into the middle of another
 * one stays what it is.
 */
#include "observe/start.h"

#include "observe/module.h"

/* Does the word look like the address of a table of virtual functions? */
static bool is_vtable(uintptr_t word)
{
	const struct module *mod;

	if (!word || !IS_ALIGNED(word, sizeof(void *)))
		return false;
	mod = module_of(word, ~0u);
	if (!mod || mod->ours)
		return false;
	/* Its first word is the address of a function. */
	word = *(const uintptr_t *)word;
	mod = module_of(word, ~0u);
	for (unsigned i = 0; mod && i < mod->nr_segments; i++) {
		if (mod->segment[i].exec && word - mod->segment[i].start <
						    mod->segment[i].end - mod->segment[i].start)
			return true;
	}
	return false;
}

/* The header that the C++ runtimes keep before an exception, as the Itanium ABI has it. */
#define EXCEPTION_HEADER 128u	/* with its count of references; libstdc++, libc++abi */
#define EXCEPTION_FIELDS 16u	/* behind the count: what the list of caught ones points to */
#define EXCEPTION_CLASS	 96u	/* the unwinder's part: vendor and language */

static bool is_exception(size_t off, const struct block *b)
{
	uint64_t class;

	if (off != EXCEPTION_FIELDS && off != EXCEPTION_CLASS && off != EXCEPTION_HEADER)
		return false;
	if (b->size < EXCEPTION_HEADER)
		return false;
	class = *(const uint64_t *)((const char *)b->addr + EXCEPTION_CLASS) >> 8;
	return class == 0x474e5543432b2b || class == 0x434c4e47432b2b; /* GNUCC++, CLNGC++ */
}

/*
 * A string of sds, as of redis: length, room, and a byte whose low bits tell how wide these
 * are; the pointer is behind them.
 */
static bool is_sds(uintptr_t p, size_t off, const struct block *b)
{
	const uint8_t *s = (const uint8_t *)p;
	uint64_t length = 0, room = 0;
	size_t width = off / 2;

	/* Headers of 1, 3, 5, 9 and 17 bytes, of types 0 to 4. */
	if (off > 17 || !(off & 1) || b->size < off + 1 ||
	    (s[-1] & 7) != (off == 1 ? 0 : off == 3 ? 1 : off == 5 ? 2 : off == 9 ? 3 :
			    off == 17 ? 4 : 8))
		return false;
	if (off == 1)
		return b->size == (s[-1] >> 3) + 2u && !s[b->size - 2];
	for (size_t i = width; i-- > 0;) {
		length = length << 8 | s[i - off];
		room = room << 8 | s[i + width - off];
	}
	return length <= room && room == b->size - off - 1 && !s[length];
}

/* A node of libc's tsearch(): the last bit of what leads to it is its colour. */
static bool is_tree_node(size_t off, const struct block *b)
{
	const uintptr_t *w = b->addr;

	return off == 1 && b->size == 3 * sizeof(*w) && w[0] && !(w[2] & 1) &&
	       (w[1] <= 1 || block_possible(w[1])) && (!w[2] || block_possible(w[2]));
}

/*
 *	an array of objects with destructors	new[] keeps their number before them
 *	a second base class			its table of functions stands there
 *	a string that shares its text		length, capacity and count before it
 *	sqlite's and others' blocks		their size in the 8 bytes before
 */
static bool is_behind_header(size_t off, const struct block *b)
{
	const uintptr_t *w = b->addr;
	size_t rest = b->size - off;

	if (off == 8 && (w[0] == b->size - 8 || (w[0] && rest % w[0] == 0 && rest / w[0])))
		return true;
	if (off == 24 && w[0] <= w[1] && w[1] + 25 == b->size && (int32_t)w[2] >= -1 &&
	    w[2] <= UINT32_MAX)
		return true;
	return rest >= sizeof(*w) && is_vtable(w[0]) && is_vtable(w[off / sizeof(*w)]);
}

bool start_is(uintptr_t p, const struct block *b)
{
	size_t off = p - (uintptr_t)b->addr;

	if (!off)
		return true;
	if (off > b->size)
		return false;
	if (!IS_ALIGNED(off, sizeof(void *)))
		return is_sds(p, off, b) || is_tree_node(off, b);
	return b->size >= 2 * sizeof(uintptr_t) && (is_behind_header(off, b) || is_exception(off, b));
}

/* Their number is the whole block. */
bool start_of_empty(uintptr_t p, const struct block *b)
{
	const uintptr_t *number = b->addr;

	return b->size == sizeof(*number) && p == (uintptr_t)(number + 1) && !*number;
}
