/* SPDX-License-Identifier: MIT */
/*
 * Size classes: 16-byte steps to 128, then four per doubling up to 32 KiB.
 *
 *	class  1   2  ..  8    9   10   11   12   13  ..  40
 *	size  16  32 .. 128  160  192  224  256  320 .. 32768
 *
 * At most 20 % of a block is waste above 128 bytes. Class 0 is CLASS_NONE.
 */
#ifndef STELE_SLAB_SIZE_CLASS_H
#define STELE_SLAB_SIZE_CLASS_H

#include "base/bits.h"
#include "page/page.h"

#define SIZE_STEP	16
#define SIZE_FINE	128		/* steps of 16 up to here */
#define SIZE_MAX_SLAB	32768
#define NR_SIZE_CLASSES	40		/* classes 1..40 */

/*
 * 1 <= size <= SIZE_MAX_SLAB; size 0 is served as 1. Without a branch, as sizes are
 * what no CPU can predict: with 2^k <= size - 1 < 2^(k+1) the two bits below the highest
 * say which quarter it is, and where steps are fine, k is held at 6.
 */
static inline unsigned size_class(size_t size)
{
	size_t last = size - (size != 0);
	unsigned k = bit_last(last | SIZE_FINE / 2);

	return (unsigned)(last >> (k - 2)) + 4 * k - 23;
}
static_assert(SIZE_FINE == 128 && SIZE_STEP == 16, "k = 6 counts in steps of 16 from class 1");

static inline size_t class_size(unsigned class)
{
	if (class <= 8)
		return class * SIZE_STEP;
	return (size_t)(5 + (class - 9) % 4) << ((class - 9) / 4 + 5);
}

/*
 * A class whose objects lie at multiples of @align (a power of two up to a
 * page): slabs are page aligned, so a multiple of it as size is enough. Steps between
 * classes are powers of two. Where the step is a multiple of @align, so is each class;
 * where it is smaller, the size rounded up to @align is a class itself.
 */
static inline unsigned size_class_aligned(size_t size, size_t align)
{
	return size_class(ALIGN_UP(size ? size : 1, align));
}

#endif
