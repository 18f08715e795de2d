/* SPDX-License-Identifier: MIT */
/*
 * LD_PRELOAD=trace_record.so TRACE_DIR=/some/dir prog
 *
 * writes what prog asks of malloc into /some/dir/NAME.PID.N.trace, one file per process (see
 * trace_format.h).
 *
 * 1. The real functions come from dlsym(RTLD_NEXT). dlsym itself may allocate: while it is at
 *    work, requests of the thread are served from a small static arena that is never freed.
 * 2. A live pointer finds its id through an open-addressing table in mmapped memory. Nothing
 *    here calls malloc after that.
 * 3. One lock orders the records. free() is recorded before it happens and malloc() after, so
 *    that no other thread can be seen to get a block before it was given back; realloc()
 *    happens under the lock because it is both.
 * 4. The file is opened when the first buffer is full, for at the time of the first call the
 *    environment may not be there yet. A forked child starts a file of its own and knows
 *    nothing of the blocks it inherited: their free is not recorded.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace_format.h"

#define BUFFER		65536
#define ARENA		65536
#define TABLE_START	(1u << 16)
#define FIBONACCI	0x9e3779b97f4a7c15ULL

static struct {
	void *(*malloc)(size_t);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void *(*memalign)(size_t, size_t);
	void (*free)(void *);
} real;

static int ready;
static __thread int resolving __attribute__((tls_model("initial-exec")));
static __thread int thread_id __attribute__((tls_model("initial-exec")));	/* from 1 */
static int threads;

static char arena[ARENA] __attribute__((aligned(16)));
static size_t arena_used;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* All of this is protected by lock. */
static uint8_t buffer[BUFFER];
static size_t used, limit = BUFFER - TRACE_MAX;
static int fd = -1, failed, last_thread;

struct live {
	void *p;	/* NULL: this place is empty */
	uint32_t id;
};

static struct live *table;
static size_t table_size, live_count;
static uint32_t *free_ids, next_id;
static size_t free_count;

static void *pages(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(99);
	return p;
}

static void resolve(void)
{
	resolving = 1;
	real.calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
	real.realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
	real.memalign = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "memalign");
	real.free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
	real.malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
	resolving = 0;
	__atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
}

