/* SPDX-License-Identifier: MIT */
/*
 * Trying the error paths: every request of a function is made to fail in turn, and
 * each time the function must report it and leave nothing behind. What was not
 * freed the cache says when it is destroyed, and mallinfo2() for blocks.
 *
 * Without touching a program at all, the same by chance:
 *
 *	STELE_CONF=failslab=1:1:0:-1:malloc LD_PRELOAD=libstele.so program
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stele.h>

struct person {
	char *name;
	char *address;
	int *scores;
	size_t nr_scores;
};

static struct stele_kmem_cache *people;

static void person_free(struct person *p)
{
	if (!p)
		return;
	stele_kfree(p->scores);
	stele_kfree(p->address);
	stele_kfree(p->name);
	stele_kmem_cache_free(people, p);
}

/* The function under test: four requests, each of which may fail. */
static struct person *person_create(const char *name, const char *address, size_t nr_scores)
{
	const stele_gfp_t gfp = STELE_GFP_KERNEL | STELE_GFP_NOWARN;
	struct person *p = stele_kmem_cache_zalloc(people, gfp);

	if (!p)
		return NULL;
	p->name = stele_kstrdup(name, gfp);
	p->address = stele_kstrdup(address, gfp);
	p->scores = stele_kcalloc(nr_scores, sizeof(*p->scores), gfp);
	p->nr_scores = nr_scores;
	if (p->name && p->address && p->scores)
		return p;
	person_free(p);
	return NULL;
}

int main(void)
{
	size_t before, after;
	unsigned n;

	people = stele_kmem_cache_create("people", sizeof(struct person), 0,
					 STELE_SLAB_STORE_USER, NULL);
	if (!people)
		return EXIT_FAILURE;
	/* stdio has its buffer, and the caches their first slab, before we look. */
	printf("each request of person_create() in turn:\n");
	person_free(person_create("nobody", "nowhere", 1));
	before = mallinfo2().uordblks;

	for (n = 1;; n++) {
		struct person *p;
		unsigned left;

		stele_fail_nth(n);
		p = person_create("Ada", "12 St James's Square", 100);
		left = stele_fail_nth(0);
		if (left) {
			/* fewer than n requests: all have had their turn */
			person_free(p);
			break;
		}
		printf("request %u fails: %s\n", n, p ? "and nobody noticed" : "reported");
		if (p)
			return EXIT_FAILURE;
	}
	after = mallinfo2().uordblks;
	printf("%u requests, %zd bytes left behind\n", n - 1, (ssize_t)(after - before));
	if (n != 5 || after != before)
		return EXIT_FAILURE;
	return stele_kmem_cache_destroy(people) ? EXIT_FAILURE : EXIT_SUCCESS;
}
