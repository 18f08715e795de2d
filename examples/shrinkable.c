/* SPDX-License-Identifier: MIT */
/*
 * A cache that gives way: results of a slow computation are kept as long as there
 * is memory, and no longer. The shrinker frees the oldest when a request, here or
 * anywhere in the program, could not be served otherwise.
 *
 * The process limits itself to 64 MiB more than it has, and then keeps all
 * results it computes. Nothing ever fails.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <stele.h>

#define RESULT_BYTES (128 * 1024)
#define RESULTS 2000	/* 250 MiB */

struct result {
	struct result *older, *newer;
	unsigned long key;
	unsigned char data[RESULT_BYTES];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct result *newest, *oldest;
static unsigned long kept, given_up;

/* With the lock held. */
static void unlink_oldest(void)
{
	struct result *r = oldest;

	oldest = r->newer;
	if (oldest)
		oldest->older = NULL;
	else
		newest = NULL;
	kept--;
	stele_kfree(r);
}

static unsigned long results_count(struct stele_shrinker *s, struct stele_shrink_control *sc)
{
	(void)s;
	(void)sc;
	return kept ? kept : STELE_SHRINK_EMPTY;
}

/*
 * We may be called by a thread that holds the lock, in its own request for memory:
 * so the lock is only tried. (The other way is a scope, see keep() below.)
 */
static unsigned long results_scan(struct stele_shrinker *s, struct stele_shrink_control *sc)
{
	unsigned long freed = 0;

	(void)s;
	if (pthread_mutex_trylock(&lock))
		return STELE_SHRINK_STOP;
	while (freed < sc->nr_to_scan && oldest) {
		unlink_oldest();
		freed++;
	}
	given_up += freed;
	pthread_mutex_unlock(&lock);
	return freed;
}

static struct result *compute(unsigned long key)
{
	struct result *r = stele_kmalloc(sizeof(*r), STELE_GFP_KERNEL);

	if (!r)
		return NULL;
	r->key = key;
	memset(r->data, (int)key, sizeof(r->data));
	return r;
}

static void keep(struct result *r)
{
	pthread_mutex_lock(&lock);
	r->older = newest;
	r->newer = NULL;
	if (newest)
		newest->newer = r;
	else
		oldest = r;
	newest = r;
	kept++;
	pthread_mutex_unlock(&lock);
}

static void limit_to(size_t more)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f && fscanf(f, "%lu", &pages) == 1) {
		struct rlimit rl;

		rl.rlim_cur = rl.rlim_max = pages * (size_t)sysconf(_SC_PAGESIZE) + more;
		setrlimit(RLIMIT_AS, &rl);
	}
	if (f)
		fclose(f);
}

int main(void)
{
	struct stele_shrinker *s = stele_shrinker_alloc(0, "results");

	if (!s)
		return EXIT_FAILURE;
	s->count_objects = results_count;
	s->scan_objects = results_scan;
	s->batch = 16;
	stele_shrinker_register(s);
	limit_to(64ul << 20);

	for (unsigned long key = 0; key < RESULTS; key++) {
		struct result *r = compute(key);

		if (!r) {
			fprintf(stderr, "no memory for result %lu\n", key);
			return EXIT_FAILURE;
		}
		keep(r);
	}
	printf("%d results computed, %lu kept, %lu given up on the way\n", RESULTS, kept, given_up);
	if (!given_up || kept + given_up != RESULTS || newest->data[100] != (RESULTS - 1) % 256)
		return EXIT_FAILURE;

	/* Other code of the program profits too, whatever function it calls. */
	free(malloc(32ul << 20));
	printf("after a malloc() of 32 MiB: %lu kept\n", kept);

	stele_shrinker_free(s);
	while (oldest)
		unlink_oldest();
	return EXIT_SUCCESS;
}
