/* SPDX-License-Identifier: MIT */
/*
 * Sampling.
 *
 * 1. When. The distance between two samples is drawn from an exponential
 *    distribution, per thread; each request subtracts its bytes. It has no
 *    memory, so after a sample, and for a thread that has just begun, a new one is
 *    drawn; no request is likelier for what was requested before it.
 *
 * 2. Weight. A block of n bytes is hit with probability p = 1 - exp(-n / mean). So
 *    each one that is counts as 1 / p blocks.
 *
 * 3. Counters, per stack: what was allocated, what was freed, by weight and in
 *    256ths. The stack's entry in the depot has a word for the number of its
 *    counters, which lie together, so that a few stacks touch few pages.
 *
 * Locking: none; atomic additions.
 */
#include "debug/sample.h"

#include "debug/depot.h"
#include "os/os.h"
#include "page/page.h"

#define FRACTION	256.0		/* of the counters */
#define GOLDEN		0x9e3779b97f4a7c15ull

struct counters {
	uint64_t alloc_blocks, alloc_bytes;
	uint64_t free_blocks, free_bytes;
};

#define CHUNK_COUNTERS	(16 * PAGE_SIZE / sizeof(struct counters))
#define NR_CHUNKS	512u		/* a million stacks */

static double mean;
static uint64_t random_state;			/* atomic */
static struct counters special[STACK_FULL + 1];	/* of the ids without an entry */
static struct counters *chunks[NR_CHUNKS];	/* set once, by compare-and-swap */
static uint32_t nr_counters;			/* atomic */

void sample_init(uint64_t bytes)
{
	mean = (double)bytes;
	/* Enough for two processes, or two runs, not to sample in step. */
	random_state = os_now_ms() * GOLDEN ^ (uint64_t)os_pid() << 32 ^ (uintptr_t)&bytes;
}

/* Splitmix64: a counter, and a mixer of its bits. */
static uint64_t random_bits(void)
{
	uint64_t z = __atomic_add_fetch(&random_state, GOLDEN, __ATOMIC_RELAXED);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

#define LN2	0.693147180559945309417

/* log(x) for 0 < x <= 1: exponent, and the series of 2 atanh((m - 1) / (m + 1)). */
static double log_of(double x)
{
	union {
		double d;
		uint64_t u;
	} v = { x };
	int exponent = (int)(v.u >> 52) - 1023;
	double t, t2, sum = 0;

	v.u = (v.u & 0xfffffffffffffull) | 1023ull << 52;	/* 1 <= m < 2 */
	t = (v.d - 1) / (v.d + 1);				/* below 1/3 */
	t2 = t * t;
	for (int k = 23; k >= 1; k -= 2)
		sum = sum * t2 + 1.0 / k;
	return exponent * LN2 + 2 * t * sum;
}

/* 1 - exp(-x) for x >= 0: the series for 1/1024 of x, then doubled ten times. */
static double hit_probability(double x)
{
	double p, y = x / 1024;

	if (x > 40)
		return 1;
	p = y * (1 - y / 2 * (1 - y / 3 * (1 - y / 4)));
	for (int i = 0; i < 10; i++)
		p = p * (2 - p);	/* 1 - (1 - p)^2 */
	return p;
}

static int64_t draw(void)
{
	/* 53 bits, never 0. */
	double u = ((double)(random_bits() >> 11) + 1) / (double)(1ull << 53);

	return (int64_t)(-log_of(u) * mean) + 1;
}

__noinline bool sample_take(size_t size)
{
	if (thread_set(THREAD_SAMPLING)) {
		debug_thread.sample_left = draw();
		return true;
	}
	/* This thread's first request. */
	debug_thread.sample_left = draw();
	if ((int64_t)size + 1 < debug_thread.sample_left) {
		debug_thread.sample_left -= (int64_t)size + 1;
		return false;
	}
	debug_thread.sample_left = draw();
	return true;
}

static struct counters *chunk(uint32_t i)
{
	struct counters *c, *none = NULL;
	size_t pages = CHUNK_COUNTERS * sizeof(*c) / PAGE_SIZE;

	if (i >= NR_CHUNKS)
		return NULL;
	c = load_acquire(&chunks[i]);
	if (c)
		return c;
	c = page_alloc_meta(pages);
	if (c && !__atomic_compare_exchange_n(&chunks[i], &none, c, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE)) {
		page_free_meta(c, pages);
		c = none;
	}
	return c;
}

/* Those of @stack; of STACK_FULL where there are none left. */
static struct counters *counters_of(uint32_t stack, bool make)
{
	struct counters *c = NULL;
	uint32_t *word, n, none = 0;

	if (stack <= STACK_FULL)
		return &special[stack];
	word = stack_word(stack);
	n = load_acquire(word);
	if (!n && !make)
		return NULL;
	if (!n) {
		n = __atomic_add_fetch(&nr_counters, 1, __ATOMIC_RELAXED);
		if (!__atomic_compare_exchange_n(word, &none, n, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_ACQUIRE))
			n = none;
	}
	c = chunk((n - 1) / CHUNK_COUNTERS);
	return c ? &c[(n - 1) % CHUNK_COUNTERS] : &special[STACK_FULL];
}

static void count(uint64_t *blocks, uint64_t *bytes, size_t size)
{
	double weight = FRACTION / hit_probability(((double)size + 1) / mean);

	__atomic_add_fetch(blocks, (uint64_t)weight, __ATOMIC_RELAXED);
	__atomic_add_fetch(bytes, (uint64_t)(weight * (double)size), __ATOMIC_RELAXED);
}

void sample_count_alloc(uint32_t stack, size_t size)
{
	struct counters *c = counters_of(stack, true);

	count(&c->alloc_blocks, &c->alloc_bytes, size);
}

void sample_count_free(uint32_t stack, size_t size)
{
	struct counters *c = counters_of(stack, true);

	count(&c->free_blocks, &c->free_bytes, size);
}

static uint64_t rounded(uint64_t n)
{
	return (n + (uint64_t)FRACTION / 2) / (uint64_t)FRACTION;
}

struct visit {
	bool (*fn)(const struct profile *p, void *arg);
	void *arg;
};

static bool visit_stack(uint32_t id, void *arg)
{
	const struct visit *v = arg;
	struct counters *c = counters_of(id, false), now;
	struct profile p;

	if (!c)
		return true;
	/* What was freed first: then it is not more than what was allocated. */
	now.free_blocks = load_acquire(&c->free_blocks);
	now.free_bytes = load_acquire(&c->free_bytes);
	now.alloc_blocks = READ_ONCE(c->alloc_blocks);
	now.alloc_bytes = READ_ONCE(c->alloc_bytes);
	if (!now.alloc_blocks)
		return true;
	p = (struct profile){
		.stack = id,
		.inuse_blocks = rounded(now.alloc_blocks - now.free_blocks),
		.inuse_bytes = rounded(now.alloc_bytes - now.free_bytes),
		.total_blocks = rounded(now.alloc_blocks),
		.total_bytes = rounded(now.alloc_bytes),
	};
	return v->fn(&p, v->arg);
}

bool profile_walk(bool (*fn)(const struct profile *p, void *arg), void *arg)
{
	struct visit v = { fn, arg };

	for (uint32_t id = STACK_UNKNOWN; id <= STACK_FULL; id++) {
		if (!visit_stack(id, &v))
			return false;
	}
	return stack_walk(visit_stack, &v);
}