/* True when the real functions can be called. */
static int is_ready(void)
{
	if (__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
		return 1;
	if (resolving)
		return 0;
	resolve();
	return 1;
}

static void *arena_alloc(size_t size, size_t align)
{
	size_t mask = align < 16 ? 15 : align - 1;
	size_t at = (arena_used + mask) & ~mask;

	if (size > ARENA || at > ARENA - size)
		return NULL;
	arena_used = at + size;
	return arena + at;
}

static int in_arena(const void *p)
{
	return (const char *)p >= arena && (const char *)p < arena + ARENA;
}

/* --- the table of live blocks --- */

static size_t place_of(const void *p)
{
	return (size_t)(((uintptr_t)p * FIBONACCI) >> 20) & (table_size - 1);
}

static struct live *look_up(const void *p)
{
	size_t at = place_of(p);

	while (table[at].p && table[at].p != p)
		at = (at + 1) & (table_size - 1);
	return &table[at];
}

static void table_grow(void)
{
	struct live *old = table;
	uint32_t *old_ids = free_ids;
	size_t i, old_size = table_size;

	table_size = old_size ? 2 * old_size : TABLE_START;
	table = pages(table_size * sizeof(*table));
	free_ids = pages(table_size * sizeof(*free_ids));
	if (!old_size)
		return;
	for (i = 0; i < old_size; i++)
		if (old[i].p)
			*look_up(old[i].p) = old[i];
	memcpy(free_ids, old_ids, free_count * sizeof(*free_ids));
	munmap(old, old_size * sizeof(*old));
	munmap(old_ids, old_size * sizeof(*old_ids));
}

static void table_add(void *p, uint32_t id)
{
	struct live *l;

	if (2 * (live_count + 1) > table_size)
		table_grow();
	l = look_up(p);
	l->p = p;
	l->id = id;
	live_count++;
}

/* Empties the place and moves up what had been pushed past it. */
static void table_remove(struct live *l)
{
	size_t hole = (size_t)(l - table), at = hole, home, mask = table_size - 1;

	for (;;) {
		at = (at + 1) & mask;
		if (!table[at].p)
			break;
		home = place_of(table[at].p);
		if (((at - home) & mask) >= ((at - hole) & mask)) {
			table[hole] = table[at];
			hole = at;
		}
	}
	table[hole].p = NULL;
	live_count--;
}

/* --- the file --- */

static int open_file(void)
{
	const char *dir = getenv("TRACE_DIR");
	char path[512];
	int n, file;

	if (!dir)
		return -1;
	for (n = 0; n < 100; n++) {
		snprintf(path, sizeof(path), "%s/%s.%d.%d.trace", dir,
			 program_invocation_short_name, (int)getpid(), n);
		file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (file >= 0 || errno != EEXIST)
			break;
	}
	if (file >= 0 && write(file, TRACE_MAGIC, TRACE_MAGIC_LEN) != TRACE_MAGIC_LEN)
		failed = 1;
	return file;
}

static void flush(void)
{
	int saved = errno;
	size_t at = 0;
	ssize_t n;

	if (fd < 0 && !failed) {
		fd = open_file();
		failed |= fd < 0;
	}
	while (at < used && !failed) {
		n = write(fd, buffer + at, used - at);
		if (n < 0 && errno != EINTR)
			failed = 1;
		else if (n > 0)
			at += (size_t)n;
	}
	used = 0;
	errno = saved;
}

static void record(enum trace_op op, const uint64_t *numbers, int n)
{
	uint8_t *at = buffer + used;
	int i;

	*at++ = (uint8_t)op;
	for (i = 0; i < n; i++)
		at = trace_put(at, numbers[i]);
	used = (size_t)(at - buffer);
	if (used > limit)
		flush();
}

static void record_thread(void)
{
	uint64_t tid;

	if (!thread_id)
		thread_id = ++threads;
	if (thread_id == last_thread)
		return;
	last_thread = thread_id;
	tid = (uint64_t)thread_id - 1;
	record(TRACE_THREAD, &tid, 1);
}

static void record_free(struct live *l)
{
	uint64_t id = l->id;

	record(TRACE_FREE, &id, 1);
	free_ids[free_count++] = l->id;
	table_remove(l);
}

/* Caller holds lock. */
static void note_new(enum trace_op op, void *p, size_t align, size_t size)
{
	uint64_t numbers[3];
	struct live *l;
	int n = 0;

	if (!table)
		table_grow();
	record_thread();
	l = look_up(p);
	if (l->p)	/* its free went past us */
		record_free(l);
	numbers[n++] = free_count ? free_ids[--free_count] : next_id++;
	if (op == TRACE_MEMALIGN)
		numbers[n++] = (uint64_t)__builtin_ctzl(align);
	numbers[n++] = size;
	record(op, numbers, n);
	table_add(p, (uint32_t)numbers[0]);
}

static void *note(enum trace_op op, void *p, size_t align, size_t size)
{
	if (!p)
		return NULL;
	pthread_mutex_lock(&lock);
	note_new(op, p, align, size);
	pthread_mutex_unlock(&lock);
	return p;
}

/* --- the calls --- */

void *malloc(size_t size)
{
	if (!is_ready())
		return arena_alloc(size, 16);
	return note(TRACE_MALLOC, real.malloc(size), 0, size);
}

void *calloc(size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	if (!is_ready())
		return arena_alloc(all, 16);
	return note(TRACE_CALLOC, real.calloc(n, size), 0, all);
}

void free(void *p)
{
	struct live *l;

	if (!p || in_arena(p) || !is_ready())
		return;
	pthread_mutex_lock(&lock);
	l = table ? look_up(p) : NULL;
	if (l && l->p) {
		record_thread();
		record_free(l);
	}
	pthread_mutex_unlock(&lock);
	real.free(p);
}

static void note_moved(struct live *l, void *p, size_t size)
{
	uint64_t numbers[2] = { l->id, size };

	record_thread();
	record(TRACE_REALLOC, numbers, 2);
	table_remove(l);
	table_add(p, (uint32_t)numbers[0]);
}

static void *realloc_live(void *p, size_t size)
{
	struct live *l;
	void *q;

	pthread_mutex_lock(&lock);
	q = real.realloc(p, size);
	l = table ? look_up(p) : NULL;
	if (l && !l->p)
		l = NULL;
	if (!q && !size && l) {
		record_thread();
		record_free(l);
	} else if (q && l) {
		note_moved(l, q, size);
	} else if (q) {
		note_new(TRACE_MALLOC, q, 0, size);
	}
	pthread_mutex_unlock(&lock);
	return q;
}

void *realloc(void *p, size_t size)
{
	size_t there;
	void *q;

	if (!p)
		return malloc(size);
	if (!in_arena(p))
		return is_ready() ? realloc_live(p, size) : NULL;
	q = malloc(size);
	there = (size_t)(arena + ARENA - (char *)p);
	if (q)
		memmove(q, p, size < there ? size : there);
	return q;
}

void *memalign(size_t align, size_t size)
{
	size_t up = 16;

	while (up < align && up < (size_t)1 << 62)
		up *= 2;
	if (!is_ready())
		return arena_alloc(size, up);
	return note(TRACE_MEMALIGN, real.memalign(align, size), up, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
	int saved = errno;
	void *p;

	if (align < sizeof(void *) || (align & (align - 1)))
		return EINVAL;
	p = memalign(align, size);
	errno = saved;
	if (!p)
		return ENOMEM;
	*out = p;
	return 0;
}

void *aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

void *valloc(size_t size)
{
	return memalign((size_t)sysconf(_SC_PAGESIZE), size);
}

void *pvalloc(size_t size)
{
	size_t mask = (size_t)sysconf(_SC_PAGESIZE) - 1;

	return memalign(mask + 1, (size + mask) & ~mask);
}

/* --- fork and exit --- */

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void after_fork_child(void)
{
	if (fd >= 0)
		close(fd);
	fd = -1;
	used = 0;
	failed = 0;
	last_thread = 0;
	threads = 0;
	thread_id = 0;
	if (table)
		memset(table, 0, table_size * sizeof(*table));
	live_count = free_count = next_id = 0;
	pthread_mutex_unlock(&lock);
}

static void flush_locked(void)
{
	pthread_mutex_lock(&lock);
	flush();
	pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void trace_begin(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

/* Others' destructors may still come: from here on every record is written at once. */
__attribute__((destructor)) static void trace_end(void)
{
	flush_locked();
	limit = 0;
}

void _exit(int status)
{
	flush_locked();
	for (;;)
		syscall(SYS_exit_group, status);
}
