/* SPDX-License-Identifier: MIT */
/*
 * Threads that allocate and free on their way out: by return, pthread_exit, cancellation
 * and detached, with destructors of thread-specific data that do the same.
 */
#include <semaphore.h>

#include "hard.h"

#define THREADS 64
#define ROUNDS 20
#define KEYS 8

static pthread_key_t keys[KEYS];
static sem_t done;

struct item {
	size_t n;
	unsigned char data[];
};

static struct item *item_new(size_t n)
{
	struct item *it = hard_malloc(sizeof(*it) + n);

	it->n = n;
	hard_fill(it->data, n, n);
	return it;
}

static void item_free(void *p)
{
	struct item *it = p;

	hard_verify(it->data, it->n, it->n);
	free(it);
}

/* Frees, and allocates in the same breath what the next key's destructor will not see. */
static void key_gone(void *p)
{
	item_free(p);
	item_free(item_new(3000));
}

static void clean_up(void *p)
{
	item_free(p);
	item_free(item_new(100000));
	sem_post(&done);
}

static void *worker(void *arg)
{
	uintptr_t id = (uintptr_t)arg;
	int i;

	pthread_cleanup_push(clean_up, item_new(50 + id));
	for (i = 0; i < KEYS; i++)
		pthread_setspecific(keys[i], item_new(100 * (id + 1) + (size_t)i));
	if (id % 3 == 0)
		pthread_exit(item_new(id));
	while (id % 3 == 1) {
		/* waits to be cancelled; the cancellation points are outside of malloc */
		item_free(item_new(2000));
		pthread_testcancel();
	}
	pthread_cleanup_pop(1);
	return item_new(id);
}

static void joined(void)
{
	pthread_t t[THREADS];
	void *result;
	uintptr_t i;

	for (i = 0; i < THREADS; i++)
		hard_start(&t[i], worker, (void *)i);
	for (i = 1; i < THREADS; i += 3)
		pthread_cancel(t[i]);
	for (i = 0; i < THREADS; i++) {
		CHECK(pthread_join(t[i], &result) == 0, "join");
		CHECK((result == PTHREAD_CANCELED) == (i % 3 == 1), "thread %lu ended otherwise",
		      (unsigned long)i);
		if (result != PTHREAD_CANCELED)
			item_free(result);
	}
}

static void *detached_worker(void *arg)
{
	item_free(worker(arg));
	return NULL;
}

static void detached(void)
{
	pthread_attr_t attr;
	pthread_t t;
	uintptr_t i;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t, &attr, detached_worker, (void *)(3 * i + 2)) == 0,
		      "pthread_create");
	pthread_attr_destroy(&attr);
}

int main(void)
{
	int i;

	sem_init(&done, 0, 0);
	for (i = 0; i < KEYS; i++)
		CHECK(pthread_key_create(&keys[i], key_gone) == 0, "pthread_key_create");
	for (i = 0; i < ROUNDS; i++) {
		joined();
		detached();
	}
	/* the last of them may still be on their way out when main returns */
	for (i = 0; i < 2 * ROUNDS * THREADS; i++)
		while (sem_wait(&done) != 0)
			;
	return 0;
}
