/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer on the core: bytes become calls of malloc and friends on the fake
 * machine, with refusals of the system and other callers of sbrk() in between.
 *
 * Checked at every step against a shadow of all blocks: contents, alignment,
 * usable size, overlap, zeroing, the numbers of kmalloc_usage(), errno.
 *
 * The core is static data. When it was compiled with sections.h before it, all
 * of that lies in two sections, which are put back to what they were before
 * each input: every finding can be had again from its input alone.
 *
 * With FUZZ_REPLAY defined: a main() that runs the files it is given, each in
 * a process of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "os_fake.h"
#include "page/reclaim.h"
#include "page/vmalloc.h"
#include "page/zone.h"
#include "slab/kmalloc.h"
#include "slab/percpu.h"
#include "slab/slab.h"
#include "tune/tune.h"

#define BLOCKS	256
#define OPS_MAX	3000
#define MEMORY	(256ul << 20)	/* of the fake machine */
#define FULL	4096ul		/* a longer block has a pattern at both ends only */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern char __start_core_data[] __weak_ref, __stop_core_data[] __weak_ref;
extern char __start_core_bss[] __weak_ref, __stop_core_bss[] __weak_ref;

#define must(cond) \
	do { \
		if (unlikely(!(cond))) { \
			fprintf(stderr, "%s:%d: %s\n%s", __FILE__, __LINE__, #cond, fake_text()); \
			abort(); \
		} \
	} while (0)

struct block {
	char *p;		/* NULL: none */
	size_t size, align;
	uint64_t seed;
};

struct input {
	const uint8_t *next, *end;
};

static struct block blocks[BLOCKS];
static uint64_t seeds;
static unsigned dangers;	/* calls that may be refused; 0: none is */

static unsigned byte(struct input *in)
{
	return in->next < in->end ? *in->next++ : 0;
}

/* Small sizes from one byte, others from three: shift and mantissa. */
static size_t any_size(struct input *in)
{
	unsigned b = byte(in);

	if (b < 160)
		return b;
	if (b == 255)
		return SIZE_MAX - byte(in) * 4096ul;
	return (size_t)(byte(in) << 8 | byte(in)) << (b - 160) % 12;
}

static char pattern(uint64_t seed, size_t i)
{
	return (char)((seed + i) * 0x9e3779b97f4a7c15ull >> 56);
}

/* The bytes that a block's pattern is kept in: all, or both ends. */
static size_t step(size_t size, size_t i)
{
	return size > FULL && i == FULL / 2 ? size - FULL / 2 : i;
}

static void fill(struct block *b)
{
	b->seed = ++seeds;
	for (size_t i = 0; i < b->size; i++) {
		i = step(b->size, i);
		b->p[i] = pattern(b->seed, i);
	}
}

/* The first @n bytes of what was a block of @was, now at @p. */
static void holds(const char *p, const struct block *was, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		i = step(was->size, i);
		if (i >= n)
			break;
		must(p[i] == pattern(was->seed, i));
	}
}

static void no_overlap(const struct block *b)
{
	uintptr_t start = (uintptr_t)b->p, end = start + ksize(b->p);

	for (const struct block *o = blocks; o < blocks + BLOCKS; o++)
		must(!o->p || o == b || (uintptr_t)o->p >= end ||
		     (uintptr_t)o->p + o->size <= start);
}

/* What any allocation must be, or why there is none. */
static void adopt(struct block *b, char *p, size_t size, size_t align)
{
	if (!p) {
		must(errno == ENOMEM);
		must(dangers || MAX(size, fake.mapped) > MEMORY / 16 || align > MEMORY / 64);
		return;
	}
	must(IS_ALIGNED((uintptr_t)p, MAX(align, (size_t)16)));
	must(size <= MEMORY && ksize(p) >= size);
	*b = (struct block){ p, size, align, 0 };
	no_overlap(b);
	fill(b);
}

/* Patterns of former blocks are longer than the steps of a long one. */
static void all_zero(const char *p, size_t size)
{
	for (size_t i = 0; i < MIN(size, 4ul << 20); i += size > FULL ? 512 : 1)
		must(!p[i]);
}

static void drop(struct block *b)
{
	if (b->p) {
		holds(b->p, b, b->size);
		errno = 1234;
		kfree(b->p);
		must(errno == 1234);
	}
	b->p = NULL;
}

static void do_malloc(struct input *in, struct block *b)
{
	size_t size = any_size(in);

	drop(b);
	adopt(b, kmalloc(size), size, 1);
}

static void do_calloc(struct input *in, struct block *b)
{
	size_t size = any_size(in);
	char *p;

	drop(b);
	p = kzalloc(size);
	if (p)
		all_zero(p, size);
	adopt(b, p, size, 1);
}

static void do_memalign(struct input *in, struct block *b)
{
	size_t align = 1ul << byte(in) % 26, size = any_size(in);

	drop(b);
	adopt(b, kmalloc_aligned(size, align), size, align);
}

static void do_realloc(struct input *in, struct block *b)
{
	size_t size = any_size(in);
	struct block was = *b;
	char *p;

	if (!b->p || !size)
		return;
	fake.remap_moves = byte(in) & 1;
	errno = 0;
	p = krealloc(b->p, size);
	holds(p ? p : was.p, &was, p ? MIN(size, was.size) : was.size);
	if (p)
		b->p = NULL;
	adopt(b, p, size, 1);
}

static void do_sized_free(struct block *b)
{
	if (!b->p)
		return;
	holds(b->p, b, b->size);
	kfree_sized(b->p, b->size, b->align);
	b->p = NULL;
}

