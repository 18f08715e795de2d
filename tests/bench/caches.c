/* SPDX-License-Identifier: MIT */
/*
 * What caches are worth: prints TAP, and as comments the figures, each the median
 * of ratios of two short runs, one right after the other, so that a busy machine
 * slows both.
 *
 *	pair		kmem_cache_alloc() + free : malloc() + free() of the size
 *	bulk		64 objects at once : 64 one by one, per object
 *	constructed	an object that is used and given back, constructed as it is : the
 *			same made and unmade each time
 *
 * The bars are 1, 1/2 and 1; what is tested leaves room for noise.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <stele.h>

#define RUNS 201
#define PAIRS 20000
#define BULK 64

static int tests, failed;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Median of a : b; prints it, and what one of b takes. */
static double ratio(double (*a)(void *), double (*b)(void *), void *arg, const char *what)
{
	static double r[RUNS], t[RUNS];

	for (int i = 0; i < RUNS; i++) {
		double ta = a(arg), tb = b(arg);

		r[i] = ta / tb;
		t[i] = tb;
	}
	qsort(r, RUNS, sizeof(*r), compare);
	qsort(t, RUNS, sizeof(*t), compare);
	printf("# %-28s %.3f of %.2f ns\n", what, r[RUNS / 2], t[RUNS / 2]);
	return r[RUNS / 2];
}

static void judge(double value, double limit, const char *what)
{
	printf("%sok %d - %s: %.2f, at most %.2f\n", value <= limit ? "" : "not ", ++tests, what,
	       value, limit);
	failed += value > limit;
}

struct what {
	struct stele_kmem_cache *cache;
	size_t size;
};

static void use(void *p)
{
	if (!p)
		abort();
	__asm__ volatile("" : : "r"(p) : "memory");
}

static double cache_pairs(void *arg)
{
	struct stele_kmem_cache *c = ((struct what *)arg)->cache;
	double start = now();

	for (int i = 0; i < PAIRS; i++) {
		void *p = stele_kmem_cache_alloc(c, STELE_GFP_KERNEL);

		use(p);
		stele_kmem_cache_free(c, p);
	}
	return (now() - start) / PAIRS;
}

static double malloc_pairs(void *arg)
{
	size_t size = ((struct what *)arg)->size;
	double start = now();

	for (int i = 0; i < PAIRS; i++) {
		void *p = malloc(size);

		use(p);
		free(p);
	}
	return (now() - start) / PAIRS;
}

static double in_bulk(void *arg)
{
	struct stele_kmem_cache *c = ((struct what *)arg)->cache;
	double start = now();
	void *p[BULK];

	for (int i = 0; i < PAIRS / BULK; i++) {
		if (stele_kmem_cache_alloc_bulk(c, STELE_GFP_KERNEL, BULK, p) != BULK)
			abort();
		use(p);
		stele_kmem_cache_free_bulk(c, BULK, p);
	}
	return (now() - start) / PAIRS;
}

static double one_by_one(void *arg)
{
	struct stele_kmem_cache *c = ((struct what *)arg)->cache;
	double start = now();
	void *p[BULK];

	for (int i = 0; i < PAIRS / BULK; i++) {
		for (int k = 0; k < BULK; k++)
			p[k] = stele_kmem_cache_alloc(c, STELE_GFP_KERNEL);
		use(p);
		for (int k = 0; k < BULK; k++)
			stele_kmem_cache_free(c, p[k]);
	}
	return (now() - start) / PAIRS;
}

/* A queue, such as programs make many of. */
struct queue {
	pthread_mutex_t lock;
	pthread_cond_t filled, emptied;
	struct queue *next, *prev;
	void *ring[32];
};

static void make_queue(void *obj)
{
	struct queue *q = obj;

	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->filled, NULL);
	pthread_cond_init(&q->emptied, NULL);
	memset(q->ring, 0, sizeof(q->ring));
	q->next = q->prev = q;
}

static void unmake_queue(void *obj, void *data)
{
	struct queue *q = obj;

	(void)data;
	pthread_cond_destroy(&q->emptied);
	pthread_cond_destroy(&q->filled);
	pthread_mutex_destroy(&q->lock);
}

static double constructed(void *arg)
{
	struct stele_kmem_cache *c = ((struct what *)arg)->cache;
	double start = now();

	for (int i = 0; i < PAIRS; i++) {
		struct queue *q = stele_kmem_cache_alloc(c, STELE_GFP_KERNEL);

		use(q);
		q->ring[i % 32] = q;
		q->ring[i % 32] = NULL;
		stele_kmem_cache_free(c, q);
	}
	return (now() - start) / PAIRS;
}

static double made_each_time(void *arg)
{
	double start = now();

	(void)arg;
	for (int i = 0; i < PAIRS; i++) {
		struct queue *q = malloc(sizeof(*q));

		use(q);
		make_queue(q);
		q->ring[i % 32] = q;
		q->ring[i % 32] = NULL;
		unmake_queue(q, NULL);
		free(q);
	}
	return (now() - start) / PAIRS;
}

int main(void)
{
	static const size_t sizes[] = { 16, 64, 256, 1024 };
	struct stele_kmem_cache_args queues = { .size = sizeof(struct queue), .ctor = make_queue,
						.dtor = unmake_queue };
	struct what w = { NULL, 0 };
	double pair = 1, bulk = 0, made;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char name[40];
		double r;

		w.size = sizes[i];
		snprintf(name, sizeof(name), "bench-%zu", w.size);
		w.cache = stele_kmem_cache_create(name, w.size, 0, 0, NULL);
		use(w.cache);
		snprintf(name, sizeof(name), "pair of %zu, to malloc()", w.size);
		r = ratio(cache_pairs, malloc_pairs, &w, name);
		pair = i ? pair : r;
		pair = r < pair ? r : pair;
		snprintf(name, sizeof(name), "bulk of 64 of %zu, to single", w.size);
		r = ratio(in_bulk, one_by_one, &w, name);
		bulk = r > bulk ? r : bulk;
		if (stele_kmem_cache_destroy(w.cache))
			abort();
	}
	w.cache = stele_kmem_cache_create_args("bench-queue", &queues);
	use(w.cache);
	made = ratio(constructed, made_each_time, &w, "constructed, to made");
	judge(pair, 1.15, "a pair of a cache to one of malloc(), the best size");
	judge(bulk, 0.65, "an object of a bulk to one alone, the worst size");
	judge(made, 0.8, "a constructed object to one made each time");
	printf("1..%d\n", tests);
	return failed != 0;
}
