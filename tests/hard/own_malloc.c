/* SPDX-License-Identifier: MIT */
/*
 * The program has a malloc of its own, as those have that are linked with an allocator: libc's
 * functions that allocate use it, and so must the library's.
 */
#include "hard.h"

#define POOL (4 * MIB)

static char pool[POOL] __attribute__((aligned(16)));
static size_t used, frees;

struct head {
	size_t size, pad;
};

static int is_own(const void *p)
{
	return (uintptr_t)p - (uintptr_t)pool < POOL;
}

void *malloc(size_t size)
{
	struct head *h = (struct head *)(pool + __atomic_fetch_add(&used, (size + 47) & ~(size_t)15,
								    __ATOMIC_RELAXED));

	if (size > POOL || (char *)(h + 2) + size > pool + POOL)
		return NULL;
	h->size = size;
	return h + 1;
}

void free(void *p)
{
	CHECK(!p || is_own(p), "free(%p): not of this malloc", p);
	frees += p != NULL;
}

void *calloc(size_t n, size_t size)
{
	return malloc(n * size);	/* what was never used is zero */
}

void *realloc(void *p, size_t size)
{
	void *q = malloc(size);

	CHECK(!p || is_own(p), "realloc(%p): not of this malloc", p);
	if (p && q)
		memcpy(q, p, ((struct head *)p)[-1].size < size ? ((struct head *)p)[-1].size : size);
	return q;
}

int main(void)
{
	char *p = reallocarray(NULL, 10, 10), *line = NULL, *text;
	size_t room = 0;
	FILE *f;

	CHECK(is_own(p), "reallocarray(NULL) = %p", (void *)p);
	memset(p, 'x', 100);
	p = reallocarray(p, 1000, 3);
	CHECK(is_own(p) && p[99] == 'x', "reallocarray = %p", (void *)p);
	CHECK(!reallocarray(p, hard_size(SIZE_MAX / 2), 3), "reallocarray of too much");
	free(p);
	text = strdup("text");
	CHECK(is_own(text), "strdup = %p", (void *)text);
	free(text);
	f = fopen("/proc/self/maps", "r");
	CHECK(f && getline(&line, &room, f) > 0 && is_own(line), "getline: %p", (void *)line);
	fclose(f);
	free(line);
	CHECK(frees >= 3, "%zu blocks were freed", frees);
	return 0;
}
