/* SPDX-License-Identifier: MIT */
/*
 * Huge pages: thp=default|always|never, and glibc.malloc.hugetlb=0|1|2, seen in the flags that the
 * kernel keeps of the heap (hg: advised, nh: forbidden). What was given back cannot become resident
 * again as part of a huge page.
 */
#include <malloc.h>

#include "again.h"
#include "watch.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define HUGE (2 * MIB)
#define BLOCKS 4000

static char smaps[4 * MIB];
static char *p[BLOCKS];

/* The flags of the mapping that @addr lies in. */
static const char *flags_of(const void *addr)
{
	static char flags[256];
	int fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t n;
	char *line, *next;
	int inside = 0;

	while (have < sizeof(smaps) - 1 && (n = read(fd, smaps + have, sizeof(smaps) - 1 - have)) > 0)
		have += (size_t)n;
	close(fd);
	smaps[have] = '\0';
	for (line = smaps; line && *line; line = next) {
		unsigned long low, high;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (sscanf(line, "%lx-%lx ", &low, &high) == 2)
			inside = (uintptr_t)addr >= low && (uintptr_t)addr < high;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			return strcpy(flags, line + 8);
	}
	CHECK(0, "%p is in no mapping", addr);
}

static int has_flag(const void *addr, const char *flag)
{
	return strstr(flags_of(addr), flag) != NULL;
}

/* The system's setting, as the word in brackets begins. */
static char setting(void)
{
	char text[128];
	int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	char *word;

	if (n <= 0)
		SKIP("a kernel without huge pages");
	close(fd);
	text[n] = '\0';
	word = strchr(text, '[');
	CHECK(word, "%s", text);
	return word[1];
}

static char *heap_block(size_t n)
{
	mallopt(M_MMAP_MAX, 0);
	return hard_malloc(n);
}

/* The middle of a block, at the beginning of a huge page. */
static char *middle(char *q, size_t n)
{
	return (char *)(((uintptr_t)q + n / 2) & ~(HUGE - 1));
}

static void heap_is(const char *flag)
{
	char *q = heap_block(32 * MIB);

	CHECK(has_flag(middle(q, 32 * MIB), flag), "not %s but%s", flag,
	      flags_of(middle(q, 32 * MIB)));
}

static void mapping_is(const char *flag)
{
	char *q = hard_malloc(32 * MIB);

	CHECK(mallinfo2().hblks, "not mapped");
	CHECK(has_flag(middle(q, 32 * MIB), flag), "not %s but%s", flag,
	      flags_of(middle(q, 32 * MIB)));
	free(q);
}

static void plain(void)
{
	char *q = hard_malloc(32 * MIB), *r;

	CHECK(!has_flag(middle(q, 32 * MIB), "hg") && !has_flag(middle(q, 32 * MIB), "nh"),
	      "a mapping is%s", flags_of(q));
	r = heap_block(32 * MIB);
	CHECK(!has_flag(middle(r, 32 * MIB), "hg") && !has_flag(middle(r, 32 * MIB), "nh"),
	      "the heap is%s", flags_of(r));
	free(q);
	free(r);
}

/* One touch makes 2 MiB resident: that is what it is for. */
static void is_huge(void)
{
	size_t before;
	char *q = hard_malloc(32 * MIB);

	CHECK(((uintptr_t)q & (HUGE - 1)) == 0, "a mapping at %p", (void *)q);
	before = rss();
	q[0] = 1;
	if (rss() - before < HUGE)
		SKIP("the system has no huge page free");
	free(q);
}

/* The break stands at whole huge pages, and is trimmed by whole ones. */
static void whole_pages(void)
{
	char *q = heap_block(20 * MIB + 12345), *high = the_break();

	CHECK(((uintptr_t)high & (HUGE - 1)) == 0, "the break is at %p", (void *)high);
	free(q);
	malloc_trim(0);
	CHECK(((uintptr_t)the_break() & (HUGE - 1)) == 0, "the break is at %p",
	      (void *)the_break());
	CHECK(high - the_break() >= (long)(20 * MIB), "trimmed by %td", high - the_break());
}

