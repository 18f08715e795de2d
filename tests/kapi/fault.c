/* SPDX-License-Identifier: MIT */
/* Injected faults: which requests fail, how many, and that all is fast and well after. */
#include <malloc.h>
#include <pthread.h>

#include <stele.h>

#include "tap.h"

#define K (STELE_GFP_KERNEL | STELE_GFP_NOWARN)

static unsigned long failures(int n, size_t size)
{
	unsigned long failed = 0;

	for (int i = 0; i < n; i++) {
		void *p = stele_kmalloc(size, K);

		failed += !p;
		stele_kfree(p);
	}
	return failed;
}

static void attributes(void)
{
	struct stele_fault_attr attr = { 1, 100, 0, -1 };
	unsigned long n;

	OK(!failures(1000, 64), "nothing fails unasked");
	MUST(!stele_fault_set(STELE_FAILSLAB, &attr));
	OK(failures(1000, 64) == 1000 && errno == ENOMEM, "probability 100");
	OK(malloc(100) && !stele_fault_count(STELE_FAIL_PAGE_ALLOC), "but not malloc()");
	{
		void *p = stele_kmalloc(64, STELE_GFP_KERNEL | STELE_GFP_NOFAIL);

		OK(p, "nor NOFAIL");
		stele_kfree(p);
	}
	attr.probability = 30;
	MUST(!stele_fault_set(STELE_FAILSLAB, &attr));
	n = failures(10000, 64);
	OK(n > 2700 && n < 3300, "probability 30: %lu of 10000", n);
	attr = (struct stele_fault_attr){ 10, 100, 0, -1 };
	MUST(!stele_fault_set(STELE_FAILSLAB, &attr));
	OK(failures(1000, 64) == 100, "interval 10");
	attr = (struct stele_fault_attr){ 1, 100, 0, 7 };
	MUST(!stele_fault_set(STELE_FAILSLAB, &attr));
	OK(failures(1000, 64) == 7, "times 7");
	attr = (struct stele_fault_attr){ 1, 100, 6400, 1 };
	MUST(!stele_fault_set(STELE_FAILSLAB, &attr));
	OK(!failures(100, 64) && failures(1, 64) == 1, "space 6400");
	OK(!stele_fault_set(STELE_FAILSLAB, NULL) && !failures(1000, 64), "off");
	attr.probability = 101;
	OK(stele_fault_set(STELE_FAILSLAB, &attr) == -EINVAL &&
	   stele_fault_set((enum stele_fault)7, NULL) == -EINVAL, "what makes no sense is refused");
}

static void of_malloc(void)
{
	struct stele_fault_attr attr = { 1, 100, 0, 5 };

	stele_fault_malloc(1);
	MUST(!stele_fault_set(STELE_FAILSLAB, &attr));
	errno = 0;
	OK(!malloc(hide_size(10)) && errno == ENOMEM && !calloc(1, hide_size(10)) &&
	   !aligned_alloc(64, hide_size(64)) && !realloc(NULL, hide_size(10)) &&
	   !malloc(hide_size(MIB)), "malloc() and its relatives, when asked for");
	OK(malloc(10), "five of them");
	stele_fault_malloc(0);
	stele_fault_set(STELE_FAILSLAB, NULL);
}

static void *other_thread(void *arg)
{
	*(unsigned long *)arg = failures(100, 64);
	return NULL;
}

static void nth(void)
{
	unsigned long there = 1;
	pthread_t t;
	int first = 0;

	OK(!stele_fail_nth(3), "none was ordered");
	MUST(!pthread_create(&t, NULL, other_thread, &there));
	pthread_join(t, NULL);
	OK(!there, "an order is of its thread alone");
	for (int i = 1; i < 10 && !first; i++) {
		void *p = stele_kmalloc(64, K);

		first = p ? 0 : i;
		stele_kfree(p);
	}
	OK(first == 3 && !failures(100, 64), "the third fails, once");
	stele_fail_nth(10);
	OK(!failures(4, 64) && stele_fail_nth(0) == 6, "what is left of an order");
	/* the idiom: every request of a piece of code in turn */
	for (unsigned n = 1; ; n++) {
		struct stele_kmem_cache *c = stele_kmem_cache_create("nth", 64, 0, 0, NULL);
		void *p, *q, *r;

		stele_fail_nth(n);
		p = stele_kmalloc(100, K);
		q = p ? stele_kmem_cache_alloc(c, K) : NULL;
		r = q ? stele_kzalloc(100000, K) : NULL;
		stele_kfree(p);
		stele_kmem_cache_free(c, q);
		stele_kfree(r);
		MUST(!stele_kmem_cache_destroy(c));
		if (stele_fail_nth(0)) {
			OK(n == 4 && r, "three requests, three failures");
			break;
		}
		MUST(!r);
	}
}

/* Everything still works, and nothing is lost, when the allocator gets no pages. */
static void pages(void)
{
	struct stele_fault_attr attr = { 1, 40, 0, -1 };
	static void *p[2000];
	size_t n, got = 0;
	bool good = true;

	MUST(!stele_fault_set(STELE_FAIL_PAGE_ALLOC, &attr));
	for (int round = 0; round < 5; round++) {
		for (n = 0; n < ARRAY_LEN(p); n++) {
			p[n] = stele_kmalloc(n % 5000 + 1, K);
			if (p[n]) {
				memset(p[n], (int)n, n % 5000 + 1);
				got++;
			}
		}
		for (n = 0; n < ARRAY_LEN(p); n++) {
			good &= !p[n] || all_bytes(p[n], (int)n, n % 5000 + 1);
			stele_kfree(p[n]);
		}
		malloc_trim(0);
	}
	OK(stele_fault_count(STELE_FAIL_PAGE_ALLOC) > 10 && got > 2000 && good,
	   "requests for pages fail: %lu", stele_fault_count(STELE_FAIL_PAGE_ALLOC));
	stele_fault_set(STELE_FAIL_PAGE_ALLOC, NULL);
}

/* With STELE_CONF in the environment, in a program of its own. */
static int by_conf(void)
{
	unsigned long n = failures(100, 64);
	void *p = malloc(10);

	printf("%lu %d\n", n, p != NULL);
	return 0;
}

static void conf(const char *self, const char *value, const char *expected, const char *name)
{
	char cmd[500], out[200] = "";
	size_t n;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "STELE_CONF=%s %s conf 2>&1", value, self);
	f = popen(cmd, "r");
	MUST(f);
	n = fread(out, 1, sizeof(out) - 1, f);
	out[n] = '\0';
	pclose(f);
	if (!OK(!strcmp(out, expected), "%s", name))
		fprintf(stderr, "# %s\n", out);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return by_conf();
	attributes();
	of_malloc();
	nth();
	pages();
	conf(argv[0], "failslab=2:100:0:-1", "50 1\n", "STELE_CONF=failslab=");
	conf(argv[0], "failslab=1:100:0:40", "40 1\n", "with a number of times");
	conf(argv[0], "failslab=1:0:0:0,stats=off", "0 1\n", "off");
	conf(argv[0], "failslab=1:100", "stele: failslab: not of the form "
	     "interval:probability:space:times, ignored\n0 1\n", "a malformed value: one line");
	return tap_end();
}
