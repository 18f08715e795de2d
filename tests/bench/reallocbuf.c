/* SPDX-License-Identifier: MIT */
/*
 * Memory that grows with realloc, in three manners:
 *
 *	append	text buffers that grow by exactly what is added, up to 64 KiB, 64 at a time
 *	vector	arrays that double from 64 bytes to 4 MiB, 8 at a time
 *	huge	one buffer that grows by 256 KiB up to 128 MiB, every new page touched
 */
#include "bench.h"

struct buf {
	char *p;
	size_t len;
};

static uint64_t rng;

static void buf_grow(struct buf *b, size_t len)
{
	b->p = realloc(b->p, len);
	if (!b->p)
		bench_die("out of memory");
	b->len = len;
}

static void buf_drop(struct buf *b)
{
	free(b->p);
	b->p = NULL;
	b->len = 0;
}

static uint64_t run_append(void)
{
	static struct buf buf[64];
	uint64_t i, n = bench_count(8e6);

	for (i = 0; i < n; i++) {
		struct buf *b = &buf[bench_range(&rng, 0, 63)];
		size_t add = bench_range(&rng, 8, 200), at = b->len;

		buf_grow(b, at + add);
		memset(b->p + at, 1, add);
		if (b->len > 64 * 1024)
			buf_drop(b);
	}
	for (i = 0; i < 64; i++)
		buf_drop(&buf[i]);
	return n;
}

static uint64_t run_vector(void)
{
	static struct buf buf[8];
	uint64_t i, n = bench_count(35e3);

	for (i = 0; i < n; i++) {
		struct buf *b = &buf[bench_range(&rng, 0, 7)];
		size_t at = b->len;

		buf_grow(b, at ? 2 * at : 64);
		memset(b->p + at, 1, b->len - at);
		if (b->len >= 4 * 1024 * 1024)
			buf_drop(b);
	}
	for (i = 0; i < 8; i++)
		buf_drop(&buf[i]);
	return n;
}

static uint64_t run_huge(void)
{
	const size_t step = 256 * 1024, top = 128 * 1024 * 1024;
	uint64_t round, rounds = bench_count(6);
	struct buf b = { NULL, 0 };

	for (round = 0; round < rounds; round++) {
		while (b.len < top) {
			size_t at = b.len;

			buf_grow(&b, at + step);
			bench_touch_pages(b.p + at, step);
		}
		buf_drop(&b);
	}
	return rounds * (top / step);
}

int main(int argc, char **argv)
{
	const char *mode = "append";
	uint64_t ops = 0;
	int c;

	while ((c = bench_getopt(argc, argv, "m:")) != -1)
		mode = optarg;
	rng = bench_seed(5);

	bench_begin();
	if (!strcmp(mode, "append"))
		ops = run_append();
	else if (!strcmp(mode, "vector"))
		ops = run_vector();
	else if (!strcmp(mode, "huge"))
		ops = run_huge();
	else
		bench_die("-m takes append, vector or huge");
	bench_end(ops);
	return 0;
}
