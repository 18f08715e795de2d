/* SPDX-License-Identifier: MIT */
/* stele_get_free_pages() and its relatives: the contract of each, and misuse. */
#include "tap.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "../rseq/filter.h"

#define LOW ((uintptr_t)1 << 32)

static size_t page;

static void orders(void)
{
	void *p[STELE_MAX_ORDER + 1][3];
	bool aligned = true, apart = true;

	ok(page == (size_t)sysconf(_SC_PAGESIZE), "a page is the system's: %zu bytes", page);
	ok(stele_get_order(1) == 0 && stele_get_order(page) == 0 && stele_get_order(page + 1) == 1 &&
	   stele_get_order(page << 10) == 10 && stele_get_order((page << 10) + 1) == 11,
	   "stele_get_order()");
	for (unsigned o = 0; o <= STELE_MAX_ORDER; o++) {
		for (size_t i = 0; i < 3; i++) {
			p[o][i] = stele_get_free_pages(STELE_GFP_KERNEL, o);
			aligned = aligned && p[o][i] && (uintptr_t)p[o][i] % (page << o) == 0;
			memset(p[o][i], (int)(3 * o + i), page << o);
		}
	}
	ok(aligned, "orders 0 to 10, at multiples of their size");
	for (unsigned o = 0; o <= STELE_MAX_ORDER; o++) {
		for (size_t i = 0; i < 3; i++) {
			apart = apart && all_bytes(p[o][i], page << o, (int)(3 * o + i));
			stele_free_pages(p[o][i], o);
		}
	}
	ok(apart, "no two overlap");
}

static void zeroed(void)
{
	bool good = true;

	for (int round = 0; round < 3; round++) {
		char *one = stele_get_zeroed_page(STELE_GFP_KERNEL);
		char *more = stele_get_free_pages(STELE_GFP_KERNEL | STELE_GFP_ZERO, 6);

		good = good && all_bytes(one, page, 0) && all_bytes(more, page << 6, 0);
		memset(one, 0xff, page);
		memset(more, 0xff, page << 6);
		stele_free_pages(one, 0);
		stele_free_pages(more, 6);
	}
	ok(good, "get_zeroed_page and GFP_ZERO give zeros, used memory too");
}

static void exact(void)
{
	size_t sizes[] = { 1, page, page + 1, 3 * page, 5 * page - 1, 100 * page, page << 10 };
	size_t before = mallinfo2().uordblks;
	bool good = true, count = true;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		size_t whole = (sizes[i] + page - 1) / page * page;
		char *p = stele_alloc_pages_exact(sizes[i], STELE_GFP_KERNEL | STELE_GFP_ZERO);

		good = good && p && all_bytes(p, whole, 0) &&
		       (uintptr_t)p % (page << stele_get_order(sizes[i])) == 0;
		count = count && mallinfo2().uordblks == before + whole;
		memset(p, 1, whole);
		stele_free_pages_exact(p, sizes[i]);
		count = count && mallinfo2().uordblks == before;
	}
	ok(good, "alloc_pages_exact");
	ok(count, "takes as many pages as the size needs, and mallinfo2() counts them");

	void *p = stele_alloc_pages_exact(4 * page, STELE_GFP_KERNEL);

	stele_free_pages(p, 2);
	p = stele_get_free_pages(STELE_GFP_KERNEL, 3);
	stele_free_pages_exact(p, 8 * page - 5);
	ok(mallinfo2().uordblks == before, "a power of two of pages: either function frees it");
}

static void low(void)
{
	void *p[50];
	bool good = true;

	for (unsigned i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = stele_get_free_pages(STELE_GFP_KERNEL | (i % 2 ? STELE_GFP_DMA : STELE_GFP_DMA32),
					    i % 11);
		good = good && p[i] && (uintptr_t)p[i] + (page << i % 11) <= LOW &&
		       (uintptr_t)p[i] % (page << i % 11) == 0;
		memset(p[i], (int)i, page << i % 11);
	}
	ok(good, "GFP_DMA and GFP_DMA32: below 4 GiB, first one at %p", p[0]);
	for (unsigned i = 0; i < ARRAY_LEN(p); i++) {
		good = good && all_bytes(p[i], page << i % 11, (int)i);
		stele_free_pages(p[i], i % 11);
	}
	p[0] = stele_get_free_pages(STELE_GFP_NOWAIT | STELE_GFP_DMA32, 5);
	ok(good && p[0] && (uintptr_t)p[0] < LOW, "NOWAIT: from what is free there");
	stele_free_pages(p[0], 5);
	p[0] = malloc(100 * KIB);
	ok((uintptr_t)p[0] >= LOW || (uintptr_t)sbrk(0) < LOW, "malloc() does not use them up");
	free(p[0]);
}

