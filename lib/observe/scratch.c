/* SPDX-License-Identifier: MIT */
#include "observe/scratch.h"

#include <string.h>

#include "os/os.h"

#define CHUNK	(256ul << 10)

/* At the start of each mapping. */
struct chunk {
	struct chunk *next;
	size_t bytes, used;
	size_t unused;
};
static_assert(sizeof(struct chunk) % 16 == 0, "what follows is aligned");

/* The first of each list is allocated from. */
static struct chunk *chunks, *kept;

static void *alloc(struct chunk **list, size_t bytes)
{
	size_t need = ALIGN_UP(bytes, (size_t)16), len;
	struct chunk *c = *list;
	void *addr;

	if (!c || c->bytes - c->used < need) {
		len = need > CHUNK / 4 ? need + sizeof(*c) : CHUNK;
		len = ALIGN_UP(len, os_page_size());
		if (len < need || os_map(len, &addr))
			return NULL;
		c = addr;
		c->bytes = len;
		c->used = sizeof(*c);
		/* What fills a mapping of its own leaves the open one open. */
		if (*list && need > CHUNK / 4) {
			c->next = (*list)->next;
			(*list)->next = c;
		} else {
			c->next = *list;
			*list = c;
		}
	}
	addr = (char *)c + c->used;
	c->used += need;
	return addr;
}

void *scratch_alloc(size_t bytes)
{
	return alloc(&chunks, bytes);
}

void *keep_alloc(size_t bytes)
{
	return alloc(&kept, bytes);
}

void scratch_free_all(void)
{
	while (chunks) {
		struct chunk *c = chunks;

		chunks = c->next;
		os_unmap(c, c->bytes);
	}
}

size_t scratch_bytes(void)
{
	size_t bytes = 0;

	for (struct chunk *c = chunks; c; c = c->next)
		bytes += c->bytes;
	return bytes;
}

void scratch_ranges(void (*fn)(uintptr_t start, uintptr_t end, void *arg), void *arg)
{
	for (struct chunk *c = chunks; c; c = c->next)
		fn((uintptr_t)c, (uintptr_t)c + c->bytes, arg);
	for (struct chunk *c = kept; c; c = c->next)
		fn((uintptr_t)c, (uintptr_t)c + c->bytes, arg);
}

void *vec_add(struct vec *v, size_t element)
{
	if (v->count == v->room) {
		size_t room = v->room ? 2 * v->room : 64;
		void *at = scratch_alloc(room * element);

		if (!at)
			return NULL;
		if (v->count)
			memcpy(at, v->at, v->count * element);
		v->at = at;
		v->room = room;
	}
	return (char *)v->at + v->count++ * element;
}

static void swap(char *a, char *b, size_t element)
{
	size_t i = 0;

	for (; i + sizeof(uint64_t) <= element; i += sizeof(uint64_t)) {
		uint64_t x, y;

		memcpy(&x, a + i, sizeof(x));
		memcpy(&y, b + i, sizeof(y));
		memcpy(a + i, &y, sizeof(y));
		memcpy(b + i, &x, sizeof(x));
	}
	for (; i < element; i++) {
		char c = a[i];

		a[i] = b[i];
		b[i] = c;
	}
}

static void sift(char *base, size_t root, size_t count, size_t element,
		 bool (*less)(const void *a, const void *b))
{
	for (;;) {
		size_t child = 2 * root + 1;

		if (child >= count)
			return;
		if (child + 1 < count && less(base + child * element, base + (child + 1) * element))
			child++;
		if (!less(base + root * element, base + child * element))
			return;
		swap(base + root * element, base + child * element, element);
		root = child;
	}
}

/* A heap sort: the worst case is as good as any. */
void sort(void *at, size_t count, size_t element, bool (*less)(const void *a, const void *b))
{
	char *base = at;

	for (size_t i = count / 2; i-- > 0;)
		sift(base, i, count, element, less);
	for (size_t n = count; n-- > 1;) {
		swap(base, base + n * element, element);
		sift(base, 0, n, element, less);
	}
}
