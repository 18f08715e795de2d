/* SPDX-License-Identifier: MIT */
/* stele_alloc_pinned(): in RAM, locked, guarded, not in children; and what may be known of it. */
#include "tap.h"

#include <sys/prctl.h>

static size_t page;

static size_t huge_size(void)
{
	return page * (page / 8);
}

/* All of it in memory? */
static bool resident(void *p, size_t n)
{
	unsigned char vec[4096];

	if (mincore(p, n, vec))
		return false;
	for (size_t i = 0; i < n / page; i++) {
		if (!(vec[i] & 1))
			return false;
	}
	return true;
}

static void makes(void)
{
	size_t locked = status_kib("VmLck");
	char *p = stele_alloc_pinned(10 * page - 5, 0, NULL);

	if (!p) {
		ok(errno == ENOMEM || errno == EPERM || errno == EAGAIN, "no memory may be locked here");
		return;
	}
	ok(all_bytes(p, 10 * page, 0) && (uintptr_t)p % page == 0, "zeros, page aligned");
	ok(resident(p, 10 * page), "in memory at once");
	ok(status_kib("VmLck") >= locked + 10 * page / KIB, "and locked: %zu KiB", status_kib("VmLck"));
	ok(touch(p - 1, true) == SIGSEGV && touch(p + 10 * page, false) == SIGSEGV,
	   "guard pages on both sides");
	ok(strstr(listing(), " pages=10 pinned phys=0x"), "it is in the listing");
	memset(p, 5, 10 * page);
	stele_free_pinned(p);
	ok(touch(p, false) == SIGSEGV && touch(p + 9 * page, true) == SIGSEGV, "freed: it faults");
	ok(status_kib("VmLck") == locked, "and is not locked any more");
}

/* In a child there is nothing, and nothing else comes there; freeing it is harmless. */
static void child(void *arg)
{
	char *p = arg, *maps[200];

	if (touch(p, false) != SIGSEGV)
		_exit(1);
	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		maps[i] = mmap(NULL, 10 * page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (maps[i] + 10 * page > p && maps[i] < p + 10 * page)
			_exit(2);
		memset(maps[i], 1, page);
	}
	stele_free_pinned(p);
	stele_vm_unmap_aliases();
	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		if (!all_bytes(maps[i], page, 1))
			_exit(3);
	}
}

static void forks(void)
{
	char *p = stele_alloc_pinned(10 * page, 0, NULL);
	int status;

	fill(p, 10 * page, 9);
	status = in_child(child, p);
	ok(status == 0, "a child of fork() does not have it, and may free it");
	ok(filled(p, 10 * page, 9), "the parent's is untouched");
	stele_free_pinned(p);
}

static void huge(void)
{
	size_t size = huge_size();
	uint64_t phys = 1;
	bool hugetlb;
	char *p;

	if (size > 64 * MIB) {
		skip("huge pages", "they are too large here");
		return;
	}
	p = stele_alloc_pinned(size + 1, STELE_PIN_HUGE, &phys);
	if (!p) {
		skip("huge pages", "no memory may be locked here");
		return;
	}
	ok((uintptr_t)p % size == 0, "PIN_HUGE: aligned to a huge page");
	memset(p, 1, 2 * size);
	ok(touch(p - 1, true) == SIGSEGV && touch(p + 2 * size, false) == SIGSEGV,
	   "whole ones, between guards");
	hugetlb = strstr(listing(), " pinned hugetlb phys=") != NULL;
	ok(hugetlb || strstr(listing(), " pinned transparent-huge phys="),
	   "the listing says which kind");
	ok(phys % size == 0 || !hugetlb, "physical address 0x%llx", (unsigned long long)phys);
	stele_free_pinned(p);
	ok(touch(p, true) == SIGSEGV, "freed: it faults");
}

static uint64_t pagemap(const void *p)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (fd >= 0 && pread(fd, &entry, 8, (off_t)((uintptr_t)p / page * 8)) != 8)
		entry = 0;
	close(fd);
	return entry & ((1ull << 55) - 1);
}

static void unprivileged(void *arg)
{
	uint64_t phys = 1;
	void *p;

	(void)arg;
	if (setuid(65534))
		_exit(2);
	p = stele_alloc_pinned(page, 0, &phys);
	if (!p)
		_exit(77);
	if (phys || stele_pinned_phys(p))
		_exit(1);
}

static void physical(void)
{
	uint64_t phys = 1;
	char *p = stele_alloc_pinned(8 * page, 0, &phys);
	bool good = true;

	for (size_t i = 0; i < 8; i++) {
		uint64_t at = stele_pinned_phys(p + i * page + 5);

		good = good && (phys ? at == pagemap(p + i * page) * page + 5 : at == 0);
	}
	ok(good, phys ? "physical addresses are those of pagemap" : "no privilege: all addresses are 0");
	ok(phys == stele_pinned_phys(p), "the first one was handed out with the buffer");
	if (geteuid() == 0) {
		int status = in_child(unprivileged, NULL);

		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			skip("without privilege", "nothing may be locked");
		else
			ok(status == 0, "without privilege: 0");
	}
	errno = 0;
	ok(refused(phys = stele_pinned_phys(&phys), "in no pinned buffer", "called from") && !phys,
	   "the stack is no pinned buffer");
	stele_free_pinned(p);
}

static void limited(void *arg)
{
	struct rlimit rl = { 64 * KIB, 64 * KIB };

	(void)arg;
	if (setrlimit(RLIMIT_MEMLOCK, &rl) || (geteuid() == 0 && setuid(65534)))
		_exit(2);
	if (stele_alloc_pinned(1 * MIB, 0, NULL) || (errno != ENOMEM && errno != EPERM))
		_exit(3);
	if (stele_alloc_pinned(16 * MIB, STELE_PIN_HUGE, NULL))
		_exit(4);
	if (strstr(listing(), " phys="))
		_exit(5);
}

static void bad_calls(void)
{
	char *p = stele_alloc_pinned(page, 0, NULL);
	void *r = p;

	ok(refused(r = stele_alloc_pinned(hidden(0), 0, NULL), "0 bytes", "called from") && !r, "0 bytes");
	ok(refused(r = stele_alloc_pinned(page, 6, NULL), "unknown flags 0x6", "called from") && !r,
	   "unknown flags");
	ok(!stele_alloc_pinned(hidden(SIZE_MAX - 10), STELE_PIN_HUGE, NULL) && errno == ENOMEM,
	   "too much: ENOMEM");
	ok(refused(stele_free_pinned(p + 8), "inside of a pinned buffer", "called from"),
	   "freeing the inside");
	ok(refused(stele_vfree(p), "it is in a pinned buffer", "stele_vfree"), "vfree() of it");
	stele_free_pinned(p);
	ok(refused(stele_free_pinned(p), "double free", "called from"), "double free");
	errno = 77;
	stele_free_pinned(NULL);
	ok(errno == 77, "NULL is fine");
}

int main(void)
{
	void *p;

	page = stele_page_size();
	p = stele_alloc_pinned(page, 0, NULL);
	if (!p) {
		printf("1..0 # SKIP nothing may be locked here: %s\n", strerror(errno));
		return 0;
	}
	stele_free_pinned(p);
	makes();
	forks();
	huge();
	physical();
	ok(in_child(limited, NULL) == 0, "RLIMIT_MEMLOCK is too small: ENOMEM, and nothing is left");
	bad_calls();
	return tap_end();
}
