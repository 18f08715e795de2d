/* SPDX-License-Identifier: MIT */
/*
 * What every room of the tool needs: messages, memory that is there or ends the tool, growing
 * arrays, a hash table of indices.
 */
#ifndef STELE_TOOL_UTIL_H
#define STELE_TOOL_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Exit statuses of the tool itself. */
enum { STATUS_TROUBLE = 1, STATUS_USAGE = 2 };

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* One line on stderr, "stele: " before it. */
void complain(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* These end the tool when there is no memory. xalloc() returns zeroes. */
void *xalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* A growing array. vec_push() gives the new element, zeroed; earlier elements may have moved. */
#define VEC(type)                                                                                  \
	struct {                                                                                   \
		type *v;                                                                           \
		size_t n;                                                                          \
		size_t room;                                                                       \
	}
#define vec_push(vec)                                                                              \
	((vec)->v = vec_grow((vec)->v, (vec)->n, &(vec)->room, sizeof(*(vec)->v)),                 \
	 &(vec)->v[(vec)->n++])
#define vec_free(vec) (free((vec)->v), (void)((vec)->n = (vec)->room = 0))
void *vec_grow(void *v, size_t n, size_t *room, size_t size);

/*
 * A hash table from keys to indices of an array that the caller has. It keeps hashes and indices
 * alone; the caller says whether the key is that of an index.
 */
struct map {
	struct map_slot {
		uint64_t hash;
		size_t index; /* plus one; 0: empty */
	} *slot;
	size_t n;
	size_t size; /* a power of two, or 0 */
};
#define MAP_NONE SIZE_MAX
typedef bool map_equal(const void *key, size_t index, const void *arg);
size_t map_find(const struct map *map, uint64_t hash, map_equal *equal, const void *key,
		const void *arg);
void map_add(struct map *map, uint64_t hash, size_t index);
void map_free(struct map *map);
uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t n);

/* The name after the last slash. */
const char *base_name(const char *path);

/* A copy that is valid UTF-8 without control characters: what is not becomes U+FFFD. */
char *clean_text(const char *s);

/* Numbers for people. Each returns its buffer. */
#define HUMAN_LEN 32
char *human_bytes(char buf[HUMAN_LEN], double bytes);
char *human_ms(char buf[HUMAN_LEN], uint64_t ms);
char *human_count(char buf[HUMAN_LEN], uint64_t n); /* 1,234,567 */

/* "500ms", "10s", "2m", "1h", "3d"; a bare number is seconds. */
bool parse_ms(const char *text, uint64_t *ms);

#endif
