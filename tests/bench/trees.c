/* SPDX-License-Identifier: MIT */
/*
 * Binary trees built from the leaves up, counted and freed: many short-lived ones of each
 * depth while one deep tree stays alive.
 */
#include "bench.h"

#define DEPTH_MIN	4
#define DEPTH_MAX	18

struct tree {
	struct tree *left, *right;
};

static struct tree *grow(int depth)
{
	struct tree *t = bench_malloc(sizeof(*t));

	t->left = depth ? grow(depth - 1) : NULL;
	t->right = depth ? grow(depth - 1) : NULL;
	return t;
}

static uint64_t count(const struct tree *t)
{
	return t->left ? 1 + count(t->left) + count(t->right) : 1;
}

static void fell(struct tree *t)
{
	if (t->left) {
		fell(t->left);
		fell(t->right);
	}
	free(t);
}

int main(int argc, char **argv)
{
	uint64_t i, n, nodes = 0;
	struct tree *old, *t;
	int depth;

	while (bench_getopt(argc, argv, "") != -1)
		;

	bench_begin();
	old = grow(DEPTH_MAX);
	for (depth = DEPTH_MIN; depth <= DEPTH_MAX; depth += 2) {
		n = bench_count((double)(6u << (DEPTH_MAX - depth)));
		for (i = 0; i < n; i++) {
			t = grow(depth);
			nodes += count(t);
			fell(t);
		}
	}
	nodes += count(old);
	fell(old);
	bench_end(2 * nodes);
	return 0;
}
