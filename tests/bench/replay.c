/* SPDX-License-Identifier: MIT */
/*
 * replay FILE: plays a trace (trace_format.h) in one thread, in the order of the records,
 * and writes to the first and the last byte of every block.
 *
 * A short trace is played several times over, so that the work is about 25 million calls
 * at scale 1.0; what is still alive at the end of a pass is freed in the order of the ids.
 * The file is mapped and what has been read is dropped again, so that it does not count as
 * resident memory.
 */
#include "bench.h"

#include <sys/stat.h>

#include "trace_format.h"

#define CALLS	25e6
#define WINDOW	(1u << 20)

struct block {
	void *p;
	size_t size;
};

static const uint8_t *trace, *trace_last;
static struct block *blocks;

static void map_trace(const char *path)
{
	struct stat st;
	size_t size;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		bench_die("cannot open the trace");
	size = (size_t)st.st_size;
	/* Anonymous pages behind the file let trace_get() read past a torn last record. */
	trace = bench_table(size + 2 * BENCH_PAGE, 1);
	if (size < TRACE_MAGIC_LEN ||
	    mmap((void *)trace, size, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED)
		bench_die("cannot map the trace");
	close(fd);
	if (memcmp(trace, TRACE_MAGIC, TRACE_MAGIC_LEN))
		bench_die("this is not a trace");
	trace_last = trace + size;
}

static void drop_window(const uint8_t *at)
{
	uintptr_t start = ((uintptr_t)at - WINDOW) & ~(uintptr_t)(BENCH_PAGE - 1);

	if (start < (uintptr_t)trace)
		start = (uintptr_t)trace;
	madvise((void *)start, (uintptr_t)at - start, MADV_DONTNEED);
}

static const uint8_t *read_record(const uint8_t *at, uint64_t *numbers)
{
	static const uint8_t count[] = {
		[TRACE_MALLOC] = 2, [TRACE_CALLOC] = 2, [TRACE_REALLOC] = 2,
		[TRACE_MEMALIGN] = 3, [TRACE_FREE] = 1, [TRACE_THREAD] = 1,
	};
	unsigned int op = *at++, i;

	if (op == 0 || op > TRACE_THREAD)
		bench_die("the trace is damaged");
	for (i = 0; i < count[op]; i++)
		at = trace_get(at, &numbers[i]);
	return at;
}

/* Counts the calls and the ids; a torn record at the end is cut off. */
static uint64_t survey(uint64_t *ids)
{
	const uint8_t *at = trace + TRACE_MAGIC_LEN, *next;
	uint64_t calls = 0, numbers[3];

	for (; at < trace_last; at = next) {
		next = read_record(at, numbers);
		if (next > trace_last)
			break;
		if (*at == TRACE_THREAD)
			continue;
		calls++;
		if (numbers[0] >= *ids)
			*ids = numbers[0] + 1;
	}
	trace_last = at;
	madvise((void *)trace, (size_t)(trace_last - trace), MADV_DONTNEED);
	return calls;
}

static void *make(unsigned int op, const uint64_t *numbers, struct block *b)
{
	void *p;

	switch (op) {
	case TRACE_CALLOC:
		return calloc(1, b->size);
	case TRACE_REALLOC:
		return realloc(b->p, b->size);
	case TRACE_MEMALIGN:
		if (posix_memalign(&p, (size_t)1 << numbers[1], b->size))
			return NULL;
		return p;
	default:
		return malloc(b->size);
	}
}

static void play(void)
{
	const uint8_t *at = trace + TRACE_MAGIC_LEN, *dropped = at;
	uint64_t numbers[3];

	while (at < trace_last) {
		unsigned int op = *at;
		struct block *b;

		at = read_record(at, numbers);
		if (op == TRACE_THREAD)
			continue;
		b = &blocks[numbers[0]];
		if (op == TRACE_FREE) {
			free(b->p);
			b->p = NULL;
			continue;
		}
		b->size = numbers[op == TRACE_MEMALIGN ? 2 : 1];
		b->p = make(op, numbers, b);
		if (b->size)
			bench_touch(b->p, b->size);
		if (at - dropped > (long)WINDOW) {
			drop_window(at);
			dropped = at;
		}
	}
}

int main(int argc, char **argv)
{
	uint64_t ids = 0, calls, pass, passes, i;

	while (bench_getopt(argc, argv, "") != -1)
		;
	if (optind >= argc)
		bench_die("replay needs a trace file");
	map_trace(argv[optind]);
	calls = survey(&ids);
	if (!calls)
		bench_die("the trace is empty");
	blocks = bench_table(ids, sizeof(*blocks));
	passes = bench_count(CALLS / (double)calls);

	bench_begin();
	for (pass = 0; pass < passes; pass++) {
		play();
		for (i = 0; i < ids; i++) {
			free(blocks[i].p);
			blocks[i].p = NULL;
		}
	}
	bench_end(passes * calls);
	return 0;
}
