/* SPDX-License-Identifier: MIT */
/* A store of values by key, in the order of the keys: a red-black tree of objects. */
#ifndef STORE_H
#define STORE_H

#include <stele/kernel.h>

struct store_node {
	struct store_node *parent, *child[2];
	bool red;
	unsigned long key, value;
};

struct store {
	struct store_node *root;
	struct kmem_cache *nodes;
	unsigned long count;
};

/* 0, or -ENOMEM. */
int store_init(struct store *s);
void store_exit(struct store *s);
/* 0, -EEXIST, or -ENOMEM. */
int store_insert(struct store *s, unsigned long key, unsigned long value, gfp_t gfp);
/* NULL: no such key. The first with at least this key; the next of one. */
struct store_node *store_find(const struct store *s, unsigned long key);
struct store_node *store_from(const struct store *s, unsigned long key);
struct store_node *store_next(const struct store_node *n);
bool store_erase(struct store *s, unsigned long key);
/* Are order, colours and links as they must be? */
bool store_valid(const struct store *s);

#endif
