/* SPDX-License-Identifier: MIT */
/*
 * Random sizes 16..8000 with random lifetimes. In every round a thread allocates some blocks
 * into a ring, frees others, and posts a chain of fresh blocks to its neighbour, which frees
 * what it was sent. A sender that finds its neighbour's box full empties the box itself, so
 * that a sleeping thread cannot let the program grow.
 */
#include "bench.h"

#define RING	4096
#define FRESH	100
#define SENT	24
#define BOX	16	/* chains that wait at most */

struct parcel {
	struct parcel *next;
};

struct party {
	struct parcel *mail;	/* pushed by the neighbour, taken whole by the owner */
	unsigned int waiting;	/* chains in mail, about */
	struct party *neighbour;
	uint64_t rng, rounds;
	void **ring;
} __attribute__((aligned(2 * BENCH_LINE)));

/* Small sizes are far likelier: the product of two uniform numbers. */
static size_t some_size(uint64_t *rng)
{
	return 16 + bench_range(rng, 0, 7984) * bench_range(rng, 0, 1024) / 1024;
}

static void open_mail(struct party *of)
{
	struct parcel *p, *next;

	__atomic_store_n(&of->waiting, 0, __ATOMIC_RELAXED);
	p = __atomic_exchange_n(&of->mail, NULL, __ATOMIC_ACQUIRE);
	for (; p; p = next) {
		next = p->next;
		free(p);
	}
}

static void post(struct party *to, struct parcel *first, struct parcel *last)
{
	struct parcel *old = __atomic_load_n(&to->mail, __ATOMIC_RELAXED);

	do {
		last->next = old;
	} while (!__atomic_compare_exchange_n(&to->mail, &old, first, 1, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
	if (__atomic_add_fetch(&to->waiting, 1, __ATOMIC_RELAXED) > BOX)
		open_mail(to);
}

static void send_some(struct party *me)
{
	struct parcel *first = NULL, *last = NULL, *p;
	int i;

	for (i = 0; i < SENT; i++) {
		p = bench_malloc(some_size(&me->rng));
		p->next = first;
		first = p;
		if (!last)
			last = p;
	}
	post(me->neighbour, first, last);
}

static void *party_main(void *arg)
{
	struct party *me = arg;
	uint64_t r;
	size_t i, at;

	for (r = 0; r < me->rounds; r++) {
		for (i = 0; i < FRESH; i++) {
			at = bench_range(&me->rng, 0, RING - 1);
			free(me->ring[at]);
			me->ring[at] = bench_malloc(some_size(&me->rng));
		}
		send_some(me);
		open_mail(me);
	}
	for (i = 0; i < RING; i++)
		free(me->ring[i]);
	return NULL;
}

int main(int argc, char **argv)
{
	int c, i, threads = 2;
	struct party *party;
	uint64_t rounds;

	while ((c = bench_getopt(argc, argv, "t:")) != -1)
		threads = atoi(optarg);
	party = bench_table((size_t)threads, sizeof(*party));
	rounds = bench_count(60e3 / threads);
	for (i = 0; i < threads; i++) {
		party[i].neighbour = &party[(i + 1) % threads];
		party[i].rng = bench_seed(500 + (uint64_t)i);
		party[i].rounds = rounds;
		party[i].ring = bench_table(RING, sizeof(void *));
	}

	bench_begin();
	bench_threads(threads, party_main, party, sizeof(*party));
	for (i = 0; i < threads; i++)
		open_mail(&party[i]);
	bench_end(rounds * (uint64_t)threads * (FRESH + SENT) * 2);
	return 0;
}
