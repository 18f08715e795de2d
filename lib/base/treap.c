/* SPDX-License-Identifier: MIT */
/*
 * A treap: a search tree by key that is at the same time a heap by priority.
 *
 * The priority of a node is a hash of its key, so the shape of the tree is that
 * of a random one (depth about 2 ln n) whatever the order of insertions, it needs
 * no field, and no rotation is to be got right: a node goes in where the heap
 * wants it, and what is below it is split by its key; it goes out by merging its
 * two subtrees.
 */
#include "base/treap.h"

static uint64_t priority(const struct treap_node *n)
{
	uint64_t x = n->key * 0x9e3779b97f4a7c15ull;

	return (x ^ x >> 29) * 0xbf58476d1ce4e5b9ull;
}

/* Nodes of @n with keys below @key go to *@low, the others to *@high. */
static void split(struct treap_node *n, uintptr_t key, struct treap_node **low,
		  struct treap_node **high)
{
	while (n) {
		if (n->key < key) {
			*low = n;
			low = &n->right;
			n = n->right;
		} else {
			*high = n;
			high = &n->left;
			n = n->left;
		}
	}
	*low = *high = NULL;
}

void treap_insert(struct treap *t, struct treap_node *n)
{
	struct treap_node **link = &t->root;

	while (*link && priority(*link) >= priority(n))
		link = n->key < (*link)->key ? &(*link)->left : &(*link)->right;
	split(*link, n->key, &n->left, &n->right);
	*link = n;
}

void treap_erase(struct treap *t, struct treap_node *n)
{
	struct treap_node **link = &t->root, *low = n->left, *high = n->right;

	while (*link != n)
		link = n->key < (*link)->key ? &(*link)->left : &(*link)->right;
	while (low && high) {
		if (priority(low) >= priority(high)) {
			*link = low;
			link = &low->right;
			low = low->right;
		} else {
			*link = high;
			link = &high->left;
			high = high->left;
		}
	}
	*link = low ? low : high;
}

struct treap_node *treap_at_or_below(const struct treap *t, uintptr_t key)
{
	struct treap_node *n = t->root, *best = NULL;

	while (n) {
		if (n->key <= key) {
			best = n;
			n = n->right;
		} else {
			n = n->left;
		}
	}
	return best;
}

struct treap_node *treap_at_or_above(const struct treap *t, uintptr_t key)
{
	struct treap_node *n = t->root, *best = NULL;

	while (n) {
		if (n->key >= key) {
			best = n;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return best;
}
