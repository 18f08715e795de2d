/* SPDX-License-Identifier: MIT */
/* stele_vmalloc() and its relatives: guards, faults after free, batches, resizing. */
#include "tap.h"

#include <malloc.h>
#include <pthread.h>

static size_t page;

static void makes(void)
{
	size_t sizes[] = { 1, 100, page - 1, page, page + 1, 100 * KIB, 5 * MIB };
	bool aligned = true, zero = true, guarded = true, usable = true;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		char *p = stele_vzalloc(sizes[i]);
		size_t body = (sizes[i] + page - 1) / page * page;

		if (!p) {
			usable = false;
			continue;
		}
		aligned = aligned && (uintptr_t)p % page == 0;
		zero = zero && all_bytes(p, body, 0);
		memset(p, 1, body);
		usable = usable && stele_is_vmalloc_addr(p + sizes[i] - 1);
		guarded = guarded && touch(p + body, false) == SIGSEGV &&
			  touch(p + body + page - 1, true) == SIGSEGV;
		stele_vfree(p);
	}
	ok(usable, "areas of 1 byte to 5 MiB");
	ok(aligned, "page aligned");
	ok(zero, "vzalloc gives zeros");
	ok(guarded, "the page behind the last one faults");
}

static void faults_after_free(void)
{
	size_t sizes[] = { page, 64 * KIB, 2 * MIB };
	bool good = true;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		char *p = stele_vmalloc(sizes[i]);

		memset(p, 1, sizes[i]);
		stele_vfree(p);
		good = good && touch(p, false) == SIGSEGV && touch(p, true) == SIGSEGV &&
		       touch(p + sizes[i] - 1, true) == SIGSEGV;
	}
	ok(good, "an area faults from the moment it is freed");
}

static void memory_returns(void)
{
	char *small[64], *large = stele_vmalloc(64 * MIB);
	size_t before, with, after;

	for (size_t i = 0; i < ARRAY_LEN(small); i++)
		small[i] = stele_vmalloc(64 * KIB);
	before = status_kib("VmRSS");
	memset(large, 1, 64 * MIB);
	for (size_t i = 0; i < ARRAY_LEN(small); i++)
		memset(small[i], 1, 64 * KIB);
	with = status_kib("VmRSS");
	stele_vfree(large);
	for (size_t i = 0; i < ARRAY_LEN(small); i++)
		stele_vfree(small[i]);
	after = status_kib("VmRSS");
	ok(with >= before + 67 * KIB, "68 MiB come in: %zu KiB, %zu before", with, before);
	ok(after <= before + 600, "and go at once when freed: %zu KiB", after);
}

/* Freed addresses are not given out again until they are unmapped, many together. */
static void batches(void)
{
	uintptr_t seen[200];
	bool again = false;
	size_t size, held;
	char *p;

	stele_vm_unmap_aliases();
	size = status_kib("VmSize");
	for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
		p = stele_vmalloc(16 * KIB);
		seen[i] = (uintptr_t)p;
		for (size_t k = 0; k < i; k++)
			again = again || seen[k] == seen[i];
		stele_vfree(p);
	}
	held = status_kib("VmSize");
	ok(!again, "200 areas one after the other, no address twice");
	ok(held >= size + 200 * 16, "their addresses are held: %zu KiB, %zu before", held, size);
	stele_vm_unmap_aliases();
	ok(status_kib("VmSize") <= size + 16, "stele_vm_unmap_aliases() lets go of them");
	for (size_t i = 0; i < 64; i++) {
		p = stele_vmalloc(16 * MIB);
		stele_vfree(p);
	}
	ok(status_kib("VmSize") < size + 300 * KIB, "1 GiB of areas, freed one by one, is not held");
	for (size_t i = 0; i < 3000; i++)
		stele_vfree(stele_vmalloc(page));
	ok(true, "3000 areas of a page");
	stele_vm_unmap_aliases();
}

