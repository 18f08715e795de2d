/* SPDX-License-Identifier: MIT */
/*
 * oom=null|report|abort: what a failing request leaves behind. The report is the kernel's Mem-Info,
 * once for a burst of failures of one size, by write(2) alone.
 */
#include <malloc.h>

#include "again.h"
#include "watch.h"

#define BURST 1000

static void *p[BURST];

/* Blocks of all kinds, then requests that must fail. */
static void use_memory(void)
{
	for (size_t i = 0; i < BURST; i++)
		p[i] = hard_malloc(i % 10 ? 1000 : 40000);
	for (size_t i = 0; i < BURST; i += 2)
		free(p[i]);
}

static void burst(size_t n)
{
	for (size_t i = 0; i < BURST; i++) {
		void *q;

		errno = 0;
		q = malloc(hard_size(n + i));
		CHECK(!q && errno == ENOMEM, "%p for %zu bytes: errno %d", q, n + i, errno);
	}
}

/* One system call that is neither a report nor a try to get memory ends the test. */
static void only_writes(void)
{
	static const int nr[] = { SYS_write, SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap, SYS_madvise,
				  SYS_membarrier, SYS_clock_gettime, SYS_getpid, SYS_exit_group,
				  SYS_rt_sigreturn };

	watched.fatal = 1;
	watch_start(nr, ARRAY_LEN(nr), 1);
	burst(200 * MIB);
}

static void has(const char *what, unsigned int times)
{
	CHECK(again_count(what) == times, "\"%s\" %u times, not %u: %s", what, again_count(what),
	      times, again_text);
}

/* "N*4kB ... = TKB": the sum must be what stands before as free. */
static void zone_adds_up(void)
{
	char *line = strstr(again_text, "zone BRK free:"), *counts;
	unsigned long free_kib, total = 0, n, size, said;

	CHECK(line && sscanf(line, "zone BRK free:%lukB", &free_kib) == 1, "%s", again_text);
	counts = strstr(line, "zone BRK: ");
	CHECK(counts, "%s", again_text);
	counts += strlen("zone BRK: ");
	for (size = 4; size <= 4096; size *= 2) {
		unsigned long unit;
		int len;

		CHECK(sscanf(counts, "%lu*%lukB %n", &n, &unit, &len) == 2 && unit == size,
		      "order of %lu kB: %.60s", size, counts);
		total += n * unit;
		counts += len;
	}
	CHECK(sscanf(counts, "= %lukB", &said) == 1, "%.60s", counts);
	CHECK(total == said && said == free_kib, "blocks of %lu kB, said %lu, free %lu", total, said,
	      free_kib);
}

#define CONF(more) { "STELE_CONF=limit=64M" more, NULL }

int main(int argc, char **argv)
{
	static const char *const null[] = CONF(""), *const report[] = CONF(",oom=report"),
			  *const aborts[] = CONF(",oom=abort");
	int status;

	if (!hard_on_stele())
		SKIP("plain libc says nothing");
	if (argc > 1) {
		use_memory();
		if (strcmp(argv[1], "sizes") == 0) {
			burst(100 * MIB);
			burst(1000 * MIB);
		} else if (strcmp(argv[1], "writes") == 0) {
			only_writes();
		} else if (strcmp(argv[1], "absurd") == 0) {
			CHECK(!malloc(hard_size(SIZE_MAX)), "malloc(SIZE_MAX)");
			CHECK(!calloc(hard_size(SIZE_MAX / 2), 3), "calloc overflow");
		} else {
			burst(200 * MIB);
		}
		_exit(0);
	}
	again_expect("burst", null);
	CHECK(!again_text[0], "oom=null wrote %s", again_text);

	again_expect("burst", report);
	has("stele: out of memory: exe, pid ", 1);
	has("asked for 209715200 bytes, order 16\n", 1);
	has("Mem-Info:\n", 1);
	has("limit:65536kB\n", 1);
	has("vmalloc: 0kB in 0 mappings", 1);
	has("\nkmalloc-1024 ", 1);
	zone_adds_up();

	/* two sizes are two bursts; the second tells of what the first left out */
	again_expect("sizes", report);
	has("Mem-Info:\n", 2);
	has("999 more failures were not reported\n", 1);
	again_expect("writes", report);
	has("Mem-Info:\n", 1);
	/* more than there can be is no lack of memory */
	again_expect("absurd", report);
	CHECK(!again_text[0], "SIZE_MAX wrote %s", again_text);

	status = again_run("/proc/self/exe", "burst", aborts);
	CHECK(status == -SIGABRT, "oom=abort ended with %d", status);
	has("Mem-Info:\n", 1);
	has("aborting, as oom=abort demands\n", 1);
	return 0;
}
