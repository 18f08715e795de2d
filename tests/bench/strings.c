/* SPDX-License-Identifier: MIT */
/*
 * Words in a chained hash table. A node and its word are 16..64 bytes each; words come in by
 * strdup, are looked up, joined into short-lived sentences and thrown out again.
 */
#include "bench.h"

#define BUCKETS		(1u << 12)
#define WORDS		4000u

struct node {
	struct node *next;
	char *word;
	uint64_t seen;
};

static struct node **table;

static uint32_t hash(const char *s)
{
	uint32_t h = 2166136261u;

	while (*s)
		h = (h ^ (unsigned char)*s++) * 16777619u;
	return h ^ h >> 15;
}

/* Word number n: always the same letters, 6 to 40 of them, written eight at a time. */
static void spell(char *out, uint64_t n)
{
	uint64_t s = bench_seed(n), letters;
	size_t i, len = bench_range(&s, 6, 40);

	for (i = 0; i < len; i += sizeof(letters)) {
		letters = (bench_rand(&s) & 0x0f0f0f0f0f0f0f0fULL) + 0x6161616161616161ULL;
		memcpy(out + i, &letters, sizeof(letters));
	}
	out[len] = 0;
}

static struct node **find(const char *word)
{
	struct node **at = &table[hash(word) & (BUCKETS - 1)];

	while (*at && strcmp((*at)->word, word))
		at = &(*at)->next;
	return at;
}

static void insert(struct node **at, const char *word)
{
	struct node *node = bench_malloc(sizeof(*node));

	node->word = strdup(word);
	if (!node->word)
		bench_die("out of memory");
	node->seen = 1;
	node->next = NULL;
	*at = node;
}

static void discard(struct node **at)
{
	struct node *node = *at;

	*at = node->next;
	free(node->word);
	free(node);
}

static size_t sentence(const char *word)
{
	size_t len = strlen(word);
	char *copy = strdup(word), *twice = bench_malloc(2 * len + 2);

	memcpy(twice, copy, len);
	twice[len] = ' ';
	memcpy(twice + len + 1, copy, len + 1);
	len = strlen(twice);
	free(copy);
	free(twice);
	return len;
}

int main(int argc, char **argv)
{
	uint64_t rng = bench_seed(6), i, n, sum = 0;
	char word[64];

	while (bench_getopt(argc, argv, "") != -1)
		;
	table = bench_table(BUCKETS, sizeof(*table));
	n = bench_count(10e6);

	bench_begin();
	for (i = 0; i < n; i++) {
		struct node **at;

		spell(word, bench_range(&rng, 0, WORDS - 1));
		at = find(word);
		if (!*at)
			insert(at, word);
		else if (++(*at)->seen > 4)
			discard(at);
		sum += sentence(word);
	}
	for (i = 0; i < BUCKETS; i++)
		while (table[i])
			discard(&table[i]);
	bench_end(n);
	return sum ? 0 : 1;
}