/*
 * Purges in parts of huge pages; then every huge page is asked to be made whole, which
 * khugepaged would do by itself, and nothing may come back.
 */
static void stays_away(void)
{
	size_t before, after;
	char *low, *high;

	for (size_t i = 0; i < BLOCKS; i++) {
		p[i] = hard_malloc(30000);
		touch(p[i], 30000);
	}
	low = p[0];
	high = p[BLOCKS - 1];
	for (size_t i = 0; i < BLOCKS; i++)
		if (i % 40)
			free(p[i]);
	malloc_trim(0);
	before = rss();
	for (char *at = (char *)(((uintptr_t)low + HUGE) & ~(HUGE - 1)); at + HUGE <= high; at += HUGE)
		madvise(at, HUGE, MADV_COLLAPSE);
	after = rss();
	CHECK(after <= before + 4 * MIB, "%zu MiB were resident, now %zu", before >> 20, after >> 20);
}

/* The pool of huge pages may be empty, and the request is served all the same. */
static void pool(void)
{
	for (size_t n = 100; n < 64 * MIB; n *= 3) {
		char *q = hard_malloc(n), *r;

		hard_fill(q, n, n);
		r = realloc(q, 3 * n);
		CHECK(r, "no %zu bytes", 3 * n);
		hard_verify_part(r, n, n, n > 1024 ? n - 512 : n);
		free(r);
		q = calloc(1, n);
		hard_verify_zero(q, n);
		free(q);
	}
	CHECK(mallinfo2().hblks == 0, "%zu mapped blocks", mallinfo2().hblks);
}

static void run(const char *what)
{
	if (strcmp(what, "plain") == 0) {
		plain();
	} else if (strcmp(what, "advised") == 0) {
		mapping_is("hg");
		heap_is("hg");
	} else if (strcmp(what, "forbidden") == 0) {
		mapping_is("nh");
		heap_is("nh");
	} else if (strcmp(what, "whole") == 0) {
		whole_pages();
	} else if (strcmp(what, "huge") == 0) {
		is_huge();
	} else if (strcmp(what, "away") == 0) {
		stays_away();
	} else {
		pool();
	}
}

#define HUGETLB(n) { "GLIBC_TUNABLES=glibc.malloc.hugetlb=" n, NULL }

int main(int argc, char **argv)
{
	static const char *const nothing[] = { NULL }, *const always[] = { "STELE_CONF=thp=always", NULL };
	static const char *const never[] = { "STELE_CONF=thp=never", NULL };
	static const char *const hugetlb0[] = HUGETLB("0"), *const hugetlb1[] = HUGETLB("1");
	static const char *const hugetlb2[] = HUGETLB("2"), *const sized[] = HUGETLB("2097152");
	static const char *const odd[] = HUGETLB("12345");
	char system_has = setting();

	if (argc > 1) {
		run(argv[1]);
		return 0;
	}
	again_expect("plain", nothing);
	again_expect("plain", hugetlb0);
	again_expect("pool", hugetlb2);
	again_expect("pool", sized);
	again_expect("pool", odd);
	/* glibc advises only where the system waits for it */
	if (system_has == 'm' || hard_on_stele()) {
		again_expect("advised", hugetlb1);
		again_expect("whole", hugetlb1);
	}
	if (!hard_on_stele())
		return 0;
	again_expect("advised", always);
	again_expect("whole", always);
	again_expect("forbidden", never);
	again_expect("away", nothing);
	again_expect("away", always);
	again_expect("away", never);
	if (system_has != 'n' && again_run("/proc/self/exe", "huge", always) != HARD_SKIP)
		again_expect("huge", always);
	return 0;
}
