/* SPDX-License-Identifier: MIT */
/* mallinfo2 to the byte, malloc_info, malloc_stats, malloc_trim, and what mallopt returns. */
#include <malloc.h>

#include "hard.h"

static size_t in_use(struct mallinfo2 m)
{
	return m.uordblks + m.hblkhd;
}

static void exact(size_t n)
{
	struct mallinfo2 a, b, c;
	void *p;

	a = mallinfo2();
	p = hard_malloc(n);
	b = mallinfo2();
	free(p);
	c = mallinfo2();
	CHECK(memcmp(&a, &b, sizeof(a)) != 0, "malloc(%zu) does not show in mallinfo2", n);
	CHECK(in_use(b) >= in_use(a) + n, "malloc(%zu): %zu in use, then %zu", n, in_use(a),
	      in_use(b));
	CHECK(in_use(c) == in_use(a), "free of %zu: %zu in use before malloc, %zu after", n,
	      in_use(a), in_use(c));
}

/* glibc counts what its thread caches hold as used: only the first call shows there. */
static void first_malloc_shows(void)
{
	struct mallinfo2 a = mallinfo2(), b;
	void *p = malloc(1);

	b = mallinfo2();
	CHECK(memcmp(&a, &b, sizeof(a)) != 0, "malloc(1) does not show in mallinfo2");
	free(p);
}

static void reports(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	FILE *tmp = tmpfile();
	int saved = dup(2);

	CHECK(f && tmp && saved >= 0, "no streams");
	CHECK(malloc_info(0, f) == 0, "malloc_info(0): errno %d", errno);
	fclose(f);
	CHECK(len > 20 && strncmp(text, "<malloc", 7) == 0, "malloc_info gave: %.40s", text);
	CHECK(strstr(text, "</malloc>"), "malloc_info does not end in </malloc>");
	CHECK(malloc_info(1, stdout) != 0, "malloc_info took options 1");
	free(text);

	dup2(fileno(tmp), 2);
	malloc_stats();
	fflush(stderr);
	dup2(saved, 2);
	CHECK(lseek(fileno(tmp), 0, SEEK_END) > 0, "malloc_stats wrote nothing to stderr");
	fclose(tmp);
	close(saved);
}

static void trims(void)
{
	static void *p[1000];
	size_t i;
	int got;

	for (i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = hard_malloc(20000);
		hard_fill(p[i], 20000, i);
	}
	for (i = 0; i < ARRAY_LEN(p); i++)
		if (i % 10)
			free(p[i]);
	got = malloc_trim(0);
	CHECK(got == 1, "17 free MiB, and malloc_trim gave back nothing (%d)", got);
	got = malloc_trim(MIB);
	CHECK(got == 0 || got == 1, "malloc_trim(1 MiB) = %d", got);
	for (i = 0; i < ARRAY_LEN(p); i += 10) {
		hard_verify(p[i], 20000, i);
		free(p[i]);
	}
	malloc_trim(0);
}

static void options(void)
{
	static const struct { int param, value, ret; } row[] = {
		{ M_MXFAST, 64, 1 }, { M_MXFAST, 160, 1 }, { M_MXFAST, 161, 0 },
		{ M_TRIM_THRESHOLD, 256 * 1024, 1 }, { M_TRIM_THRESHOLD, -1, 1 },
		{ M_TOP_PAD, 0, 1 }, { M_TOP_PAD, 64 * 1024, 1 },
		{ M_MMAP_THRESHOLD, 1024 * 1024, 1 }, { M_MMAP_THRESHOLD, 1 << 30, 1 },
		{ M_MMAP_MAX, 0, 1 }, { M_MMAP_MAX, 65536, 1 },
		{ M_CHECK_ACTION, 3, 1 }, { M_PERTURB, 0, 1 },
		{ M_ARENA_TEST, 4, 1 }, { M_ARENA_MAX, 4, 1 },
		{ 12345, 1, 1 }, { -77, 1, 1 },
	};
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_LEN(row); i++) {
		ret = mallopt(row[i].param, row[i].value);
		CHECK(ret == row[i].ret, "mallopt(%d, %d) = %d, not %d", row[i].param,
		      row[i].value, ret, row[i].ret);
		free(hard_malloc(300000));
	}
}

int main(void)
{
	static const size_t sizes[] = { 1, 24, 1000, 20000, 100000, 300000, MIB, 40 * MIB };
	size_t i;

	first_malloc_shows();
	for (i = 0; hard_on_stele() && i < ARRAY_LEN(sizes); i++)
		exact(sizes[i]);
	reports();
	trims();
	options();
	return 0;
}
