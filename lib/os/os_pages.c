/* SPDX-License-Identifier: MIT */
/*
 * Which pages of a range exist. Reading a page that does not would make it
 * exist, or fetch it from a file, or fault behind the file's end.
 *
 * Linux 6.7 and later answer for whole ranges (PAGEMAP_SCAN); before, a word per
 * page is read from /proc/self/pagemap. A process that has changed its user may
 * open neither: mincore() knows which pages of anonymous mappings are there,
 * but not those in swap. So with anything in swap every page may be there.
 */
#include "os/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "os/syscall.h"

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t inverted, all_of, any_of, returned;
};
#define PAGEMAP_SCAN	_IOWR('f', 16, struct scan_arg)

struct scan_region {
	uint64_t start, end, categories;
};

#define IS_FILE		(1u << 2)
#define IS_PRESENT	(1u << 3)
#define IS_SWAPPED	(1u << 4)
#define IS_ZERO_PAGE	(1u << 5)

#define MAP_PRESENT	(1ull << 63)
#define MAP_SWAPPED	(1ull << 62)
#define MAP_FILE_PAGE	(1ull << 61)

#define REGIONS		64u
#define CORE_PAGES	4096u
#define WORDS		256u

/* Is none of the process's memory in swap? */
static bool nothing_swapped(void)
{
	char text[2048];
	const char *at = os_read_task(os_tid(), "status", text, sizeof(text)) > 0 ?
				 strstr(text, "\nVmSwap:") : NULL;

	for (at = at ? at + 8 : ""; *at == ' ' || *at == '\t'; at++)
		;
	return at[0] == '0' && at[1] == ' ';
}

int os_pages_open(void)
{
	int fd = os_open_read("/proc/thread-self/pagemap");

	return fd < 0 && nothing_swapped() ? OS_PAGES_CORE : fd;
}

static long scan(int fd, uintptr_t *at, uintptr_t end, bool anonymous, struct os_range *out,
		 size_t max)
{
	struct scan_region regions[REGIONS];
	struct scan_arg arg = {
		.size = sizeof(arg), .start = *at, .end = end,
		.vec = (uintptr_t)regions, .vec_len = MIN(max, REGIONS),
		.inverted = IS_ZERO_PAGE | (anonymous ? IS_FILE : 0),
		.all_of = IS_ZERO_PAGE | (anonymous ? IS_FILE : 0),
		.any_of = IS_PRESENT | IS_SWAPPED,
		.returned = IS_PRESENT,
	};
	long n = raw_syscall(SYS_ioctl, fd, PAGEMAP_SCAN, &arg, 0);

	if (n < 0)
		return n;
	for (long i = 0; i < n; i++)
		out[i] = (struct os_range){ regions[i].start, regions[i].end };
	*at = arg.walk_end;
	return n;
}

static bool wanted(uint64_t word, bool anonymous)
{
	return (word & (MAP_PRESENT | MAP_SWAPPED)) && !(anonymous && (word & MAP_FILE_PAGE));
}

static size_t by_words(int fd, uintptr_t *at, uintptr_t end, bool anonymous, struct os_range *out,
		       size_t max)
{
	size_t page = os_page_size(), n = 0;
	uint64_t words[WORDS];

	while (*at < end && n < max) {
		size_t want = MIN((end - *at + page - 1) / page, WORDS);
		long got = os_pread(fd, words, want * sizeof(words[0]),
				    *at / page * sizeof(words[0]));

		if (got < (long)sizeof(words[0])) {
			/* No answer: all of it may be there. */
			out[n++] = (struct os_range){ *at, end };
			*at = end;
			break;
		}
		for (size_t i = 0; i < (size_t)got / sizeof(words[0]); i++, *at += page) {
			if (!wanted(words[i], anonymous))
				continue;
			if (n && out[n - 1].end == *at)
				out[n - 1].end += page;
			else if (n < max)
				out[n++] = (struct os_range){ *at, *at + page };
			else
				return n;
		}
	}
	return n;
}

/* False: no answer for the range. */
static bool by_core(uintptr_t *at, uintptr_t end, struct os_range *out, size_t max, size_t *n)
{
	size_t page = os_page_size();
	unsigned char core[CORE_PAGES];

	for (*n = 0; *at < end;) {
		size_t pages = MIN((end - *at + page - 1) / page, CORE_PAGES);

		if (raw_syscall(SYS_mincore, *at, pages * page, core, 0))
			return *n;
		for (size_t i = 0; i < pages; i++, *at += page) {
			if (!(core[i] & 1))
				continue;
			if (*n && out[*n - 1].end == *at)
				out[*n - 1].end += page;
			else if (*n < max)
				out[(*n)++] = (struct os_range){ *at, *at + page };
			else
				return true;
		}
	}
	return true;
}

size_t os_pages(int fd, uintptr_t *at, uintptr_t end, bool anonymous, struct os_range *out,
		size_t max)
{
	static bool no_scan;

	if (fd == OS_PAGES_CORE) {
		size_t n;

		if (by_core(at, end, out, max, &n))
			return n;
	}
	if (fd < 0) {
		out[0] = (struct os_range){ *at, end };
		*at = end;
		return 1;
	}
	if (!no_scan) {
		long n = scan(fd, at, end, anonymous, out, max);

		if (n >= 0)
			return (size_t)n;
		no_scan = true;
	}
	return by_words(fd, at, end, anonymous, out, max);
}
