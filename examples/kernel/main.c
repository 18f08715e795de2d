/* SPDX-License-Identifier: MIT */
/*
 * Code as it is written for the kernel, in a process: store.c, hash.c and ids.c
 * include <stele/kernel.h> where they would include <linux/slab.h>, and are
 * otherwise the same. Here they are put through their paces, and then made to run
 * out of memory at every point.
 */
#include <stdio.h>
#include <stdlib.h>

#include "hash.h"
#include "ids.h"
#include "store.h"

#define N 20000u

#define CHECK(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			exit(EXIT_FAILURE); \
		} \
	} while (0)

static unsigned long scramble(unsigned long i)
{
	return i * 0x9e3779b97f4a7c15ul >> 20;
}

static void try_store(void)
{
	unsigned long last = 0, seen = 0;
	struct store s;

	CHECK(!store_init(&s));
	for (unsigned long i = 1; i <= N; i++)
		CHECK(!store_insert(&s, scramble(i), i, GFP_KERNEL));
	CHECK(store_insert(&s, scramble(7), 0, GFP_KERNEL) && store_valid(&s) && s.count == N);
	for (struct store_node *n = store_from(&s, 0); n; n = store_next(n), seen++) {
		CHECK(n->key > last && scramble(n->value) == n->key);
		last = n->key;
	}
	CHECK(seen == N);
	for (unsigned long i = 1; i <= N; i += 2) {
		CHECK(store_erase(&s, scramble(i)) && !store_find(&s, scramble(i)));
		CHECK(i % 1001 || store_valid(&s));
	}
	CHECK(store_valid(&s) && s.count == N / 2 && store_find(&s, scramble(2))->value == 2);
	store_exit(&s);
	printf("store: %u keys in order\n", N);
}

static void try_hash(void)
{
	struct hash h;
	char key[32];

	CHECK(!hash_init(&h, GFP_KERNEL));
	for (unsigned long i = 1; i <= N; i++) {
		snprintf(key, sizeof(key), "key %lu", scramble(i));
		CHECK(!hash_set(&h, key, (void *)i, GFP_KERNEL));
	}
	CHECK(h.count == N && h.bits > 10);
	for (unsigned long i = 1; i <= N; i++) {
		snprintf(key, sizeof(key), "key %lu", scramble(i));
		CHECK(hash_get(&h, key) == (void *)i);
		CHECK(i % 3 || (hash_del(&h, key) && !hash_get(&h, key) && !hash_del(&h, key)));
	}
	hash_exit(&h);
	printf("hash: %u strings\n", N);
}

static void try_ids(void)
{
	struct ids ids;

	CHECK(!ids_init(&ids, N, GFP_KERNEL));
	for (unsigned int i = 0; i < N; i++)
		CHECK(ids_get(&ids) == (int)i);
	CHECK(ids_get(&ids) == -1);
	ids_put(&ids, 4711);
	ids_put(&ids, 64);
	CHECK(ids_get(&ids) == 64 && ids_get(&ids) == 4711 && ids_get(&ids) == -1);
	ids_exit(&ids);
	printf("ids: %u numbers, the lowest first\n", N);
}

/* Everything at once, with at most so many requests served; does it say so? */
static bool all_three(void)
{
	bool good = false;
	struct store s;
	struct hash h;
	struct ids ids;

	if (store_init(&s))
		return false;
	if (hash_init(&h, GFP_KERNEL | __GFP_NOWARN))
		goto no_hash;
	if (ids_init(&ids, 5000, GFP_KERNEL | __GFP_NOWARN))
		goto no_ids;
	good = !store_insert(&s, 1, 1, GFP_KERNEL | __GFP_NOWARN) &&
	       !store_insert(&s, 2, 2, GFP_KERNEL | __GFP_NOWARN) &&
	       !hash_set(&h, "one", &s, GFP_KERNEL | __GFP_NOWARN) && ids_get(&ids) == 0;
	ids_exit(&ids);
no_ids:
	hash_exit(&h);
no_hash:
	store_exit(&s);
	return good;
}

int main(void)
{
	unsigned int n;

	try_store();
	try_hash();
	try_ids();
	for (n = 1;; n++) {
		bool good;

		stele_fail_nth(n);
		good = all_three();
		if (stele_fail_nth(0)) {
			CHECK(good);
			break;
		}
		CHECK(!good);
	}
	printf("out of memory at each of %u requests: reported, and nothing lost\n", n - 1);
	return EXIT_SUCCESS;
}
