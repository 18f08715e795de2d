/* SPDX-License-Identifier: MIT */
#include "util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void out_of_memory(void)
{
	complain("out of memory");
	exit(STATUS_TROUBLE);
}

void *xalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (p == NULL)
		out_of_memory();
	return p;
}

void *xrealloc(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n ? n : 1, size);
	if (p == NULL)
		out_of_memory();
	return p;
}

char *xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t n)
{
	char *p = xalloc(n + 1, 1);

	return memcpy(p, s, n);
}

char *xasprintf(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		out_of_memory();
	va_end(args);
	return text;
}

void *vec_grow(void *v, size_t n, size_t *room, size_t size)
{
	if (n == *room) {
		*room = *room ? 2 * *room : 8;
		v = xrealloc(v, *room, size);
	}
	memset((char *)v + n * size, 0, size);
	return v;
}

size_t map_find(const struct map *map, uint64_t hash, map_equal *equal, const void *key,
		const void *arg)
{
	const struct map_slot *slot;
	size_t at;

	if (map->size == 0)
		return MAP_NONE;
	for (at = hash;; at++) {
		slot = &map->slot[at & (map->size - 1)];
		if (slot->index == 0)
			return MAP_NONE;
		if (slot->hash == hash && equal(key, slot->index - 1, arg))
			return slot->index - 1;
	}
}

static void map_put(struct map *map, uint64_t hash, size_t index_plus_one)
{
	size_t at = hash;

	while (map->slot[at & (map->size - 1)].index)
		at++;
	map->slot[at & (map->size - 1)] = (struct map_slot){ hash, index_plus_one };
}

void map_add(struct map *map, uint64_t hash, size_t index)
{
	if (2 * (map->n + 1) > map->size) {
		struct map old = *map;
		size_t i;

		map->size = old.size ? 2 * old.size : 64;
		map->slot = xalloc(map->size, sizeof(*map->slot));
		for (i = 0; i < old.size; i++)
			if (old.slot[i].index)
				map_put(map, old.slot[i].hash, old.slot[i].index);
		free(old.slot);
	}
	map_put(map, hash, index + 1);
	map->n++;
}

void map_free(struct map *map)
{
	free(map->slot);
	*map = (struct map){ 0 };
}

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	uint64_t hash = seed ^ 0xcbf29ce484222325;

	for (; n > 0; n--)
		hash = (hash ^ *p++) * 0x100000001b3;
	return hash ^ hash >> 32;
}

const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The length of the UTF-8 sequence at s, 0: it is none. */
static size_t utf8_length(const unsigned char *s)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} form[] = { { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };
	size_t len, i;
	uint32_t c;

	if (*s < 0x80)
		return 1;
	for (len = 2; len <= 4; len++)
		if ((*s & form[len - 2].mask) == form[len - 2].lead)
			break;
	if (len > 4)
		return 0;
	c = *s & (unsigned char)~form[len - 2].mask;
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < form[len - 2].least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return len;
}

char *clean_text(const char *s)
{
	char *clean = xalloc(3 * strlen(s) + 1, 1), *to = clean;

	while (*s) {
		size_t len = utf8_length((const unsigned char *)s);

		if (len == 0 || (len == 1 && ((unsigned char)*s < 0x20 || *s == 0x7f))) {
			memcpy(to, "\xef\xbf\xbd", 3);
			to += 3;
			s++;
			continue;
		}
		memcpy(to, s, len);
		to += len;
		s += len;
	}
	return clean;
}

char *human_bytes(char buf[HUMAN_LEN], double bytes)
{
	static const char *const unit[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = bytes < 0 ? -bytes : bytes;
	size_t u = 0;

	if (value < 1024) {
		snprintf(buf, HUMAN_LEN, "%.0f B", bytes);
		return buf;
	}
	/* 1023.95 would be printed as 1024.0 */
	for (value /= 1024; value >= 1023.95 && u < sizeof(unit) / sizeof(unit[0]) - 1; u++)
		value /= 1024;
	snprintf(buf, HUMAN_LEN, "%s%.1f %s", bytes < 0 ? "-" : "", value, unit[u]);
	return buf;
}

char *human_ms(char buf[HUMAN_LEN], uint64_t ms)
{
	if (ms < 1000)
		snprintf(buf, HUMAN_LEN, "%d ms", (int)ms);
	else if (ms < 60 * 1000)
		snprintf(buf, HUMAN_LEN, "%.1f s", (double)ms / 1e3);
	else if (ms < 3600 * 1000)
		snprintf(buf, HUMAN_LEN, "%.1f min", (double)ms / 60e3);
	else if (ms < 48 * 3600 * 1000ull)
		snprintf(buf, HUMAN_LEN, "%.1f h", (double)ms / 3600e3);
	else
		snprintf(buf, HUMAN_LEN, "%.1f days", (double)ms / 86400e3);
	return buf;
}

char *human_count(char buf[HUMAN_LEN], uint64_t n)
{
	char digits[HUMAN_LEN];
	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n), i;
	char *to = buf;

	for (i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return buf;
}

bool parse_ms(const char *text, uint64_t *ms)
{
	static const struct {
		const char *name;
		double ms;
	} unit[] = { { "", 1e3 },   { "ms", 1 },     { "s", 1e3 },
		     { "m", 60e3 }, { "h", 3600e3 }, { "d", 86400e3 } };
	char *end;
	double value;
	size_t i;

	if ((*text < '0' || *text > '9') && *text != '.')
		return false;
	errno = 0;
	value = strtod(text, &end);
	for (i = 0; i < sizeof(unit) / sizeof(unit[0]); i++) {
		if (strcmp(end, unit[i].name) != 0)
			continue;
		value *= unit[i].ms;
		if (errno != 0 || !(value < 1e18))
			return false;
		*ms = (uint64_t)value;
		return true;
	}
	return false;
}
