/* SPDX-License-Identifier: MIT */
#include "debug.h"

#include <unwind.h>


chain_fn *debug_nofp, *debug_fp;

static int (*truth)(void **buf, int size);
static unsigned done, failed;

void *debug_module(const char *name)
{
	const char *top = getenv("abs_top_builddir");
	char path[4096];
	void *h;

	snprintf(path, sizeof(path), "%s/tests/debug/.libs/%s.so", top ? top : "build", name);
	h = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!h) {
		printf("Bail out! %s\n", dlerror());
		exit(1);
	}
	return h;
}

void debug_begin_bare(unsigned plan)
{
	void *h = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);

	if (h)
		truth = (int (*)(void **, int))dlsym(h, "unw_backtrace");
	if (!truth) {
		puts("1..0 # SKIP libunwind.so.8 is not there");
		exit(0);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%u\n", plan);
	capture_init();
}

void debug_begin(unsigned plan)
{
	debug_begin_bare(plan);
	debug_nofp = (chain_fn *)dlsym(debug_module("chain_nofp"), "chain_descend");
	debug_fp = (chain_fn *)dlsym(debug_module("chain_fp"), "chain_descend");
}

void debug_ok(bool ok, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %u - ", ok ? "" : "not ", ++done);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	failed += !ok;
}

int debug_end(void)
{
	return failed != 0;
}

size_t debug_truth(uintptr_t *pcs, size_t max)
{
	void *all[2 * STACK_DEPTH_MAX];
	int got = truth(all, 2 * STACK_DEPTH_MAX);
	size_t n = 0;

	for (int i = 0; i < got && n < max; i++) {
		if (all[i] && !unwind_is_own((uintptr_t)all[i]))
			pcs[n++] = (uintptr_t)all[i];
	}
	return n;
}

struct trace {
	uintptr_t *pcs;
	size_t n, max;
};

static _Unwind_Reason_Code frame(struct _Unwind_Context *context, void *arg)
{
	uintptr_t pc = _Unwind_GetIP(context);
	struct trace *t = arg;

	if (pc && !unwind_is_own(pc))
		t->pcs[t->n++] = pc;
	return t->n < t->max ? _URC_NO_REASON : _URC_END_OF_STACK;
}

size_t debug_truth_uncached(uintptr_t *pcs, size_t max)
{
	struct trace t = { pcs, 0, max };

	_Unwind_Backtrace(frame, &t);
	return t.n;
}

static void print_stack(const char *what, const uintptr_t *pcs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		Dl_info d = { 0 };

		dladdr((void *)pcs[i], &d);
		fprintf(stderr, "# %s %2zu %lx %s %s\n", what, i, pcs[i],
			d.dli_fname ? d.dli_fname : "?", d.dli_sname ? d.dli_sname : "?");
	}
}

void debug_print_both(const uintptr_t *have, size_t got, const uintptr_t *want, size_t n)
{
	print_stack("captured", have, got);
	print_stack("libunwind", want, n);
}

uint64_t debug_random(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}
