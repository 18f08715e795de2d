/* SPDX-License-Identifier: MIT */
/*
 * limit=BYTES: heap and mappings together never have more, to the byte; what does not fit fails
 * with ENOMEM, after all that lies idle has been given back for it.
 */
#include <malloc.h>

#include "again.h"

#define LIMIT (64 * MIB)
#define TABLES (4 * MIB)	/* the library's own, and the pads of growths */
#define BLOCKS 700000
#define THREADS 4

static void *p[BLOCKS];

static size_t total(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.arena + m.hblkhd;
}

/* As many blocks of @n as there are; @n 0: of all sizes. */
static size_t fill(size_t n)
{
	uint64_t rand = hard_seed(7);
	size_t count = 0;

	errno = 0;
	while (count < BLOCKS && (p[count] = malloc(n ? n : hard_rand_size(&rand, 22)))) {
		*(char *)p[count++] = 1;
		if (count % 1024 == 0)
			CHECK(total() <= LIMIT, "%zu bytes are more than the limit", total());
	}
	CHECK(count < BLOCKS, "%zu blocks of %zu, and no end", count, n);
	CHECK(errno == ENOMEM, "errno is %d", errno);
	CHECK(total() <= LIMIT, "%zu bytes are more than the limit", total());
	return count;
}

static void drop(size_t count)
{
	while (count)
		free(p[--count]);
}

static void fills(size_t n)
{
	size_t count = fill(n), again;

	CHECK(count * n + TABLES > LIMIT / 8 * 5, "only %zu blocks of %zu", count, n);
	drop(count);
	again = fill(n);
	CHECK(again * 10 >= count * 9, "%zu blocks of %zu at first, then %zu", count, n, again);
	drop(again);
}

/* What is cached, free and trimmed for it, is enough for a block that is nearly all. */
static void makes_room(size_t n)
{
	size_t count = fill(n);
	char *big;

	CHECK(!malloc(LIMIT - TABLES), "there is room beside %zu blocks of %zu", count, n);
	drop(count);
	big = malloc(LIMIT - TABLES);
	CHECK(big, "blocks of %zu were freed, and leave no room", n);
	CHECK(total() <= LIMIT, "%zu bytes are more than the limit", total());
	free(big);
}

static void resizes(void)
{
	char *q = hard_malloc(MIB), *r;
	size_t n = MIB, count;

	hard_fill(q, MIB, 9);
	while ((r = realloc(q, n + MIB))) {
		q = r;
		n += MIB;
	}
	CHECK(errno == ENOMEM && n >= LIMIT - 2 * TABLES && n <= LIMIT, "grew to %zu: errno %d", n,
	      errno);
	hard_verify_part(q, MIB, 9, MIB - 512);
	free(q);
	/* idle memory of the heap is given back for a mapping that grows */
	q = hard_malloc(16 * MIB);
	count = fill(1000);
	drop(count);
	r = realloc(q, LIMIT - TABLES);
	CHECK(r, "no room for a mapping to grow: errno %d", errno);
	free(r);
}

static int stop;

static void *hammer(void *arg)
{
	uint64_t rand = hard_seed((uintptr_t)arg);
	void *q[64] = { NULL };

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		size_t i = hard_rand(&rand) % ARRAY_LEN(q);

		free(q[i]);
		q[i] = malloc(hard_rand_size(&rand, 22));
	}
	for (size_t i = 0; i < ARRAY_LEN(q); i++)
		free(q[i]);
	return NULL;
}

static void threads(void)
{
	pthread_t t[THREADS];
	double end = hard_now() + 1.0;
	size_t most = 0, now;

	for (uintptr_t i = 0; i < THREADS; i++)
		hard_start(&t[i], hammer, (void *)i);
	while (hard_now() < end) {
		now = total();
		most = now > most ? now : most;
		/* a sum of two readings: what went from one to the other meanwhile is in both */
		CHECK(now <= LIMIT + THREADS * 4 * MIB, "%zu bytes are more than the limit", now);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (size_t i = 0; i < THREADS; i++)
		hard_join(t[i]);
	CHECK(most > LIMIT / 2, "never more than %zu bytes", most);
}

static void run(void)
{
	static const size_t sizes[] = { 100, 1000, 30000, 40000, MIB };

	CHECK(!malloc(LIMIT + 1) && errno == ENOMEM, "a block above the limit: errno %d", errno);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		fills(sizes[i]);
		makes_room(sizes[i]);
	}
	drop(fill(0));
	resizes();
	threads();
}

int main(int argc, char **argv)
{
	static const char *const limit[] = { "STELE_CONF=limit=64M", NULL };
	static const char *const none[] = { "STELE_CONF=limit=0", NULL };

	if (!hard_on_stele())
		SKIP("plain libc has no limit of its own");
	if (argc < 2) {
		again_expect("run", limit);
		again_expect("none", none);
	} else if (strcmp(argv[1], "run") == 0) {
		run();
	} else {
		free(hard_malloc(4 * LIMIT));
	}
	return 0;
}
