/* SPDX-License-Identifier: MIT */
/* mallinfo and mallinfo2 are exact at every call, and malloc_stats and malloc_info agree with them. */
#include <malloc.h>

#include "again.h"

#define BLOCKS 300

static size_t in_use(struct mallinfo2 m)
{
	return m.uordblks + m.hblkhd;
}

/* The one with ints is deprecated, and still there. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static struct mallinfo old_info(void)
{
	return mallinfo();
}
#pragma GCC diagnostic pop

/* Sums that hold in any state, and the old interface beside the new one. */
static struct mallinfo2 info(void)
{
	struct mallinfo2 m = mallinfo2();
	struct mallinfo o = old_info();

	CHECK(m.arena == m.uordblks + m.fordblks, "arena %zu, used %zu, free %zu", m.arena,
	      m.uordblks, m.fordblks);
	CHECK(m.keepcost <= m.fordblks, "keepcost %zu of %zu free", m.keepcost, m.fordblks);
	CHECK((m.hblks == 0) == (m.hblkhd == 0), "hblks %zu, hblkhd %zu", m.hblks, m.hblkhd);
	CHECK(m.usmblks == 0, "usmblks %zu", m.usmblks);
	CHECK(o.arena == (int)m.arena && o.ordblks == (int)m.ordblks && o.hblks == (int)m.hblks &&
	      o.hblkhd == (int)m.hblkhd && o.uordblks == (int)m.uordblks &&
	      o.fordblks == (int)m.fordblks && o.keepcost == (int)m.keepcost,
	      "mallinfo and mallinfo2 differ");
	return m;
}

/* One block shows by its size, and is gone after free to the byte. */
static void single(size_t n)
{
	struct mallinfo2 a = info(), b, c;
	size_t usable;
	void *p;

	p = hard_malloc(n);
	b = info();
	usable = malloc_usable_size(p);
	CHECK(in_use(b) >= in_use(a) + usable, "malloc(%zu): used %zu, then %zu", n, in_use(a),
	      in_use(b));
	CHECK(in_use(b) <= in_use(a) + usable + 8192, "malloc(%zu): used %zu, then %zu", n,
	      in_use(a), in_use(b));
	free(p);
	c = info();
	CHECK(in_use(c) == in_use(a), "free of %zu: used %zu before malloc, %zu after", n,
	      in_use(a), in_use(c));
}

/* A step at a time up and down, in an order that has nothing to do with that of malloc. */
static void many(void)
{
	static void *p[BLOCKS];
	struct mallinfo2 first = info(), last = first, m;
	uint64_t rand = hard_seed(3);

	for (size_t i = 0; i < BLOCKS; i++) {
		size_t n = hard_rand_size(&rand, 20);

		p[i] = hard_malloc(n);
		m = info();
		CHECK(in_use(m) >= in_use(last) + n, "malloc(%zu): used %zu, then %zu", n,
		      in_use(last), in_use(m));
		last = m;
	}
	for (size_t i = 0; i < BLOCKS; i++) {
		size_t k = i * 7 % BLOCKS, usable = malloc_usable_size(p[k]);

		free(p[k]);
		m = info();
		CHECK(in_use(m) + usable <= in_use(last), "free of %zu: used %zu, then %zu", usable,
		      in_use(last), in_use(m));
		last = m;
	}
	CHECK(in_use(last) == in_use(first), "used %zu before, %zu after", in_use(first),
	      in_use(last));
}

static void *in_thread(void *arg)
{
	void **p = arg;

	for (size_t i = 0; i < BLOCKS; i++)
		p[i] = hard_malloc(64);
	return NULL;
}

/* What another thread has taken is seen as well, also when it has ended. */
static void threads(void)
{
	static void *p[BLOCKS];
	struct mallinfo2 a, b, c;
	pthread_t t;

	/* the first thread of all leaves its stack and its thread-local memory behind */
	hard_start(&t, in_thread, p);
	hard_join(t);
	for (size_t i = 0; i < BLOCKS; i++)
		free(p[i]);
	a = info();
	hard_start(&t, in_thread, p);
	hard_join(t);
	b = info();
	CHECK(in_use(b) >= in_use(a) + BLOCKS * 64, "a thread took %d times 64: used %zu, then %zu",
	      BLOCKS, in_use(a), in_use(b));
	for (size_t i = 0; i < BLOCKS; i++)
		free(p[i]);
	c = info();
	CHECK(in_use(c) == in_use(a), "used %zu before, %zu after", in_use(a), in_use(c));
}

/* The number after @name and '=' that stands behind @from in what malloc_stats wrote. */
static size_t stat_of(const char *from, const char *name)
{
	char *at = strstr(again_text, from);

	CHECK(at, "malloc_stats has no %s: %s", from, again_text);
	at = strstr(at, name);
	CHECK(at && (at = strchr(at, '=')), "malloc_stats has no %s: %s", name, again_text);
	return strtoul(at + 1, NULL, 10);
}

static void stats(void)
{
	int fd[2], saved = dup(2);
	struct mallinfo2 m;
	ssize_t n;
	void *p = hard_malloc(8 * MIB), *q = hard_malloc(8 * MIB);

	free(q);
	/* stdio's buffer, if it has one for stderr, must be there before */
	CHECK(pipe(fd) == 0, "pipe: errno %d", errno);
	fflush(stderr);
	dup2(fd[1], 2);
	malloc_stats();
	m = info();
	malloc_stats();
	fflush(stderr);
	dup2(saved, 2);
	close(saved);
	close(fd[1]);
	n = read(fd[0], again_text, sizeof(again_text) - 1);
	CHECK(n > 0, "malloc_stats wrote nothing");
	close(fd[0]);
	again_text[n] = '\0';
	CHECK(again_count("Arena 0:") == 2, "no two reports: %s", again_text);
	memmove(again_text, strstr(again_text + 1, "Arena 0:"),
		strlen(strstr(again_text + 1, "Arena 0:")) + 1);
	CHECK(stat_of("Arena 0", "system bytes") == m.arena, "%s", again_text);
	CHECK(stat_of("Arena 0", "in use bytes") == m.uordblks, "%s", again_text);
	CHECK(stat_of("Total", "system bytes") == m.arena + m.hblkhd, "%s", again_text);
	CHECK(stat_of("Total", "in use bytes") == m.uordblks + m.hblkhd, "%s", again_text);
	CHECK(stat_of("Total", "max mmap regions") >= m.hblks, "%s", again_text);
	CHECK(stat_of("Total", "max mmap bytes") >= m.hblkhd, "%s", again_text);
	free(p);
}

static void run(void)
{
	static const size_t sizes[] = {
		1, 24, 100, 1000, 1024, 5000, 32768, 40000, 100000, 200000, MIB, 40 * MIB,
	};

	mallopt(M_MXFAST, 0);
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	free(hard_malloc(1));
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
			single(sizes[i]);
		many();
		malloc_trim(0);
	}
	threads();
	stats();
}

/* What is in glibc's thread caches counts as used there: they are off. */
int main(int argc, char **argv)
{
	static const char *const env[] = {
		"GLIBC_TUNABLES=glibc.malloc.tcache_count=0:glibc.malloc.arena_max=1", NULL,
	};

	(void)argv;
	if (argc > 1)
		run();
	else
		again_expect("run", env);
	return 0;
}
