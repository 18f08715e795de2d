/* SPDX-License-Identifier: MIT */
/* An ordered set of what has an address as its key, linked through a member of each. */
#ifndef STELE_BASE_TREAP_H
#define STELE_BASE_TREAP_H

#include "base/compiler.h"

struct treap_node {
	struct treap_node *left, *right;
	uintptr_t key;			/* unique in its tree */
};

struct treap {
	struct treap_node *root;	/* NULL: empty */
};

void treap_insert(struct treap *t, struct treap_node *n);
/* @n must be in the tree. */
void treap_erase(struct treap *t, struct treap_node *n);
/* The node with the largest key <= @key, or the smallest >= @key; NULL: none. */
struct treap_node *treap_at_or_below(const struct treap *t, uintptr_t key);
struct treap_node *treap_at_or_above(const struct treap *t, uintptr_t key);

#endif
