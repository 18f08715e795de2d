/* SPDX-License-Identifier: MIT */
/*
 * Caches among threads: objects stay apart and constructed, while caches are
 * created, shrunk and destroyed beside, objects go from thread to thread, memory
 * is trimmed, and the process forks.
 */
#include <malloc.h>
#include <pthread.h>

#include <stele.h>

#include "tap.h"

#define K STELE_GFP_KERNEL
#define THREADS 4
#define SECONDS 2

struct thing {
	unsigned long magic, owner;
	char rest[80];
};
#define MAGIC 0x7468696e67ul

static volatile long made, unmade;
static volatile int stop, bad;
static struct stele_kmem_cache *plain, *things;

static void ctor(void *p)
{
	((struct thing *)p)->magic = MAGIC;
	__atomic_fetch_add(&made, 1, __ATOMIC_RELAXED);
}

static void dtor(void *p, void *data)
{
	(void)data;
	if (((struct thing *)p)->magic != MAGIC)
		bad = 1;
	((struct thing *)p)->magic = 0;
	__atomic_fetch_add(&unmade, 1, __ATOMIC_RELAXED);
}

/* From one thread to whoever comes by. */
static struct thing *exchange[64];

static void *churn(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg + 1;
	struct thing *own[200] = { 0 };
	char *block[200] = { 0 };

	while (!stop) {
		unsigned k = (seed = seed * 1103515245 + 12345) >> 16, i = k % 200;
		struct thing *t = own[i];

		if (t) {
			if (t->magic != MAGIC || t->owner != (uintptr_t)arg * 1000 + i)
				bad = 2;
			t = __atomic_exchange_n(&exchange[k % 64], t, __ATOMIC_ACQ_REL);
			own[i] = NULL;
			if (t && k & 1)
				stele_kmem_cache_free(things, t);
			else
				free(t);
		} else {
			t = own[i] = stele_kmem_cache_alloc(things, K);
			MUST(t);
			if (t->magic != MAGIC)
				bad = 3;
			t->owner = (uintptr_t)arg * 1000 + i;
		}
		if (block[i]) {
			if (!all_bytes(block[i], (int)i, 40))
				bad = 4;
			stele_kmem_cache_free(plain, block[i]);
			block[i] = NULL;
		} else {
			block[i] = stele_kmem_cache_alloc(plain, k & 2 ? K : STELE_GFP_NOWAIT);
			if (block[i])
				memset(block[i], (int)i, 40);
		}
		if (k % 4096 == 0) {
			void *many[100];

			MUST(stele_kmem_cache_alloc_bulk(plain, K, 100, many) == 100);
			stele_kmem_cache_free_bulk(plain, 100, many);
		}
	}
	for (int i = 0; i < 200; i++) {
		free(own[i]);
		if (block[i])
			stele_kmem_cache_free(plain, block[i]);
	}
	return NULL;
}

static void *disturb(void *arg)
{
	for (int i = 0; !stop; i++) {
		struct stele_kmem_cache *c = stele_kmem_cache_create("short", 24 + i % 500u, 0, 0,
								     NULL);
		void *p[50];

		MUST(c && stele_kmem_cache_alloc_bulk(c, K, 50, p) == 50);
		for (int k = 0; k < 50; k++)
			memset(p[k], 0xee, 24);
		stele_kmem_cache_free_bulk(c, 50, p);
		MUST(!stele_kmem_cache_destroy(c));
		if (i % 2 == 0)
			stele_kmem_cache_shrink(things);
		if (i % 32 == 0)
			malloc_trim(0);
		usleep(500);
	}
	return arg;
}

/* The child has one thread, and all caches must work in it. */
static bool in_child(void)
{
	void *p[300];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 300; i++) {
			struct thing *t = p[i] = stele_kmem_cache_alloc(things, K);

			if (!t || t->magic != MAGIC)
				return false;
		}
		for (int i = 0; i < 300; i++)
			stele_kmem_cache_free(things, p[i]);
		stele_kmem_cache_shrink(things);
	}
	return stele_kmem_cache_create("in child", 100, 0, 0, NULL) != NULL;
}

static int fork_once(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		alarm(150);
		_exit(in_child() ? 0 : 1);
	}
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

int main(void)
{
	struct stele_kmem_cache_args args = { .size = sizeof(struct thing), .ctor = ctor,
					      .dtor = dtor };
	pthread_t t[THREADS], d;
	int forks = 0, failed = 0;

	plain = stele_kmem_cache_create("plain", 40, 0, 0, NULL);
	things = stele_kmem_cache_create_args("things", &args);
	MUST(plain && things);
	for (size_t i = 0; i < THREADS; i++)
		MUST(!pthread_create(&t[i], NULL, churn, (void *)(i + 1)));
	MUST(!pthread_create(&d, NULL, disturb, NULL));
	for (int i = 0; i < SECONDS * 20; i++) {
		failed += fork_once() != 0;
		forks++;
		usleep(20000);
	}
	stop = 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	pthread_join(d, NULL);
	OK(!bad, "objects stay apart and constructed: %d", bad);
	OK(!failed, "in %d children of %d too", forks - failed, forks);
	for (size_t i = 0; i < ARRAY_LEN(exchange); i++)
		free(exchange[i]);
	OK(!stele_kmem_cache_destroy(plain), "nothing is lost");
	OK(!stele_kmem_cache_destroy(things) && made == unmade,
	   "and all that was constructed is destructed: %ld", made);
	return tap_end();
}
