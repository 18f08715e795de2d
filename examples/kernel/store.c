/* SPDX-License-Identifier: MIT */
/*
 * The tree, by the usual rules: the root is black, a red node has black children,
 * every way down passes equally many black nodes.
 */
#include "store.h"

#include <errno.h>

int store_init(struct store *s)
{
	*s = (struct store){ 0 };
	s->nodes = KMEM_CACHE(store_node, SLAB_HWCACHE_ALIGN);
	return s->nodes ? 0 : -ENOMEM;
}

void store_exit(struct store *s)
{
	while (s->root)
		store_erase(s, s->root->key);
	kmem_cache_destroy(s->nodes);
}

static bool is_red(const struct store_node *n)
{
	return n && n->red;
}

/* Which child of its parent is @n? */
static int side_of(const struct store_node *n)
{
	return n->parent->child[1] == n;
}

/* Put @to in the place that @n has below its parent. */
static void replace(struct store *s, struct store_node *n, struct store_node *to)
{
	if (!n->parent)
		s->root = to;
	else
		n->parent->child[side_of(n)] = to;
	if (to)
		to->parent = n->parent;
}

/* @n goes down to @side, its child of the other side comes up. */
static void rotate(struct store *s, struct store_node *n, int side)
{
	struct store_node *up = n->child[!side];

	replace(s, n, up);
	n->child[!side] = up->child[side];
	if (up->child[side])
		up->child[side]->parent = n;
	up->child[side] = n;
	n->parent = up;
}

static void mend_insert(struct store *s, struct store_node *n)
{
	while (is_red(n->parent)) {
		struct store_node *parent = n->parent, *top = parent->parent;
		int side = side_of(parent);

		if (is_red(top->child[!side])) {
			parent->red = top->child[!side]->red = false;
			top->red = true;
			n = top;
			continue;
		}
		if (side_of(n) != side) {
			rotate(s, parent, side);
			parent = n;
		}
		parent->red = false;
		top->red = true;
		rotate(s, top, !side);
		break;
	}
	s->root->red = false;
}

int store_insert(struct store *s, unsigned long key, unsigned long value, gfp_t gfp)
{
	struct store_node *parent = NULL, *n = s->root;
	int side = 0;

	while (n) {
		if (n->key == key)
			return -EEXIST;
		parent = n;
		side = key > n->key;
		n = n->child[side];
	}
	n = kmem_cache_zalloc(s->nodes, gfp);
	if (!n)
		return -ENOMEM;
	n->key = key;
	n->value = value;
	n->red = true;
	n->parent = parent;
	if (parent)
		parent->child[side] = n;
	else
		s->root = n;
	mend_insert(s, n);
	s->count++;
	return 0;
}

struct store_node *store_find(const struct store *s, unsigned long key)
{
	struct store_node *n = s->root;

	while (n && n->key != key)
		n = n->child[key > n->key];
	return n;
}

struct store_node *store_from(const struct store *s, unsigned long key)
{
	struct store_node *n = s->root, *best = NULL;

	while (n) {
		if (n->key >= key)
			best = n;
		n = n->child[n->key < key];
	}
	return best;
}

struct store_node *store_next(const struct store_node *n)
{
	struct store_node *next = n->child[1];

	if (next) {
		while (next->child[0])
			next = next->child[0];
		return next;
	}
	while (n->parent && side_of(n))
		n = n->parent;
	return n->parent;
}

/* Below @parent on @side one black node is missing. */
static void mend_erase(struct store *s, struct store_node *parent, int side)
{
	struct store_node *n = parent ? parent->child[side] : s->root;

	while (parent && !is_red(n)) {
		struct store_node *other = parent->child[!side];

		if (other->red) {
			other->red = false;
			parent->red = true;
			rotate(s, parent, side);
			other = parent->child[!side];
		}
		if (!is_red(other->child[0]) && !is_red(other->child[1])) {
			other->red = true;
			n = parent;
			parent = n->parent;
			if (parent)
				side = side_of(n);
			continue;
		}
		if (!is_red(other->child[!side])) {
			other->child[side]->red = false;
			other->red = true;
			rotate(s, other, !side);
			other = parent->child[!side];
		}
		other->red = parent->red;
		parent->red = false;
		other->child[!side]->red = false;
		rotate(s, parent, side);
		return;
	}
	if (n)
		n->red = false;
}

bool store_erase(struct store *s, unsigned long key)
{
	struct store_node *n = store_find(s, key), *out = n, *child, *parent;
	int side = 0;

	if (!n)
		return false;
	/* With two children its successor leaves the tree, and its contents stay. */
	if (n->child[0] && n->child[1]) {
		out = store_next(n);
		n->key = out->key;
		n->value = out->value;
	}
	child = out->child[out->child[0] ? 0 : 1];
	parent = out->parent;
	if (parent)
		side = side_of(out);
	replace(s, out, child);
	if (!out->red)
		mend_erase(s, parent, side);
	kmem_cache_free(s->nodes, out);
	s->count--;
	return true;
}

/* Black nodes down to the leaves, or -1. */
static int black_height(const struct store_node *n, unsigned long min, unsigned long max)
{
	int a, b;

	if (!n)
		return 0;
	if (n->key < min || n->key > max || (n->red && (is_red(n->child[0]) || is_red(n->child[1]))))
		return -1;
	for (int side = 0; side < 2; side++) {
		if (n->child[side] && n->child[side]->parent != n)
			return -1;
	}
	a = n->child[0] ? n->key ? black_height(n->child[0], min, n->key - 1) : -1 : 0;
	b = n->child[1] ? ~n->key ? black_height(n->child[1], n->key + 1, max) : -1 : 0;
	return a < 0 || a != b ? -1 : a + !n->red;
}

bool store_valid(const struct store *s)
{
	return !is_red(s->root) && black_height(s->root, 0, ~0ul) >= 0;
}
