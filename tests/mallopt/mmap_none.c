/* SPDX-License-Identifier: MIT */
/*
 * M_MMAP_MAX 0 means no mapping at all, for the book-keeping neither: programs enter filters that
 * know brk and not mmap. Here 1 GiB in blocks of all sizes is had by the main thread, by threads
 * that were there before the filter and by threads that start behind it.
 */
#include <malloc.h>

#include "watch.h"

#define THREADS 4
#define STACK (256 * KIB)
#define SLOTS 60000
#define SHARE (1024 * MIB / (THREADS + 1))

static char stacks[THREADS / 2][STACK] __attribute__((aligned(4096)));
static int started;

struct slots {
	void *p[SLOTS];
	size_t size[SLOTS];
};
static struct slots slots[THREADS + 1];

static void *take(uint64_t *rand, size_t n)
{
	void *p = NULL;

	switch (hard_rand(rand) % 8) {
	case 0:
		return calloc(1, n);
	case 1:
		return memalign((size_t)16 << hard_rand(rand) % 10, n);
	case 2:
		p = hard_malloc(n / 2 + 1);
		return realloc(p, n);
	default:
		return malloc(n);
	}
}

/* The edges only: what is large need not become resident. */
static void mark(char *p, size_t n, uint64_t tag)
{
	p[0] = (char)tag;
	p[n - 1] = (char)(tag >> 1);
}

static void marked(const char *p, size_t n, uint64_t tag)
{
	CHECK(n == 1 || p[0] == (char)tag, "block of %zu: first byte", n);
	CHECK(p[n - 1] == (char)(tag >> 1), "block of %zu: last byte", n);
}

static void work(size_t who)
{
	struct slots *s = &slots[who];
	uint64_t rand = hard_seed(who);
	size_t have = 0, count = 0, i;

	while (have < SHARE) {
		size_t n = hard_rand_size(&rand, count < SLOTS - 2000 ? 18 : 25);

		if (n > SHARE - have)
			n = SHARE - have;
		i = count++;
		CHECK(i < SLOTS, "too many blocks, %zu bytes", have);
		s->p[i] = take(&rand, n);
		CHECK(s->p[i], "thread %zu: no %zu bytes, has %zu: errno %d", who, n, have, errno);
		s->size[i] = n;
		mark(s->p[i], n, i);
		have += n;
	}
	/* half of them anew, in other sizes, and then all go */
	for (size_t k = 0; k < count / 2; k++) {
		i = hard_rand(&rand) % count;
		marked(s->p[i], s->size[i], i);
		free(s->p[i]);
		s->size[i] = hard_rand_size(&rand, 18);
		s->p[i] = take(&rand, s->size[i]);
		CHECK(s->p[i], "thread %zu: no %zu bytes: errno %d", who, s->size[i], errno);
		mark(s->p[i], s->size[i], i);
	}
	for (i = 0; i < count; i++) {
		marked(s->p[i], s->size[i], i);
		free(s->p[i]);
	}
}

static void *before(void *arg)
{
	while (!__atomic_load_n(&started, __ATOMIC_ACQUIRE))
		hard_usleep(1000);
	work((size_t)(uintptr_t)arg);
	/* a thread that ends may give its stack back: that is not the heap's business */
	__atomic_fetch_add(&started, 1, __ATOMIC_RELEASE);
	for (;;)
		pause();
	return NULL;
}

static void *behind(void *arg)
{
	work((size_t)(uintptr_t)arg);
	return NULL;
}

static void deny(void)
{
	static const int nr[] = { SYS_mmap, SYS_munmap, SYS_mremap };

	watched.fatal = 1;
	watch_start(nr, ARRAY_LEN(nr), 0);
}

int main(void)
{
	pthread_t t[THREADS];
	pthread_attr_t attr;
	size_t i;

	CHECK(mallopt(M_MMAP_MAX, 0) == 1, "M_MMAP_MAX 0");
	/* glibc maps a heap for each thread, unless it may have but one */
	if (!hard_on_stele())
		mallopt(M_ARENA_MAX, 1);
	for (i = 0; i < THREADS / 2; i++)
		hard_start(&t[i], before, (void *)(i + 1));
	deny();
	__atomic_store_n(&started, 1, __ATOMIC_RELEASE);
	pthread_attr_init(&attr);
	for (; i < THREADS; i++) {
		pthread_attr_setstack(&attr, stacks[i - THREADS / 2], STACK);
		CHECK(pthread_create(&t[i], &attr, behind, (void *)(i + 1)) == 0, "thread %zu", i);
	}
	work(0);
	for (i = THREADS / 2; i < THREADS; i++)
		hard_join(t[i]);
	while (__atomic_load_n(&started, __ATOMIC_ACQUIRE) != 1 + THREADS / 2)
		hard_usleep(1000);
	CHECK(mallinfo2().hblks == 0, "%zu mapped blocks", mallinfo2().hblks);
	malloc_trim(0);
	_exit(0);
}
