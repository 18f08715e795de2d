/* SPDX-License-Identifier: MIT */
/*
 * The ways of a locked slot: one while there is one thread, the CPU's where there are more;
 * what happens when a second thread comes, or a fork, while the first is inside; and the
 * limit below which nothing but the size decides. Run under ThreadSanitizer too.
 */
#include "common.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "page/fault.h"
#include "page/hit.h"
#include "page/vmalloc.h"
#include "slab/kmalloc.h"
#include "slab/percpu.h"
#include "tune/tune.h"

#define SIZE	100
#define BLOCKS	8
#define NO_CPU	(-1)

/* As the kernel's area, of which the slots look at the number of the CPU. */
static __thread struct {
	int32_t start, cpu_id;
	char rest[24];
} area;

static unsigned self(void)
{
	return percpu_self() - MAX_CPU_IDS;
}

static void start(unsigned cpus)
{
	fake_boot();
	fake.cpus = cpus;
	fake.rseq_area = (char *)&area - (char *)__builtin_thread_pointer();
	area.cpu_id = 0;
	unit_start();
}

/* Takes blocks, as the second of two threads; says how often it has. */
static struct {
	pthread_t thread;
	int32_t cpu;
	unsigned asked, done;		/* atomic */
	unsigned slot;
	char *block[BLOCKS];
} second;

static void *be_second(void *arg)
{
	unsigned turn = 0;

	area.cpu_id = second.cpu;
	while (turn++, true) {
		while (__atomic_load_n(&second.asked, __ATOMIC_ACQUIRE) < turn)
			sched_yield();
		second.slot = self();
		for (int i = 0; i < BLOCKS; i++) {
			second.block[i] = kmalloc(SIZE);
			must(second.block[i]);
			memset(second.block[i], (int)turn, SIZE);
		}
		for (int i = 0; i < BLOCKS / 2; i++)
			kfree(second.block[i]);
		__atomic_store_n(&second.done, turn, __ATOMIC_RELEASE);
	}
	return arg;
}

/* The second thread is there from now on, and may do what it does once. */
static void let_second_in(void)
{
	unsigned turn = second.asked + 1;

	WRITE_ONCE(fake.single_threaded, false);
	__atomic_store_n(&second.asked, turn, __ATOMIC_RELEASE);
	/* It waits for nothing that is held here, or this would not end. */
	while (__atomic_load_n(&second.done, __ATOMIC_ACQUIRE) < turn)
		sched_yield();
}

static void make_second(int32_t cpu)
{
	second.cpu = cpu;
	must_eq(pthread_create(&second.thread, NULL, be_second, NULL), 0);
}

static bool is_seconds(const void *p)
{
	for (int i = BLOCKS / 2; i < BLOCKS; i++) {
		if (second.block[i] == p)
			return true;
	}
	return false;
}

