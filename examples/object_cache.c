/* SPDX-License-Identifier: MIT */
/*
 * An object cache with a constructor.
 *
 * A connection has a lock, a condition and a buffer that cost more to set up than
 * to use. In a cache with a constructor they are set up once: whoever frees a
 * connection leaves it as the constructor did, and the next one finds it so. The
 * destructor runs when the memory goes to other uses.
 *
 *	cc object_cache.c $(pkg-config --cflags --libs stele) -lpthread
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stele.h>

#define BUFFER 4096
#define ROUNDS 200
#define AT_ONCE 50

struct connection {
	pthread_mutex_t lock;
	pthread_cond_t readable;
	char *buffer;
	size_t used;		/* 0 while nobody has it */
};

static unsigned long constructed, destructed;

/* May fail, so it is an init: a negative errno makes the allocation fail with it. */
static int connection_init(void *obj, void *data, stele_gfp_t gfp)
{
	struct connection *c = obj;

	(void)data;
	c->buffer = stele_kmalloc(BUFFER, gfp);
	if (!c->buffer)
		return -12;	/* ENOMEM */
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->readable, NULL);
	c->used = 0;
	constructed++;
	return 0;
}

static void connection_fini(void *obj, void *data)
{
	struct connection *c = obj;

	(void)data;
	pthread_cond_destroy(&c->readable);
	pthread_mutex_destroy(&c->lock);
	stele_kfree(c->buffer);
	destructed++;
}

static void serve(struct connection *c, int number)
{
	pthread_mutex_lock(&c->lock);
	c->used = (size_t)snprintf(c->buffer, BUFFER, "request %d", number);
	pthread_mutex_unlock(&c->lock);
}

int main(void)
{
	struct stele_kmem_cache_args args = {
		.size = sizeof(struct connection),
		.flags = STELE_SLAB_HWCACHE_ALIGN,	/* no two share a cache line */
		.init = connection_init,
		.dtor = connection_fini,
	};
	struct stele_kmem_cache *cache = stele_kmem_cache_create_args("connection", &args);
	struct stele_kmem_cache_info info;
	struct connection *c[AT_ONCE];

	if (!cache)
		return EXIT_FAILURE;
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < AT_ONCE; i++) {
			c[i] = stele_kmem_cache_alloc(cache, STELE_GFP_KERNEL);
			if (!c[i] || c[i]->used) {
				fprintf(stderr, "a connection is not as it should be\n");
				return EXIT_FAILURE;
			}
			serve(c[i], round * AT_ONCE + i);
		}
		for (int i = 0; i < AT_ONCE; i++) {
			c[i]->used = 0;		/* as the constructor left it */
			stele_kmem_cache_free(cache, c[i]);
		}
	}

	stele_kmem_cache_get_info(cache, &info);
	printf("%d connections served by %lu that were set up; %zu bytes each, %zu slabs\n",
	       ROUNDS * AT_ONCE, constructed, info.size, info.nr_slabs);
	if (constructed > ROUNDS * AT_ONCE / 10)
		return EXIT_FAILURE;

	/* Everything that was constructed is destructed here, if not before. */
	if (stele_kmem_cache_destroy(cache))
		return EXIT_FAILURE;
	printf("%lu were taken down\n", destructed);
	return constructed == destructed ? EXIT_SUCCESS : EXIT_FAILURE;
}
