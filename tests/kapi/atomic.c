/* SPDX-License-Identifier: MIT */
/*
 * GFP_ATOMIC in a signal handler that interrupted the allocator anywhere.
 *
 * First a traced child is stopped at instructions all over its slow paths, with
 * every lock of the library held at one time or another, and gets a signal there
 * whose handler allocates and frees. Then timers do the same at random, to threads
 * that run freely. What the handler and the program are given must stay apart.
 */
#include <malloc.h>
#include <pthread.h>
#include <sys/time.h>

#include <stele.h>

#include "../rseq/step.h"

#define K STELE_GFP_KERNEL
#define SAMPLES 16		/* places in each of the ways below */

static int tests;

static void passed(const char *what)
{
	printf("ok %d - %s\n", ++tests, what);
	fflush(stdout);
}

static struct stele_kmem_cache *cache;

/* ---- what the handler has ---- */

struct slot {
	unsigned char *p;
	size_t size;
	unsigned char byte;
};
#define TURNS 100		/* of the handler: a storm lasts until it had them */
#define SLOTS 24

static struct slot in_handler[SLOTS];
static volatile unsigned long served, refused, turns;

static void check_slot(const struct slot *s)
{
	for (size_t i = 0; i < s->size; i += s->size > 512 ? 97 : 1)
		CHECK(s->p[i] == s->byte, "%p of %zu: byte %zu is %x, not %x", (void *)s->p,
		      s->size, i, s->p[i], s->byte);
}

static void handler(int sig)
{
	static const size_t sizes[] = { 48, 48, 1000, 0, 20000, 0, 16, 50000 };
	static volatile int busy;
	int saved = errno;

	(void)sig;
	/* one handler at a time keeps the slots simple */
	if (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE))
		return;
	for (int k = 0; k < 6; k++) {
		struct slot *s = &in_handler[(turns + (unsigned long)k * 5) % SLOTS];

		if (s->p) {
			check_slot(s);
			if (s->size == 64)
				stele_kmem_cache_free_nolock(cache, s->p);
			else
				stele_kfree_nolock(s->p);
		}
		s->size = sizes[(turns + (unsigned long)k) % ARRAY_LEN(sizes)];
		if (s->size) {
			s->p = stele_kmalloc(s->size, STELE_GFP_ATOMIC);
		} else {
			s->size = 64;
			s->p = stele_kmem_cache_alloc(cache, STELE_GFP_ATOMIC);
		}
		s->byte = (unsigned char)(turns + 17 * (unsigned long)k);
		if (s->p) {
			memset(s->p, s->byte, s->size);
			served++;
		} else {
			refused++;
		}
	}
	turns++;
	__atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
	errno = saved;
}

/* ---- ways through the library ---- */

enum way { MALLOC_NEW_SLAB, FREE_MANY, LARGE, MAPPED, CACHE_NEW_SLAB, BULK, TRIM, CREATE, NR_WAYS };
static const char *const names[NR_WAYS] = {
	"malloc() that needs a slab", "kfree_bulk() that fills sheaf and barn", "a run of pages",
	"a mapping", "kmem_cache_alloc() that needs a slab", "a bulk", "malloc_trim()",
	"a cache that is created and destroyed",
};

#define MANY 3000
static void *mine[MANY];
static unsigned turn;

static void fill(int i, size_t size)
{
	if (mine[i])
		memset(mine[i], i, size);
}

static void verify(int i, size_t size)
{
	unsigned char *c = mine[i];

	for (size_t k = 0; c && k < size; k += 7)
		CHECK(c[k] == (unsigned char)i, "block %d: byte %zu is %x", i, k, c[k]);
}

static void prepare(enum way way)
{
	turn++;
	switch (way) {
	case MALLOC_NEW_SLAB:
		malloc_trim(0);
		break;
	case FREE_MANY:
		malloc_trim(0);
		for (int i = 0; i < 100; i++) {
			mine[i] = malloc(48);
			fill(i, 48);
		}
		break;
	case BULK:
	case CACHE_NEW_SLAB:
		stele_kmem_cache_shrink(cache);
		break;
	default:
		break;
	}
}

static void go(enum way way)
{
	struct stele_kmem_cache *c;

	switch (way) {
	case MALLOC_NEW_SLAB:
		mine[0] = malloc(48);
		fill(0, 48);
		break;
	case FREE_MANY:
		stele_kfree_bulk(100, mine);
		break;
	case LARGE:
		mine[0] = malloc(40000 + turn % 5 * 4096);
		break;
	case MAPPED:
		mine[0] = malloc(3 * MIB);
		free(mine[0]);
		break;
	case CACHE_NEW_SLAB:
		mine[0] = stele_kmem_cache_alloc(cache, K);
		fill(0, 64);
		break;
	case BULK:
		CHECK(stele_kmem_cache_alloc_bulk(cache, K, 100, mine) == 100, "no bulk");
		stele_kmem_cache_free_bulk(cache, 100, mine);
		break;
	case TRIM:
		malloc_trim(0);
		break;
	case CREATE:
		c = stele_kmem_cache_create("short", 64, 0, 0, NULL);
		CHECK(c, "no cache");
		stele_kmem_cache_free(c, stele_kmem_cache_alloc(c, K));
		CHECK(!stele_kmem_cache_destroy(c), "not destroyed");
		break;
	default:
		break;
	}
}