/* Every system call but write, which is how a test speaks, and exit ends the process. */
static void no_calls(void)
{
	if (filter_kill_but(SYS_write, SYS_exit_group))
		_exit(77);
}

/* Until there is nothing left that costs no system call; and all of it back. */
static void without_calls(void *arg)
{
	unsigned flags = *(unsigned *)arg, n = 0;
	static void *p[100000];

	stele_free_pages(stele_get_free_pages(STELE_GFP_KERNEL, 10), 10);
	no_calls();
	while (n < ARRAY_LEN(p) && (p[n] = stele_get_free_pages(flags, 0)))
		memset(p[n++], 1, page);
	if (n < 1000 || errno != ENOMEM)
		_exit(3);
	while (n)
		stele_free_pages_nolock(p[--n], 0);
	for (n = 0; n < 1000; n++) {
		p[n] = stele_get_free_pages(flags, 0);
		if (!p[n])
			_exit(4);
	}
}

static void contexts(void)
{
	unsigned nowait = STELE_GFP_NOWAIT, atomic = STELE_GFP_ATOMIC;
	int status = in_child(without_calls, &nowait);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		skip("NOWAIT makes no system call", "no filters here");
		skip("ATOMIC makes no system call", "no filters here");
		return;
	}
	ok(status == 0, "NOWAIT makes no system call, nor does free_pages_nolock");
	ok(in_child(without_calls, &atomic) == 0, "nor does ATOMIC");
}

static volatile sig_atomic_t ticks, taken;

static void on_tick(int sig)
{
	char *p = stele_get_free_pages(STELE_GFP_ATOMIC | STELE_GFP_NOWARN, 1);

	(void)sig;
	ticks++;
	if (!p)
		return;
	taken++;
	memset(p, 7, 2 * page);
	stele_free_pages_nolock(p, 1);
}

/* The timer interrupts a thread that is nearly always inside the page allocator. */
static void signals(void)
{
	struct sigaction sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
	timer_t timer;
	struct itimerspec often = { { 0, 50000 }, { 0, 50000 } };
	size_t before = mallinfo2().uordblks, after;
	bool good = true;

	sigaction(SIGALRM, &sa, NULL);
	if (timer_create(CLOCK_MONOTONIC, NULL, &timer) || timer_settime(timer, 0, &often, NULL)) {
		skip("pages in a signal handler", "no timer");
		return;
	}
	for (int i = 0; i < 300000; i++) {
		char *p = stele_get_free_pages(STELE_GFP_KERNEL, i % 4);

		good = good && p;
		p[0] = 1;
		stele_free_pages(p, i % 4);
	}
	timer_delete(timer);
	stele_free_pages(stele_get_free_pages(STELE_GFP_KERNEL, 0), 0);
	after = mallinfo2().uordblks;
	ok(good && ticks > 100 && taken, "ATOMIC in a signal handler: %d of %d calls had pages",
	   (int)taken, (int)ticks);
	ok(after == before, "all that it freed is free: %zu, %zu before", after, before);
}

static void bad_calls(void)
{
	char *p = stele_get_free_pages(STELE_GFP_KERNEL, 3), *m = malloc(100);
	char *large = malloc(60 * KIB), *area = stele_vmalloc(page), local;
	void *r = p;

	ok(refused(r = stele_get_free_pages(STELE_GFP_KERNEL, 11), "order 11", "the largest is 10") &&
	   !r, "order 11");
	ok(refused(r = stele_get_free_pages(STELE_GFP_KERNEL, ~0u), "order 4294967295", "largest") &&
	   !r, "order -1");
	ok(refused(r = stele_get_zeroed_page(1u << 30), "unknown flags", "stele_get_zeroed_page") &&
	   !r, "unknown flags");
	ok(refused(r = stele_alloc_pages_exact(hidden(0), STELE_GFP_KERNEL), "0 bytes", "called from") &&
	   !r, "alloc_pages_exact of 0 bytes");
	ok(refused(r = stele_alloc_pages_exact(hidden((page << 10) + 1), STELE_GFP_KERNEL), "bytes",
		   "called from") && !r, "alloc_pages_exact of more than order 10");
	ok(refused(stele_free_pages(p, 2), "8 pages are there, not 4", "called from"),
	   "freeing with a smaller order");
	ok(refused(stele_free_pages(p, 4), "8 pages are there, not 16", "called from"),
	   "freeing with a larger one");
	ok(refused(stele_free_pages(p, 33), "order 33", "called from"), "freeing with an absurd one");
	ok(refused(stele_free_pages_exact(p, 7 * page), "8 pages are there, not 7", "exact"),
	   "free_pages_exact with another size");
	ok(refused(stele_free_pages(p + page, 0), "not the first of the pages", "called from"),
	   "freeing from the middle");
	ok(refused(stele_free_pages(p + 16, 3), "not the first of the pages", "called from"),
	   "freeing what is not page aligned");
	ok(refused(stele_free_pages(m, 0), "block of malloc()", "called from"), "freeing a small block");
	ok(refused(stele_free_pages_nolock(large, 0), "block of malloc()", "nolock"),
	   "freeing a large one");
	ok(refused(stele_free_pages(&local, 0), "not of the heap", "called from"), "freeing the stack");
	ok(refused(stele_free_pages(area, 0), "not of the heap", "called from"), "freeing an area");
	fill(p, 8 * page, 1);
	ok(filled(p, 8 * page, 1), "none of it did anything");
	stele_free_pages(p, 3);
	ok(refused(stele_free_pages(p, 3), "free already", "called from"), "double free");
	ok(refused(stele_free_pages_nolock(p, 3), "free already", "called from"), "double free, nolock");
	errno = 77;
	stele_free_pages(NULL, 3);
	stele_free_pages_exact(NULL, 3);
	stele_free_pages_nolock(NULL, 0);
	ok(errno == 77, "NULL is fine");
	free(m);
	free(large);
	stele_vfree(area);
}

