/* SPDX-License-Identifier: MIT */
/*
 * malloc_info writes XML that a parser takes, in glibc's shape; its totals are the sums of its
 * heaps, and they are the numbers of mallinfo2.
 */
#include <malloc.h>

#include "../hard/hard.h"

#define TEXT (256 * KIB)

static char text[TEXT];

/* The attribute @name of the element that begins at @at. */
static size_t attribute(const char *at, const char *name)
{
	const char *end = strchr(at, '>'), *a = strstr(at, name);

	CHECK(end && a && a < end, "no %s in %.80s", name, at);
	a += strlen(name);
	CHECK(a[0] == '=' && a[1] == '"', "no %s in %.80s", name, at);
	return strtoul(a + 2, NULL, 10);
}

/* Sum of the attribute of all elements that begin so, in [from, to). */
static size_t sum(const char *from, const char *to, const char *element, const char *name)
{
	size_t n = 0;

	for (const char *p = from; (p = strstr(p, element)) && p < to; p++)
		n += attribute(p, name);
	return n;
}

static void write_info(void)
{
	FILE *f = fmemopen(text, sizeof(text), "w");

	CHECK(f, "fmemopen: errno %d", errno);
	CHECK(malloc_info(0, f) == 0, "malloc_info: errno %d", errno);
	CHECK(fclose(f) == 0, "the text does not fit");
}

/* What the heaps say, and what stands behind the last of them for all. */
static void totals(const struct mallinfo2 *m)
{
	const char *heaps = text, *all = NULL, *end = text + strlen(text);
	size_t size;

	for (const char *p = text; (p = strstr(p, "</heap>")); p++)
		all = p;
	CHECK(all, "no heap: %s", text);
#define BOTH(element, name) \
	CHECK(sum(heaps, all, element, name) == sum(all, end, element, name), \
	      "%s %s: the heaps have %zu, the total is %zu", element, name, \
	      sum(heaps, all, element, name), sum(all, end, element, name))
	BOTH("<total type=\"fast\"", "count");
	BOTH("<total type=\"fast\"", "size");
	BOTH("<total type=\"rest\"", "count");
	BOTH("<total type=\"rest\"", "size");
	BOTH("<system type=\"current\"", "size");
	BOTH("<aspace type=\"total\"", "size");
	BOTH("<aspace type=\"mprotect\"", "size");

	CHECK(sum(all, end, "<total type=\"mmap\"", "count") == m->hblks, "mapped blocks");
	CHECK(sum(all, end, "<total type=\"mmap\"", "size") == m->hblkhd, "mapped bytes");
	CHECK(sum(all, end, "<system type=\"current\"", "size") == m->arena, "system");
	CHECK(sum(all, end, "<system type=\"max\"", "size") >= m->arena, "most of system");
	size = sum(all, end, "<total type=\"fast\"", "size") +
	       sum(all, end, "<total type=\"rest\"", "size");
	/* glibc adds a flag of each block to its size */
	CHECK(size == m->fordblks ||
	      (!hard_on_stele() && size - m->fordblks <= m->ordblks),
	      "%zu bytes free, mallinfo2 has %zu", size, m->fordblks);
	/* the sizes are of the free blocks; the top is among the rest only */
	size = sum(heaps, all, "<size from", "total") + sum(heaps, all, "<unsorted from", "total");
	CHECK(size <= m->fordblks + m->ordblks, "blocks of %zu bytes in %zu", size, m->fordblks);
}

static void parses(void)
{
	FILE *f;
	int status;

	if (system("command -v xmllint >/dev/null 2>&1") != 0)
		SKIP("no xmllint");
	f = popen("xmllint --noout -", "w");
	CHECK(f, "popen: errno %d", errno);
	CHECK(fputs(text, f) >= 0, "no text: errno %d", errno);
	status = pclose(f);
	CHECK(status == 0, "xmllint ended with %#x for %s", status, text);
}

static void refused(void)
{
	FILE *f = fmemopen(text, sizeof(text), "w");

	CHECK(malloc_info(1, f) == EINVAL, "options 1 are taken");
	CHECK(malloc_info(-1, f) == EINVAL, "options -1 are taken");
	fclose(f);
}

int main(void)
{
	static void *p[3000];
	uint64_t rand = hard_seed(1);
	struct mallinfo2 m;

	refused();
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		p[i] = hard_malloc(hard_rand_size(&rand, 18));
	for (size_t i = 0; i < ARRAY_LEN(p); i += 3)
		free(p[i]);
	/* one time for the memory that stdio keeps, and then to be compared */
	write_info();
	{
		FILE *f = fmemopen(text, sizeof(text), "w");

		CHECK(f, "fmemopen: errno %d", errno);
		setvbuf(f, NULL, _IOFBF, 0);
		m = mallinfo2();
		CHECK(malloc_info(0, f) == 0, "malloc_info: errno %d", errno);
		fclose(f);
	}
	CHECK(strncmp(text, "<malloc version=\"1\">", 20) == 0, "begins with %.40s", text);
	CHECK(strstr(text, "<heap nr=\"0\">\n<sizes>"), "no heap 0: %s", text);
	totals(&m);
	parses();
	return 0;
}
