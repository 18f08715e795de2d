/* SPDX-License-Identifier: MIT */
#include "hash.h"

#include <errno.h>
#include <string.h>

#define FIRST_BITS	4

static unsigned int hash_of(const char *s)
{
	unsigned int h = 2166136261u;

	while (*s)
		h = (h ^ (unsigned char)*s++) * 16777619u;
	return h;
}

static struct hash_entry **find(const struct hash *h, const char *key, unsigned int hash)
{
	struct hash_entry **link = &h->bucket[hash & ((1u << h->bits) - 1)];

	while (*link && ((*link)->hash != hash || strcmp((*link)->key, key)))
		link = &(*link)->next;
	return link;
}

int hash_init(struct hash *h, gfp_t gfp)
{
	*h = (struct hash){ .bits = FIRST_BITS };
	h->entries = KMEM_CACHE(hash_entry, 0);
	if (!h->entries)
		return -ENOMEM;
	h->bucket = kvcalloc(1u << h->bits, sizeof(*h->bucket), gfp);
	if (h->bucket)
		return 0;
	kmem_cache_destroy(h->entries);
	return -ENOMEM;
}

static void entry_free(struct hash *h, struct hash_entry *e)
{
	kfree(e->key);
	kmem_cache_free(h->entries, e);
	h->count--;
}

void hash_exit(struct hash *h)
{
	for (unsigned int i = 0; i < 1u << h->bits; i++) {
		while (h->bucket[i]) {
			struct hash_entry *e = h->bucket[i];

			h->bucket[i] = e->next;
			entry_free(h, e);
		}
	}
	kvfree(h->bucket);
	kmem_cache_destroy(h->entries);
}

/* Twice the buckets. A table that cannot grow is a slow one, that is all. */
static void grow(struct hash *h, gfp_t gfp)
{
	struct hash_entry **old = h->bucket, **bucket;
	unsigned int n = 1u << h->bits;

	bucket = kvcalloc(2 * n, sizeof(*bucket), gfp | __GFP_NORETRY | __GFP_NOWARN);
	if (!bucket)
		return;
	h->bucket = bucket;
	h->bits++;
	for (unsigned int i = 0; i < n; i++) {
		struct hash_entry *e = old[i], *next;

		for (; e; e = next) {
			struct hash_entry **to = &bucket[e->hash & (2 * n - 1)];

			next = e->next;
			e->next = *to;
			*to = e;
		}
	}
	kvfree(old);
}

int hash_set(struct hash *h, const char *key, void *value, gfp_t gfp)
{
	unsigned int hash = hash_of(key);
	struct hash_entry **link = find(h, key, hash), *e = *link;

	if (e) {
		e->value = value;
		return 0;
	}
	e = kmem_cache_alloc(h->entries, gfp);
	if (!e)
		return -ENOMEM;
	*e = (struct hash_entry){ .hash = hash, .value = value, .key = kstrdup(key, gfp) };
	if (!e->key) {
		kmem_cache_free(h->entries, e);
		return -ENOMEM;
	}
	*link = e;
	if (++h->count > 2u << h->bits)
		grow(h, gfp);
	return 0;
}

void *hash_get(const struct hash *h, const char *key)
{
	struct hash_entry *e = *find(h, key, hash_of(key));

	return e ? e->value : NULL;
}

bool hash_del(struct hash *h, const char *key)
{
	struct hash_entry **link = find(h, key, hash_of(key)), *e = *link;

	if (!e)
		return false;
	*link = e->next;
	entry_free(h, e);
	return true;
}