static void frees_it(void *p)
{
	free(p);
}

static void frees_inside(void *p)
{
	free((char *)p + page);
}

static void reallocs_it(void *p)
{
	free(realloc(p, 100));
}

static void wrong_family(void)
{
	void (*fn[])(void *) = { frees_it, frees_inside, reallocs_it };
	char *p = stele_get_free_pages(STELE_GFP_KERNEL, 1);

	for (size_t i = 0; i < ARRAY_LEN(fn); i++) {
		int status = in_child(fn[i], p);

		ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
		   said("invalid free", "stele_free_pages() frees"),
		   "free, free inside, realloc of pages: told, and aborted (%zu)", i);
	}
	stele_free_pages(p, 1);
}

/* No room: NULL and ENOMEM; what is freed is there again. */
static void exhaustion(void *arg)
{
	struct rlimit rl = { 200 * MIB, RLIM_INFINITY };
	static void *p[1000];
	size_t n = 0;

	(void)arg;
	if (setrlimit(RLIMIT_AS, &rl))
		_exit(2);
	while (n < ARRAY_LEN(p) && (p[n] = stele_get_free_pages(STELE_GFP_KERNEL | STELE_GFP_NOWARN,
								10)))
		n++;
	if (n < 20 || n == ARRAY_LEN(p) || errno != ENOMEM)
		_exit(3);
	stele_free_pages(p[0], 10);
	p[0] = stele_get_free_pages(STELE_GFP_KERNEL, 10);
	if (!p[0])
		_exit(4);
	while (n)
		stele_free_pages(p[--n], 10);
	/* Small blocks are in the way of none: they are given back first. */
	for (n = 0; n < ARRAY_LEN(p); n++)
		p[n] = malloc(10000);
	for (n = 0; n < ARRAY_LEN(p); n++)
		free(p[n]);
	for (n = 0; n < 20; n++) {
		if (!stele_get_free_pages(STELE_GFP_KERNEL, 10))
			_exit(5);
	}
}

struct handed {
	void *p[256];
	pthread_mutex_t lock;
};

/* Each thread frees what others have allocated. */
static void *worker(void *arg)
{
	static struct handed h = { .lock = PTHREAD_MUTEX_INITIALIZER };
	uint64_t seed = (uintptr_t)arg;
	bool good = true;

	for (int i = 0; i < 50000; i++) {
		size_t k;
		unsigned order;
		uint64_t *p;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		k = (seed >> 33) % ARRAY_LEN(h.p);
		order = k % 5;
		p = stele_get_free_pages(STELE_GFP_KERNEL, order);
		p[0] = k;
		p[(page << order) / 8 - 1] = k;
		pthread_mutex_lock(&h.lock);
		void *old = h.p[k];
		h.p[k] = p;
		pthread_mutex_unlock(&h.lock);
		if (old) {
			p = old;
			good = good && p[0] == k && p[(page << order) / 8 - 1] == k;
			stele_free_pages(old, order);
		}
	}
	return good ? arg : NULL;
}

static void threads(void)
{
	pthread_t t[4];
	bool good = true;

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_create(&t[i], NULL, worker, (void *)(i + 1));
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		void *result;

		pthread_join(t[i], &result);
		good = good && result;
	}
	ok(good, "four threads free what others have allocated");
}

int main(void)
{
	page = stele_page_size();
	orders();
	zeroed();
	exact();
	low();
	contexts();
	signals();
	bad_calls();
	wrong_family();
	ok(in_child(exhaustion, NULL) == 0, "out of address space: ENOMEM, and back again");
	threads();
	return tap_end();
}