static void resizes(void)
{
	char *p = stele_vrealloc(NULL, 3 * page + 10, STELE_GFP_KERNEL), *q;
	bool good;

	ok(p != NULL, "vrealloc(NULL) allocates");
	fill(p, 3 * page + 10, 1);
	q = stele_vrealloc(p, 1000 * page, STELE_GFP_KERNEL | STELE_GFP_ZERO);
	ok(q && filled(q, 3 * page + 10, 1), "growth keeps the contents");
	ok(all_bytes(q + 3 * page + 10, 997 * page - 10, 0), "what is new is zero, if asked for");
	ok(touch(q + 1000 * page, true) == SIGSEGV, "the guard is behind the new end");
	ok(q == p || touch(p, false) == SIGSEGV, "the old addresses fault");
	fill(q, 1000 * page, 2);
	p = stele_vrealloc(q, 5 * page + 1, STELE_GFP_KERNEL);
	ok(p == q && filled(p, 5 * page + 1, 2), "shrinking stays in place");
	ok(touch(p + 6 * page, false) == SIGSEGV, "what is cut off faults");
	ok(stele_is_vmalloc_addr(p + 5 * page) && !stele_is_vmalloc_addr(p + 6 * page),
	   "stele_is_vmalloc_addr() knows the new size");
	q = stele_vrealloc(p, 20 * page, STELE_GFP_KERNEL | STELE_GFP_ZERO);
	ok(q == p && filled(q, 5 * page + 1, 2) && all_bytes(q + 5 * page + 1, 15 * page - 1, 0),
	   "growth into what was cut off: in place, zeros");
	/* Two mappings by now: cannot move as one. */
	fill(q, 20 * page, 3);
	p = stele_vrealloc(q, 2000 * page, STELE_GFP_KERNEL);
	ok(p && filled(p, 20 * page, 3), "moved after that");
	good = stele_vrealloc(p, (size_t)1 << 60, STELE_GFP_KERNEL) == NULL && errno == ENOMEM;
	ok(good && filled(p, 20 * page, 3), "ENOMEM leaves it as it was");
	good = stele_vrealloc(p, 4000 * page, STELE_GFP_NOWAIT) == NULL && errno == ENOMEM;
	ok(good && filled(p, 20 * page, 3), "so does NOWAIT: an area takes system calls");
	ok(!stele_vrealloc(p, 0, STELE_GFP_KERNEL) && touch(p, false) == SIGSEGV,
	   "size 0 frees");
	good = true;
	p = NULL;
	for (size_t n = 1; n < 300; n++) {
		p = stele_vrealloc(p, n * 3000, STELE_GFP_KERNEL);
		good = good && p && filled(p, (n - 1) * 3000, 7);
		fill(p, n * 3000, 7);
	}
	ok(good, "growth in 300 steps");
	stele_vfree(p);
}

static void low(void)
{
	char *p = stele_vmalloc_gfp(10 * MIB, STELE_GFP_KERNEL | STELE_GFP_DMA32), *q;

	ok(p && (uintptr_t)p + 10 * MIB <= (uintptr_t)1 << 32, "DMA32 is below 4 GiB: %p",
	   (void *)p);
	fill(p, 10 * MIB, 4);
	q = stele_vrealloc(p, 20 * MIB, STELE_GFP_KERNEL);
	ok(q && filled(q, 10 * MIB, 4) && (uintptr_t)q + 20 * MIB <= (uintptr_t)1 << 32,
	   "and stays there when it grows: %p", (void *)q);
	stele_vfree(q);
}

/* No inlining: the report is to name them. */
__attribute__((noinline)) void frees_first(char *p);
void frees_first(char *p)
{
	stele_vfree(p);
	__asm__ volatile("");
}

static void bad_calls(void)
{
	char *p = stele_vmalloc(10 * page), *q = stele_vmalloc(page), *m = malloc(100);
	char local;
	void *r = p;

	ok(refused(r = stele_vmalloc(0), "stele_vmalloc: 0 bytes", "vmalloc") && !r,
	   "0 bytes: EINVAL, and the caller is named");
	ok(refused(r = stele_vmalloc_gfp(10, 1u << 31), "unknown flags", "called from") &&
	   !r, "unknown flags");
	errno = 0;
	ok(!stele_vmalloc_gfp(10, STELE_GFP_ATOMIC) && errno == ENOMEM, "ATOMIC: ENOMEM");
	ok(!stele_vmalloc(hidden(SIZE_MAX - 100)) && errno == ENOMEM, "too much: ENOMEM");
	ok(!stele_vmalloc(hidden((size_t)1 << 50)) && errno == ENOMEM, "a little less too much");
	ok(refused(stele_vfree(p + page), "inside of an area of stele_vmalloc()", "40960"),
	   "freeing the inside of an area");
	ok(refused(stele_vfree(m), "in no area", "called from"), "freeing a block of malloc()");
	ok(refused(stele_vfree(&local), "in no area", "called from"), "freeing the stack");
	ok(refused(r = stele_vrealloc(&local, 10, STELE_GFP_KERNEL), "in no area", "stele_vrealloc"),
	   "resizing the stack");
	frees_first(q);
	ok(refused(stele_vfree(q), "double free, it was freed by", "frees_first"),
	   "double free names both callers");
	ok(refused(stele_free_pinned(p), "it is in an area of stele_vmalloc()", "stele_free_pinned"),
	   "freeing with the function of another kind");
	errno = 77;
	stele_vfree(NULL);
	ok(touch(p, true) == 0 && errno == 77, "none of it did anything");
	stele_vfree(p);
	ok(errno == 77, "errno is left alone");
	free(m);
}

