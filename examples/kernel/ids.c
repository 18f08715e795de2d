/* SPDX-License-Identifier: MIT */
#include "ids.h"

#include <errno.h>

#define BITS	64u

int ids_init(struct ids *ids, unsigned int n, gfp_t gfp)
{
	unsigned int bits = n ? n : 1;

	*ids = (struct ids){ 0 };
	do {
		unsigned int words = (bits + BITS - 1) / BITS, last = bits % BITS;
		unsigned long *map = kcalloc(words, sizeof(*map), gfp);

		if (!map || ids->levels == 4) {
			kfree(map);
			ids_exit(ids);
			return -ENOMEM;
		}
		/* What does not exist is taken. */
		if (last)
			map[words - 1] = ~0ul << last;
		ids->words[ids->levels] = words;
		ids->map[ids->levels++] = map;
		bits = words;
	} while (bits > 1);
	return 0;
}

void ids_exit(struct ids *ids)
{
	while (ids->levels)
		kfree(ids->map[--ids->levels]);
}

int ids_get(struct ids *ids)
{
	unsigned int at = 0;

	if (ids->map[ids->levels - 1][0] == ~0ul)
		return -1;
	for (unsigned int l = ids->levels; l-- > 0;)
		at = at * BITS + (unsigned int)__builtin_ctzl(~ids->map[l][at]);
	for (unsigned int l = 0, i = at; l < ids->levels; l++, i /= BITS) {
		ids->map[l][i / BITS] |= 1ul << i % BITS;
		if (ids->map[l][i / BITS] != ~0ul)
			break;
	}
	return (int)at;
}

void ids_put(struct ids *ids, unsigned int id)
{
	for (unsigned int l = 0, i = id; l < ids->levels; l++, i /= BITS)
		ids->map[l][i / BITS] &= ~(1ul << i % BITS);
}