static void after(enum way way)
{
	switch (way) {
	case MALLOC_NEW_SLAB:
		verify(0, 48);
		free(mine[0]);
		break;
	case LARGE:
		free(mine[0]);
		break;
	case CACHE_NEW_SLAB:
		verify(0, 64);
		stele_kmem_cache_free(cache, mine[0]);
		break;
	default:
		break;
	}
}

static void traced(void *arg)
{
	enum way way = *(enum way *)arg;

	for (;;) {
		prepare(way);
		step_mark();
		go(way);
		step_mark();
		after(way);
	}
}

static unsigned long interrupt(enum way way, unsigned long *instructions)
{
	pid_t pid = step_start(traced, &way);
	unsigned long length, hit = 0;

	for (int i = 0; i < 5; i++)
		CHECK(step_to_mark(pid), "the child ended");
	length = step_some(pid, 200000);
	if (length == 200000)
		CHECK(step_to_mark(pid), "the child ended");
	*instructions = length;
	for (unsigned long i = 0; i < SAMPLES; i++) {
		unsigned long k = (i * 619 % SAMPLES * length + i) / SAMPLES, steps;

		CHECK(step_to_mark(pid), "the child ended");
		steps = step_some(pid, k);
		if (steps < k) {
			/* what the handler holds makes the way a shorter one */
			length = steps;
			continue;
		}
		step_on(pid, SIGUSR1);
		hit++;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return hit;
}

/* ---- at random, many threads ---- */

static volatile int stop;

static void *churn(void *arg)
{
	void *p[300] = { 0 };
	unsigned seed = (unsigned)(uintptr_t)arg * 77 + 1;

	while (!stop) {
		for (int i = 0; i < 300; i++) {
			unsigned k = (seed = seed * 1103515245 + 12345) >> 16;

			if (p[i] && k % 3)
				free(p[i]);
			else if (p[i])
				continue;
			p[i] = k % 5 ? malloc(k % 7 ? 48 : k % 60000) :
				       stele_kmem_cache_alloc(cache, K);
		}
		if (seed % 16 == 0)
			malloc_trim(0);
	}
	for (int i = 0; i < 300; i++)
		free(p[i]);
	return NULL;
}

static void storm(int threads)
{
	struct itimerval every = { { 0, 97 }, { 0, 97 } }, off = { { 0, 0 }, { 0, 0 } };
	pthread_t t[4];
	double end = hard_now() + 1.5;

	stop = 0;
	served = refused = turns = 0;
	for (long i = 0; i < threads; i++)
		hard_start(&t[i], churn, (void *)(i + 1));
	CHECK(!setitimer(ITIMER_REAL, &every, NULL), "errno %d", errno);
	if (!threads) {
		static void *p[64];

		for (unsigned i = 0; hard_now() < end || turns <= TURNS; i++) {
			free(p[i % 64]);
			p[i % 64] = i % 9 ? malloc(48) : malloc(30000);
			if (i % 4096 == 0)
				malloc_trim(0);
		}
	}
	while (hard_now() < end || turns <= TURNS)
		hard_usleep(1000);
	CHECK(!setitimer(ITIMER_REAL, &off, NULL), "errno %d", errno);
	stop = 1;
	for (int i = 0; i < threads; i++)
		hard_join(t[i]);
	CHECK(turns > TURNS && served > 2 * refused, "%lu turns, %lu served, %lu refused", turns,
	      served, refused);
}

/* With leak= slabs have records, and what they lie in is not waited for either. */
static void tracked(void)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		setenv("STELE_CONF", "leak=on", 1);
		execl("/proc/self/exe", "atomic", "storm", (char *)NULL);
		_exit(9);
	}
	for (double end = hard_now() + 250; !waitpid(pid, &status, WNOHANG); hard_usleep(10000)) {
		if (hard_now() > end) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			break;
		}
	}
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status), "status %x", (unsigned)status);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	bool storms = argc > 1 && !strcmp(argv[1], "storm");

	cache = stele_kmem_cache_create("both", 64, 0, 0, NULL);
	CHECK(cache, "no cache");
	CHECK(!sigaction(SIGUSR1, &sa, NULL) && !sigaction(SIGALRM, &sa, NULL), "errno %d", errno);
	/* the trims below leave no free page but these */
	CHECK(!stele_reserve_fill(512), "no reserve");
	storm(0);
	if (!storms)
		passed("a storm of signals on one thread");
	storm(3);
	if (storms)
		return 0;
	passed("on three threads");
	tracked();
	passed("both with leak=on");
	for (int way = 0; way < NR_WAYS; way++) {
		unsigned long length = 0, hit = interrupt((enum way)way, &length);

		printf("# interrupted at %lu places, of %lu instructions\n", hit, length);
		CHECK(hit >= SAMPLES / 2, "%lu places only", hit);
		passed(names[way]);
	}
	printf("1..%d\n", tests);
	return 0;
}