static void frees_it(void *p)
{
	free(p);
}

static void reallocs_it(void *p)
{
	free(realloc(p, 100));
}

static void wrong_family(void)
{
	char *p = stele_vmalloc(page);
	int status = in_child(frees_it, p);

	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
	   said("invalid free", "stele_vfree() frees"), "free() of an area: told, and aborted");
	status = in_child(reallocs_it, p);
	ok(WIFSIGNALED(status) && said("realloc", "stele_vfree() frees"), "realloc() as well");
	stele_vfree(p);
	status = in_child(frees_it, p);
	ok(WIFSIGNALED(status) && said("invalid free", "has freed it"), "free() after vfree()");
}

/* The kernel's kvfree() and kvrealloc() take blocks and areas. */
static void kv_family(void)
{
	char *p = stele_vmalloc(page), *q;

	fill(p, page, 1);
	q = stele_kvrealloc(p, 50 * page, STELE_GFP_KERNEL);
	ok(q && filled(q, page, 1) && touch(p, false) == SIGSEGV, "kvrealloc() takes an area");
	stele_kvfree(q);
	ok(touch(q, false) == SIGSEGV, "kvfree() takes an area");
	p = stele_vmalloc(page);
	stele_kvfree_sensitive(p, page);
	ok(touch(p, false) == SIGSEGV, "kvfree_sensitive() takes an area");
	p = stele_kvmalloc(page, STELE_GFP_KERNEL);
	stele_kvfree(p);
	ok(p && touch(p, true) == 0, "and blocks, of course");
}

/* A budget group is charged for areas and pages, and gets back what it gave. */
static void budgets(void)
{
	struct stele_budget *b = stele_budget_create("areas", 90 * page);
	stele_gfp_t gfp = STELE_GFP_KERNEL_ACCOUNT | STELE_GFP_NOWARN;
	void *p, *q, *r;

	stele_budget_set_current(b);
	p = stele_vmalloc_gfp(40 * page, gfp);
	q = stele_get_free_pages(gfp, 4);
	ok(p && q && stele_budget_usage(b) == 56 * page, "charged: %zu bytes",
	   stele_budget_usage(b));
	errno = 0;
	ok(!stele_vmalloc_gfp(50 * page, gfp) && errno == ENOMEM, "an area above the limit: ENOMEM");
	errno = 0;
	ok(!stele_get_free_pages(gfp, 6) && errno == ENOMEM, "pages above the limit: ENOMEM");
	r = stele_vrealloc(p, 41 * page, gfp);
	ok(!r, "growing takes both for a moment");
	r = stele_vrealloc(p, 10 * page, gfp);
	ok(r && stele_budget_usage(b) == 26 * page, "shrunk: %zu bytes", stele_budget_usage(b));
	stele_vfree(r);
	stele_free_pages_nolock(q, 4);
	stele_free_pages(stele_get_free_pages(STELE_GFP_KERNEL, 0), 0);
	ok(stele_budget_usage(b) == 0 && stele_budget_destroy(b) == 0, "all given back");
	stele_budget_set_current(NULL);
}

/* Failures on purpose reach areas; NOFAIL does not see them. */
static void faults(void)
{
	struct stele_fault_attr attr = { .probability = 100, .times = 1 };

	stele_fault_set(STELE_FAIL_PAGE_ALLOC, &attr);
	errno = 0;
	said_begin();
	void *p = stele_vmalloc_gfp(page, STELE_GFP_KERNEL | STELE_GFP_NORETRY);
	int err = errno;
	said_end();
	ok(p || err == ENOMEM, "a failure on purpose");
	ok(stele_fault_count(STELE_FAIL_PAGE_ALLOC) == 1, "was made");
	stele_vfree(p);
	stele_fault_set(STELE_FAIL_PAGE_ALLOC, NULL);
}

static void *worker(void *arg)
{
	char *p[20] = { NULL };
	size_t len[20] = { 0 };
	uint64_t seed = (uintptr_t)arg;
	bool good = true;

	for (int i = 0; i < 3000; i++) {
		size_t k;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		k = (seed >> 33) % ARRAY_LEN(p);
		if (p[k] && (seed >> 40) % 3 == 0) {
			size_t n = (seed >> 45) % 70000 + 1;

			p[k] = stele_vrealloc(p[k], n, STELE_GFP_KERNEL);
			good = good && p[k] && filled(p[k], n < len[k] ? n : len[k], k);
			len[k] = n;
			fill(p[k], n, k);
		} else if (p[k]) {
			good = good && filled(p[k], len[k], k);
			stele_vfree(p[k]);
			p[k] = NULL;
		} else {
			len[k] = (seed >> 45) % 70000 + 1;
			p[k] = stele_vmalloc(len[k]);
			fill(p[k], len[k], k);
		}
	}
	for (size_t k = 0; k < ARRAY_LEN(p); k++)
		stele_vfree(p[k]);
	return good ? arg : NULL;
}

