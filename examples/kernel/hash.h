/* SPDX-License-Identifier: MIT */
/* A hash table from strings to pointers, that grows. */
#ifndef HASH_H
#define HASH_H

#include <stele/kernel.h>

struct hash_entry {
	struct hash_entry *next;
	unsigned int hash;
	void *value;
	char *key;
};

struct hash {
	struct hash_entry **bucket;
	unsigned int bits, count;
	struct kmem_cache *entries;
};

/* 0, or -ENOMEM. */
int hash_init(struct hash *h, gfp_t gfp);
void hash_exit(struct hash *h);
/* Sets the value, of a new key too. 0, or -ENOMEM. */
int hash_set(struct hash *h, const char *key, void *value, gfp_t gfp);
void *hash_get(const struct hash *h, const char *key);
bool hash_del(struct hash *h, const char *key);

#endif