static void do_mallopt(struct input *in)
{
	static const int values[] = {
		0, 1, 4096, 65536, 131072, 1 << 20, 32 << 20, -1,
	};
	int param = -(int)(byte(in) % 8) - 1;

	/* Perturbing would hide what calloc and realloc owe. */
	if (param != -6)
		tune_mallopt(param, values[byte(in) % ARRAY_SIZE(values)]);
}

static void do_trouble(struct input *in)
{
	unsigned what = byte(in);
	enum fake_call kind = what % NR_FAKE_CALLS;

	if (what & 64) {
		fake_foreign_sbrk((intptr_t)(byte(in) << 8) * (what & 128 ? 1 : 16) + (what & 31));
	} else {
		fake_fail(kind, byte(in) % 4, what & 128 ? FAKE_ALWAYS : 1 + byte(in) % 4, ENOMEM);
		dangers = 1;
	}
}

static void end_trouble(void)
{
	for (int kind = 0; kind < NR_FAKE_CALLS; kind++)
		fake_fail((enum fake_call)kind, 0, 0, 0);
}

static void check_usage(void)
{
	struct kmalloc_usage u = kmalloc_usage();
	struct vmalloc_stats v = vmalloc_stats();
	size_t bytes = 0, n = 0;

	for (const struct block *b = blocks; b < blocks + BLOCKS; b++) {
		if (b->p) {
			bytes += ksize(b->p);
			n++;
		}
	}
	must(u.slab_blocks + u.large_blocks + v.count == n);
	must(u.slab_bytes + u.large_bytes + v.bytes == bytes);
}

static void one_step(struct input *in)
{
	unsigned op = byte(in);
	struct block *b = &blocks[byte(in) % BLOCKS];

	errno = 0;
	switch (op % 32) {
	default:
		do_malloc(in, b);
		break;
	case 8 ... 11:
		do_calloc(in, b);
		break;
	case 12 ... 14:
		do_memalign(in, b);
		break;
	case 15 ... 20:
		do_realloc(in, b);
		break;
	case 21 ... 25:
		drop(b);
		break;
	case 26:
		do_sized_free(b);
		break;
	case 27:
		kmalloc_drain();
		reclaim_all(byte(in) << 12);
		break;
	case 28:
		do_mallopt(in);
		break;
	case 29:
		do_trouble(in);
		break;
	case 30:
		end_trouble();
		break;
	case 31:
		check_usage();
		break;
	}
}

/*
 * Copies over the red zones that AddressSanitizer puts between variables; by
 * volatile words, or it would become a call of a checked memcpy. NULL: zeros.
 */
__attribute__((no_sanitize("address")))
static void copy_words(volatile uint64_t *to, const uint64_t *from, const char *end)
{
	for (; (const char *)to < end; to++)
		*to = from ? *from++ : 0;
}

/* The core's data as it was before any input. */
static void fresh_core(void)
{
	static uint64_t data[1 << 16];
	static bool saved;
	uint64_t *start = (uint64_t *)__start_core_data;
	size_t len = (size_t)(__stop_core_data - __start_core_data);

	if (!len)
		return;
	must(len <= sizeof(data) && len % 8 == 0 && (uintptr_t)start % 8 == 0);
	if (!saved)
		copy_words(data, start, (char *)data + len);
	saved = true;
	copy_words(start, data, __stop_core_data);
	copy_words((uint64_t *)__start_core_bss, NULL, __stop_core_bss);
}

/* The first byte chooses the machine. */
static void boot(unsigned machine)
{
	static const size_t page_sizes[] = { 4096, 4096, 16384, 65536 };
	size_t start = machine & 4 ? 127ul << 20 : 1ul << 20, room = MEMORY;

	fake_boot();
	fake.page_size = page_sizes[machine % 4];
	if (machine & 16) {
		/* A break that is soon stuck, and mappings in the same section. */
		room = 4ul << 20;
		fake_map_area(start + room + (1ul << 20), start + room + (100ul << 20));
	}
	fake_break(start + (machine & 8 ? 0x123 : 0), room);
	fake.limit = MEMORY;
	fake.single_threaded = machine & 32;
	tune_set(TUNE_ID_percpu, PERCPU_LOCKED, TUNE_DEFAULT);
	slab_init();
	percpu_init();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	struct kmalloc_usage u;

	fresh_core();
	memset(blocks, 0, sizeof(blocks));
	dangers = 0;
	boot(byte(&in));
	for (int i = 0; i < OPS_MAX && in.next < in.end; i++)
		one_step(&in);
	end_trouble();
	check_usage();
	for (struct block *b = blocks; b < blocks + BLOCKS; b++)
		drop(b);
	kmalloc_drain();
	reclaim_all(0);
	u = kmalloc_usage();
	must(!u.slab_pages && !u.cached_bytes && !u.large_blocks && !vmalloc_stats().count);
	return 0;
}

#ifdef FUZZ_REPLAY
#include <sys/wait.h>
#include <unistd.h>

static int replay(const char *name)
{
	static uint8_t data[1 << 20];
	FILE *f = fopen(name, "rb");
	size_t n;

	if (!f) {
		perror(name);
		return EXIT_FAILURE;
	}
	n = fread(data, 1, sizeof(data), f);
	fclose(f);
	return LLVMFuzzerTestOneInput(data, n);
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		pid_t pid = fork();
		int status = 1;

		if (!pid)
			_exit(replay(argv[i]));
		if (pid < 0 || waitpid(pid, &status, 0) < 0 || status) {
			printf("failed: %s\n", argv[i]);
			failed++;
		}
	}
	printf("%d of %d failed\n", failed, argc - 1);
	return failed != 0;
}
#endif