static void threads(void)
{
	pthread_t t[4];
	bool good = true;

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_create(&t[i], NULL, worker, (void *)(i + 1));
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();
		int status = -1;

		if (!pid) {
			char *p = stele_vmalloc(5 * page);

			memset(p, 1, 5 * page);
			stele_vfree(p);
			stele_vm_unmap_aliases();
			_exit(0);
		}
		waitpid(pid, &status, 0);
		good = good && status == 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		void *result;

		pthread_join(t[i], &result);
		good = good && result;
	}
	ok(good, "four threads at once, and children of fork among them");
}

/* Freed areas give their addresses up before a new one fails. */
static void address_limit(void *arg)
{
	struct rlimit rl = { status_kib("VmSize") * KIB + 40 * MIB, RLIM_INFINITY };

	(void)arg;
	if (setrlimit(RLIMIT_AS, &rl))
		_exit(2);
	for (int i = 0; i < 20; i++) {
		void *p = stele_vmalloc(8 * MIB);

		if (!p)
			_exit(1);
		stele_vfree(p);
	}
}

/* Run anew with STELE_CONF=limit=64M: areas and pinned buffers count, freed ones do not. */
static int limited(void)
{
	bool good = true;
	void *p, *q;

	for (int i = 0; i < 20; i++) {
		p = stele_vmalloc(40 * MIB);
		good = good && p;
		q = stele_vmalloc_gfp(40 * MIB, STELE_GFP_KERNEL | STELE_GFP_NOWARN);
		good = good && !q && errno == ENOMEM;
		q = stele_vrealloc(p, 50 * MIB, STELE_GFP_KERNEL);
		good = good && q;
		good = good && !stele_vrealloc(q, 70 * MIB, STELE_GFP_KERNEL);
		p = stele_vrealloc(q, MIB, STELE_GFP_KERNEL);
		q = stele_vmalloc(50 * MIB);
		good = good && p && q;
		stele_vfree(p);
		stele_vfree(q);
	}
	p = stele_alloc_pinned(80 * MIB, 0, NULL);
	good = good && !p;
	return good ? 0 : 1;
}

/* Run anew with STELE_CONF=skip=...: libc serves malloc(), but knows no areas and no pages. */
static int skipped(void)
{
	char *p = stele_vmalloc(page), *q = stele_get_free_pages(STELE_GFP_KERNEL, 3), *r, *m;

	if (!p || !q)
		return 1;
	fill(p, page, 1);
	fill(q, 8 * page, 2);
	m = malloc(100);
	/* Stele's would be a few bytes longer. */
	if (malloc_usable_size(m) == stele_kmalloc_size_roundup(100))
		return 3;
	p = stele_vrealloc(p, 100 * page, STELE_GFP_KERNEL);
	r = stele_alloc_pinned(page, 0, NULL);
	if (!p || !m || !filled(p, page, 1) || !filled(q, 8 * page, 2))
		return 1;
	stele_free_pages(q, 3);
	stele_vfree(p);
	stele_free_pinned(r);
	free(m);
	return touch(p, true) == SIGSEGV ? 0 : 1;
}

static int again(const char *self, const char *conf, const char *how)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		setenv("STELE_CONF", conf, 1);
		execl(self, self, how, (char *)NULL);
		_exit(2);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void elsewhere(void)
{
	char conf[300], self[256] = "";

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		abort();
	snprintf(conf, sizeof(conf), "skip=%s", strrchr(self, '/') + 1);
	ok(again(self, "limit=64M", "limited") == 0,
	   "areas and pinned buffers count in limit=, until they are freed");
	ok(again(self, conf, "skipped") == 0, "pages and areas where libc serves the program");
}

int main(int argc, char **argv)
{
	page = stele_page_size();
	if (argc > 1)
		return strcmp(argv[1], "limited") ? skipped() : limited();
	makes();
	faults_after_free();
	memory_returns();
	batches();
	resizes();
	low();
	bad_calls();
	wrong_family();
	kv_family();
	budgets();
	faults();
	elsewhere();
	threads();
	ok(in_child(address_limit, NULL) == 0, "with RLIMIT_AS near, freed areas are unmapped first");
	return tap_end();
}
