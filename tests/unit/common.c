/* SPDX-License-Identifier: MIT */
#include "common.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "page/aside.h"
#include "page/zone.h"
#include "slab/percpu.h"
#include "slab/slab.h"
#include "tune/tune.h"

#define TIMEOUT	900	/* seconds for one test, under a sanitizer and on a busy machine too */

void *unit_index_memory(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int unit_run(const char *name, const TTest *const *tests, size_t n)
{
	Suite *suite = suite_create(name);
	TCase *tc = tcase_create(name);
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, TIMEOUT);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

void unit_start(void)
{
	tune_set(TUNE_ID_percpu, PERCPU_LOCKED, TUNE_DEFAULT);
	slab_init();
	percpu_init();
	/* Tests look at caches before they use them. */
	for (unsigned class = 1; class <= NR_SIZE_CLASSES; class++)
		must(kmalloc_cache_open(&kmem_caches[class], true));
}

void unit_boot(void)
{
	fake_boot();
	unit_start();
}

struct tally {
	size_t present, free, touched;
};

static void tally_section(struct section *s, struct tally *t)
{
	size_t page = 0, end;

	t->present += bits_count(s->present, 0, SECTION_PAGES);
	while ((page = bits_next(s->present, page, SECTION_PAGES, true)) < SECTION_PAGES) {
		pfn_t start;
		unsigned order;

		if (!buddy_find(s->base + page, &start, &order)) {
			page++;
			continue;
		}
		must_eq(start, s->base + page);
		end = page + (1ul << order);
		/* Free pages are ours, and of no class. */
		must_eq(bits_count(s->present, page, end), end - page);
		must(all_zero(s->classmap + page, end - page));
		t->free += end - page;
		t->touched += bits_count(s->touched, page, end);
		page = end;
	}
}

void zones_hold(void)
{
	size_t present = 0, found = 0;

	for (unsigned i = 0; i < NR_ZONES; i++) {
		const struct zone *z = &zones[i];
		struct tally t = { 0 };
		size_t pages = 0;

		for (size_t k = 0; k < z->nr_sections; k++) {
			must_eq((*zone_section(z, k))->index, k);
			must(section_of((*zone_section(z, k))->base) == (*zone_section(z, k)));
			tally_section((*zone_section(z, k)), &t);
		}
		for (unsigned o = 0; o < NR_ORDERS; o++)
			pages += z->nr_blocks[o] << o;
		must_eq(pages, z->free);
		must_eq(t.free, z->free);
		must_eq(t.touched, z->free_touched);
		present += z->present;
		found += t.present;
	}
	/* A section of one zone may have pages that came by the other. */
	must_eq(found, present);
}

size_t zones_used(void)
{
	size_t n = 0;

	lock_acquire(&zone_lock);
	aside_flush();
	for (unsigned i = 0; i < NR_ZONES; i++)
		n += zones[i].present - zones[i].free - zones[i].meta;
	lock_release(&zone_lock);
	return n;
}

uint64_t rng_next(struct rng *r)
{
	if (!r->state)
		r->state = 0x9e3779b97f4a7c15ull;
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545f4914f6cdd1dull;
}

size_t rng_below(struct rng *r, size_t n)
{
	return (size_t)((rng_next(r) >> 11) % n);
}

size_t rng_size(struct rng *r, size_t max)
{
	size_t top = 1ul << rng_below(r, bit_last(max) + 1);

	return MIN(top + rng_below(r, top), max);
}

static uint64_t pattern_word(uint64_t seed, size_t i)
{
	uint64_t x = (seed + i) * 0x9e3779b97f4a7c15ull;

	return x ^ x >> 29;
}

void pattern_fill(void *p, size_t n, uint64_t seed)
{
	char *c = p;
	size_t i;

	for (i = 0; i + 8 <= n; i += 8) {
		uint64_t w = pattern_word(seed, i);

		memcpy(c + i, &w, 8);
	}
	if (i < n) {
		uint64_t w = pattern_word(seed, i);

		memcpy(c + i, &w, n - i);
	}
}

bool pattern_holds(const void *p, size_t n, uint64_t seed)
{
	const char *c = p;
	size_t i;

	for (i = 0; i < n; i += 8) {
		uint64_t w = pattern_word(seed, i);

		if (memcmp(c + i, &w, MIN(n - i, (size_t)8)))
			return false;
	}
	return true;
}

bool all_zero(const void *p, size_t n)
{
	const char *c = p;

	for (size_t i = 0; i < n; i++) {
		if (c[i])
			return false;
	}
	return true;
}
