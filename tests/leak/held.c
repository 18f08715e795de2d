/* SPDX-License-Identifier: MIT */
/* Blocks that are reachable, by every kind of memory that can hold a pointer; scene "held". */
#include "truth.h"

#include <fcntl.h>
#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

/* HELD(name, size, root): a function that allocates, for a pointer that goes somewhere. */
#define HELD(name, size, root) \
	CALLED("held", name, "reachable 1 " #size " root=" root, void *, (void)) \
	{ \
		void *p = malloc(size); \
\
		use(p); \
		return p; \
	}

void *held_data = &held_data;	/* .data */
void *held_bss;
static struct {
	char more[5000];
	void *held[3];
} held_struct;
static _Thread_local void *held_tls;
static _Thread_local char held_tls_array[9000] = {1};

HELD(case_data, 501, "held_data")
HELD(case_bss, 502, "held_bss")
HELD(case_struct, 503, "held_struct")
HELD(case_function_static, 504, "held_static")
HELD(case_environment, 505, "heap|environ|data")

STEP("held", hold_data)
{
	static void *held_static;
	char *text;

	HOLD(held_data, case_data());
	HOLD(held_bss, case_bss());
	HOLD(held_struct.held[2], case_struct());
	HOLD(held_static, case_function_static());
	text = case_environment();
	strcpy(text, "TRUTH=1");
	NEED(putenv(text) == 0);
}

/* --- mappings of the program --- */

HELD(case_anonymous, 511, "map")
HELD(case_anonymous_shared, 512, "map")
HELD(case_file_private, 513, "truth-private")
HELD(case_file_shared, 514, "truth-shared")
HELD(case_file_unmapped, 517, "truth-unmapped")
HELD(case_break, 515, "heap|map|brk")
HELD(case_behind_guard, 516, "map")

APART static void **map_file(const char *template, int flags)
{
	char path[64];
	void **p;
	int fd;

	strcpy(path, template);
	fd = mkstemp(path);
	NEED(fd >= 0 && ftruncate(fd, 8192) == 0);
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, flags, fd, 0);
	NEED(p != MAP_FAILED);
	close(fd);
	unlink(path);
	return p;
}

STEP("held", hold_mappings)
{
	void **p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void **q = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	void **b;

	NEED(p != MAP_FAILED && q != MAP_FAILED);
	p[100000] = case_anonymous();
	q[100000] = case_anonymous_shared();
	map_file("/tmp/truth-private-XXXXXX", MAP_PRIVATE)[1000] = case_file_private();
	map_file("/tmp/truth-shared-XXXXXX", MAP_SHARED)[1000] = case_file_shared();
	/* what is written stays in the file; the page table no longer has the page */
	q = map_file("/tmp/truth-unmapped-XXXXXX", MAP_SHARED);
	q[1000] = case_file_unmapped();
	NEED(madvise(q, 8192, MADV_DONTNEED) == 0);

	b = sbrk(8192);
	NEED(b != (void *)-1);
	b[512] = case_break();

	/* pages that cannot be read, in the middle */
	p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(p != MAP_FAILED && mprotect((char *)p + 65536, 65536, PROT_NONE) == 0);
	p[131071] = case_behind_guard();
}

/* --- thread-local and thread-specific --- */

HELD(case_tls, 521, "tls|thread")
HELD(case_tls_array, 522, "tls|thread")
HELD(case_specific, 523, "tls|thread")
HELD(case_specific_second, 524, "tls|thread|heap")
HELD(case_tls_of_thread, 525, "tls|thread")
HELD(case_specific_of_thread, 526, "tls|thread|heap")

static pthread_key_t keys[100];

APART static void *hold_in_thread(void *arg)
{
	held_tls = case_tls_of_thread();
	use(&held_tls);
	NEED(pthread_setspecific(keys[70], case_specific_of_thread()) == 0);
	sleep_forever();
	return arg;
}

STEP("held", hold_tls)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(keys); i++)
		NEED(pthread_key_create(&keys[i], NULL) == 0);
	HOLD(held_tls, case_tls());
	memcpy(held_tls_array + 8000, &(void *){case_tls_array()}, sizeof(void *));
	use(held_tls_array);
	NEED(pthread_setspecific(keys[1], case_specific()) == 0);
	NEED(pthread_setspecific(keys[60], case_specific_second()) == 0);
	start_sleeper(hold_in_thread, NULL);
}

/* --- coroutines --- */

HELD(case_coroutine, 531, "map")
HELD(case_coroutine_in_heap, 532, "contexts|heap")

static ucontext_t here;
static ucontext_t *held_contexts[2];

APART static void coroutine(void)
{
	void *(*volatile make)(void) = held_contexts[1] ? case_coroutine_in_heap : case_coroutine;
	void *volatile mine = make();

	make = NULL;
	swapcontext(held_contexts[held_contexts[1] != NULL], &here);
	use(mine);
}

/* The context itself is kept by data and holds no pointer but to its stack. */
APART static void start_coroutine(int which, void *stack, size_t size)
{
	static ucontext_t contexts[2];

	HOLD(held_contexts[which], &contexts[which]);
	NEED(getcontext(&contexts[which]) == 0);
	contexts[which].uc_stack.ss_sp = stack;
	contexts[which].uc_stack.ss_size = size;
	contexts[which].uc_link = &here;
	makecontext(&contexts[which], coroutine, 0);
	NEED(swapcontext(&here, &contexts[which]) == 0);
	scrub();
	memset(&here, 0, sizeof(here));
}

CASE("held", case_coroutine_stack, "reachable 1 65536 root=contexts")
{
	void *stack = malloc(65536);

	NEED(stack);
	start_coroutine(1, stack, 65536);
}

STEP("held", hold_coroutine)
{
	void *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(stack != MAP_FAILED);
	held_contexts[1] = NULL;
	start_coroutine(0, stack, 65536);
}

/* --- in libc's own structures, or in a file that has no name --- */

HELD(case_memfd, 581, "memfd")
HELD(case_stream_cookie, 582, "_IO_list_all")
HELD(case_hash_key, 583, "htab|heap|libc")

static cookie_io_functions_t no_functions;

STEP("held", hold_in_libc)
{
	const size_t size = 8192;
	int fd = memfd_create("truth", MFD_CLOEXEC);
	ENTRY entry = { 0 };
	void **map;

	NEED(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	NEED(map != MAP_FAILED && close(fd) == 0);
	map[700] = case_memfd();
	NEED(fopencookie(case_stream_cookie(), "w", no_functions));
	NEED(hcreate(50));
	entry.key = strcpy(case_hash_key(), "key");
	NEED(hsearch(entry, ENTER));
}