/* What is handed out from here on is nobody else's. */
static void nothing_is_shared(const char *mine)
{
	char *p[4 * BLOCKS];

	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = kmalloc(SIZE);
		must(p[i] && p[i] != mine && !is_seconds(p[i]));
		for (size_t k = 0; k < i; k++)
			must(p[k] != p[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		kfree(p[i]);
	for (int i = BLOCKS / 2; i < BLOCKS; i++) {
		kfree(second.block[i]);
		second.block[i] = NULL;
	}
	must_eq(kmalloc_usage().slab_blocks, mine ? 1 : 0);
}

/* The linker calls this one in place of region_create(); a slot is held meanwhile. */
struct region *__wrap_region_create(void);
struct region *__real_region_create(void);
static void (*in_create)(void);
static struct region *latest;

struct region *__wrap_region_create(void)
{
	void (*fn)(void) = in_create;

	in_create = NULL;
	if (fn)
		fn();
	return latest = __real_region_create();
}

START_TEST(alone_there_is_one)
{
	void *p[4];

	start(4);
	for (int i = 0; i < 4; i++) {
		area.cpu_id = i;
		ck_assert_uint_eq(self(), 0);
		p[i] = kmalloc(SIZE);
	}
	for (int i = 0; i < 4; i++)
		kfree(p[i]);
	ck_assert_uint_eq(percpu_stats().regions, 1);
	/* and libc may say so again once the others are gone */
	WRITE_ONCE(fake.single_threaded, false);
	area.cpu_id = 3;
	ck_assert_uint_eq(self(), 3);
	WRITE_ONCE(fake.single_threaded, true);
	ck_assert_uint_eq(self(), 0);
	/* but where a thread of ours runs, of which it knows nothing */
	slot_note_threads(true);
	ck_assert_uint_eq(self(), 3);
	slot_note_threads(false);
	ck_assert_uint_eq(self(), 0);
}
END_TEST

START_TEST(of_the_cpu)
{
	void *p, *q;

	start(4);
	WRITE_ONCE(fake.single_threaded, false);
	for (int i = 0; i < 4; i++) {
		area.cpu_id = i;
		ck_assert_uint_eq(self(), (unsigned)i);
		kfree(kmalloc(SIZE));
		ck_assert_uint_eq(percpu_stats().regions, (unsigned)i + 1);
	}
	/* more numbers than CPUs: they share */
	area.cpu_id = 6;
	ck_assert_uint_eq(self(), 2);
	/* what was freed on a CPU is there, and nowhere else */
	area.cpu_id = 1;
	p = kmalloc(SIZE);
	kfree(p);
	area.cpu_id = 2;
	q = kmalloc(SIZE);
	ck_assert_ptr_ne(p, q);
	area.cpu_id = 1;
	ck_assert_ptr_eq(kmalloc(SIZE), p);
	/* no registration: by the thread pointer, the same each time */
	area.cpu_id = NO_CPU;
	ck_assert_uint_lt(self(), 4);
	for (int i = 0; i < 4; i++)
		must_eq(self(), percpu_self() - MAX_CPU_IDS);
	kfree(p);
	kfree(q);
	ck_assert_uint_eq(percpu_stats().regions, 4);
}
END_TEST

/* The first thread has slot 0, and makes its region: the second takes the next. */
START_TEST(second_comes_in_a_miss)
{
	char *p;

	start(4);
	make_second(0);
	in_create = let_second_in;
	p = kmalloc(SIZE);
	ck_assert_uint_eq(second.done, 1);
	ck_assert_uint_eq(second.slot, 0);
	must(p && !is_seconds(p));
	ck_assert_uint_eq(percpu_stats().regions, 2);
	nothing_is_shared(p);
}
END_TEST

/* The region of slot 0 cannot be touched until the second thread has been here. */
static void *closed;
static unsigned closed_hits;

static void in_the_midst(int sig __unused_arg)
{
	closed_hits++;
	mprotect(closed, PAGE_SIZE, PROT_READ | PROT_WRITE);
	let_second_in();
}

static void close_region(void)
{
	struct sigaction sa = { .sa_handler = in_the_midst, .sa_flags = SA_NODEFER };

	closed = latest;
	must(IS_ALIGNED((uintptr_t)closed, PAGE_SIZE) && sizeof(struct region) <= PAGE_SIZE);
	must_eq(sigaction(SIGSEGV, &sa, NULL), 0);
	must_eq(mprotect(closed, PAGE_SIZE, PROT_NONE), 0);
}

START_TEST(second_comes_in_malloc)
{
	char *p, *q;

	start(4);
	kfree(kmalloc(SIZE));
	make_second(0);
	close_region();
	p = kmalloc(SIZE);
	ck_assert_uint_eq(closed_hits, 1);
	must(p && !is_seconds(p));
	/* it was not in slot 0, where the first is */
	ck_assert_uint_eq(percpu_stats().regions, 2);
	q = kmalloc(SIZE);
	must(q != p && !is_seconds(q));
	kfree(q);
	nothing_is_shared(p);
}
END_TEST

START_TEST(second_comes_in_free)
{
	char *p;

	start(4);
	p = kmalloc(SIZE);
	make_second(0);
	close_region();
	kfree(p);
	ck_assert_uint_eq(closed_hits, 1);
	must(!is_seconds(p));
	ck_assert_uint_eq(percpu_stats().regions, 2);
	nothing_is_shared(NULL);
}
END_TEST

/* While a cache is shrunk or destroyed, however many misses there are. */
START_TEST(closed_stays_closed)
{
	unsigned class = size_class(SIZE);
	void *p;

	start(4);
	p = kmalloc(SIZE);
	slot_close_class(class);
	for (int i = 0; i < 300; i++)
		must(!percpu_grow(class));
	must(!percpu_push(class, p) && !percpu_pop(class));
	slot_open_class(class);
	must(percpu_push(class, p) && percpu_pop(class) == p);
	kfree(p);
}
END_TEST

/* As a fork has them: nobody gets in, and nobody waits. */
START_TEST(all_are_held)
{
	char *p, *q;

	start(4);
	WRITE_ONCE(fake.single_threaded, false);
	p = kmalloc(SIZE);
	q = kmalloc(SIZE);
	make_second(2);
	slot_fork_prepare();
	must(!percpu_pop(size_class(SIZE)));
	must(!percpu_push(size_class(SIZE), p));
	must(!percpu_pop_how(size_class(SIZE), true));
	let_second_in();
	kfree(p);
	p = kmalloc(SIZE);
	must(p && p != q && !is_seconds(p));
	slot_fork_done();
	kfree(q);
	ck_assert_uint_eq(percpu_stats().regions, 1);
	nothing_is_shared(p);
	/* They are free again. */
	must(percpu_push(size_class(SIZE), p));
}
END_TEST

/* The one thread forks while it is inside, in a signal handler say: both copies go on. */
static pid_t copy;

static void fork_here(void)
{
	char *p;

	copy = fork();
	must(copy >= 0);
	p = kmalloc(SIZE);
	must(p);
	memset(p, 1, SIZE);
	kfree(p);
}

START_TEST(copied_in_the_midst)
{
	char *p;
	int status;

	start(4);
	in_create = fork_here;
	p = kmalloc(SIZE);
	memset(p, 2, SIZE);
	ck_assert_uint_eq(percpu_stats().regions, 2);
	kfree(p);
	must(!kmalloc_usage().slab_blocks);
	if (!copy)
		_exit(0);
	must_eq(waitpid(copy, &status, 0), copy);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* What a request below the limit may leave out, nothing asks for; each alone closes it. */
START_TEST(only_the_size_decides)
{
	const size_t open = SIZE_MAX_SLAB + 1;
	unsigned char *p;

	start(4);
	ck_assert_uint_eq(hit.plain_limit, open);
	/* locked slots have no other hits */
	ck_assert_uint_eq(hit.free_limit + hit.size_limit + hit.medium_limit, 0);

	tune_set(TUNE_ID_perturb, 0x55, TUNE_MALLOPT);
	percpu_update_hit();
	ck_assert_uint_eq(hit.plain_limit, 0);
	p = kmalloc(SIZE);
	must_eq(p[SIZE - 1], 0xaa);
	kfree(p);
	must_eq(p[SIZE - 1], 0x55);
	tune_set(TUNE_ID_perturb, 0, TUNE_MALLOPT);
	percpu_update_hit();
	ck_assert_uint_eq(hit.plain_limit, open);

	tune_set(TUNE_ID_mmap_threshold, 1000, TUNE_MALLOPT);
	percpu_update_hit();
	ck_assert_uint_eq(hit.plain_limit, 1000);
	p = kmalloc(999);
	ck_assert_uint_eq(vmalloc_stats().count, 0);
	kfree(p);
	p = kmalloc(1000);
	ck_assert_uint_eq(vmalloc_stats().count, 1);
	kfree(p);
	ck_assert_uint_eq(vmalloc_stats().count, 0);

	fault_set_malloc(true);
	fault_set_nth(1);
	percpu_update_hit();
	ck_assert_uint_eq(hit.plain_limit, 0);
	/* the one that was to fail has, and the limit is open again */
	must(!kmalloc(SIZE) && errno == ENOMEM);
	ck_assert_uint_eq(hit.plain_limit, 1000);
	must(kmalloc(SIZE));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		alone_there_is_one, of_the_cpu, second_comes_in_a_miss, second_comes_in_malloc,
		second_comes_in_free, closed_stays_closed, all_are_held, copied_in_the_midst,
		only_the_size_decides,
	};

	return unit_run("slots", tests, ARRAY_SIZE(tests));
}
