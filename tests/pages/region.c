/* SPDX-License-Identifier: MIT */
/* stele_map_region() and the listing of areas. */
#include "tap.h"

static size_t page;

static int make_file(size_t size)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	static char buf[1 << 20];

	fill(buf, size, 3);
	if (fd < 0 || write(fd, buf, size) != (ssize_t)size)
		abort();
	return fd;
}

static void maps(void)
{
	static unsigned char expect[20 * 65536];
	size_t offset = page + 100, length = 3 * page;
	int fd = make_file(10 * page);
	unsigned char *p, back[4];

	fill(expect, 10 * page, 3);
	p = stele_map_region(fd, (off_t)offset, length);
	ok(p && !memcmp(p, expect + offset, length), "part of a file, from an odd offset on");
	memset(p, 0xee, 4);
	ok(pread(fd, back, 4, (off_t)offset) == 4 && all_bytes(back, 4, 0xee),
	   "writing to it writes to the file");
	if (pwrite(fd, "abcd", 4, (off_t)offset) != 4)
		abort();
	ok(!memcmp(p, "abcd", 4), "and the other way round");
	close(fd);
	ok(!memcmp(p + 4, expect + offset + 4, length - 4), "it outlives the file descriptor");
	ok(touch(p - 100, true) == 0 && touch(p - 101, false) == SIGSEGV,
	   "in front of its first page is a guard");
	ok(touch(p - 100 + 4 * page - 1, true) == 0 && touch(p - 100 + 4 * page, true) == SIGSEGV,
	   "behind its last page too");
	ok(strstr(listing(), " pages=4 region dev="), "the listing has it");
	stele_unmap_region(p);
	ok(touch(p, false) == SIGSEGV, "unmapped: it faults");
	ok(!strstr(listing(), "region dev="), "and the listing has it no more");
}

static void read_only(void)
{
	char path[] = "/tmp/stele-region-XXXXXX";
	int fd = mkstemp(path), ro;
	char *p;

	if (fd < 0 || ftruncate(fd, (off_t)(2 * page)))
		abort();
	ro = open(path, O_RDONLY);
	p = stele_map_region(ro, 0, 2 * page);
	ok(p && touch(p, false) == 0 && touch(p, true) == SIGSEGV,
	   "of a file that is open for reading: not writable");
	ok(strstr(listing(), " ro\n"), "which the listing says");
	stele_unmap_region(p);
	close(ro);
	ro = open(path, O_WRONLY);
	ok(!stele_map_region(ro, 0, page) && errno == EACCES, "open for writing alone: EACCES");
	close(ro);
	close(fd);
	unlink(path);
}

/* Not a regular file: no size to be checked; huge alignment for what may want it. */
static void device(void)
{
	size_t huge = page * (page / 8);
	int fd = open("/dev/zero", O_RDWR);
	char *p = stele_map_region(fd, 0, 2 * huge);

	ok(p && (uintptr_t)p % huge == 0, "a device, in huge pages' alignment");
	p[huge] = 1;
	stele_unmap_region(p);
	close(fd);
}

static void bad_calls(void)
{
	int fd = make_file(2 * page);
	char *p = stele_map_region(fd, 0, page);
	void *r = p;

	ok(refused(r = stele_map_region(fd, 0, hidden(0)), "0 bytes", "called from") && !r, "0 bytes");
	ok(refused(r = stele_map_region(fd, (off_t)page, page + 1), "not there", "called from") && !r,
	   "behind the end of the file");
	ok(refused(r = stele_map_region(fd, -1, 1), "not there", "offset -1") && !r,
	   "negative offset");
	ok(refused(r = stele_map_region(fd, 100, hidden(SIZE_MAX - 50)), "not there", "called from") && !r,
	   "offset and length overflow");
	ok(!stele_map_region(-1, 0, page) && errno == EBADF, "no file descriptor: EBADF");
	ok(refused(stele_unmap_region(p + 1), "inside of a mapped region", "called from"),
	   "unmapping from the inside");
	ok(refused(stele_vfree(p), "it is in a mapped region", "stele_vfree"), "vfree() of it");
	ok(touch(p, true) == 0, "none of it did anything");
	stele_unmap_region(p);
	ok(refused(stele_unmap_region(p), "double free", "called from"), "unmapping twice");
	errno = 77;
	stele_unmap_region(NULL);
	ok(errno == 77, "NULL is fine");
	close(fd);
}

/* Each line: a range, its length, who, what; by address. */
static void lists(void)
{
	void *p[30];
	unsigned long start, end, last = 0;
	size_t length, lines = 0, live = 0;
	char who[200], what[200];
	bool good = true;
	const char *s;
	int n;

	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		p[i] = stele_vmalloc((i + 1) * 5000);
	stele_vfree(p[7]);
	s = listing();
	while (sscanf(s, "0x%lx-0x%lx %zu %199s %199[^\n]%n", &start, &end, &length, who, what,
		      &n) == 5) {
		good = good && start >= last && end - start == length && *who;
		live += strstr(what, "vmalloc") != NULL;
		last = end;
		s += n + 1;
		lines++;
	}
	ok(good && !*s && lines >= ARRAY_LEN(p), "%zu lines, by address", lines);
	ok(live == ARRAY_LEN(p) - 1 && strstr(listing(), " unpurged\n"), "live areas and freed ones");
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		if (i != 7)
			stele_vfree(p[i]);
	}
	stele_vm_unmap_aliases();
	ok(!*listing(), "nothing is left");
}

int main(void)
{
	page = stele_page_size();
	maps();
	read_only();
	device();
	bad_calls();
	lists();
	return tap_end();
}
