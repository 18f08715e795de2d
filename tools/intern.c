/* SPDX-License-Identifier: MIT */
#include "intern.h"

#include <stdlib.h>
#include <string.h>

static bool same_text(const void *key, size_t index, const void *arg)
{
	const struct strings *s = arg;

	return strcmp(key, s->list.v[index]) == 0;
}

const char *strings_keep(struct strings *s, const char *text)
{
	char *clean = clean_text(text);
	uint64_t hash = hash_bytes(0, clean, strlen(clean));
	size_t index = map_find(&s->map, hash, same_text, clean, s);

	if (index != MAP_NONE) {
		free(clean);
		return s->list.v[index];
	}
	map_add(&s->map, hash, s->list.n);
	return *vec_push(&s->list) = clean;
}

void strings_free(struct strings *s)
{
	size_t i;

	for (i = 0; i < s->list.n; i++)
		free(s->list.v[i]);
	vec_free(&s->list);
	map_free(&s->map);
}
