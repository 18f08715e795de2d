/* SPDX-License-Identifier: MIT */
/* Shrinkers and OOM notifiers: when they are called, when not, and how much is asked for. */
#include <pthread.h>

#include <stele.h>

#include "tap.h"

#define K STELE_GFP_KERNEL
#define BLOCK (256 * KIB)

/*
 * A cache of blocks that can be given up. All that callbacks change is volatile:
 * libc's headers promise the compiler that malloc() calls nobody back.
 */
struct store {
	void *block[4096];
	volatile unsigned long n, counts, scans, asked;
	volatile unsigned long freed;
	bool stop, nested;
};

static unsigned long count(struct stele_shrinker *s, struct stele_shrink_control *sc)
{
	struct store *st = s->private_data;

	(void)sc;
	st->counts++;
	return st->n ? st->n : STELE_SHRINK_EMPTY;
}

static unsigned long scan(struct stele_shrinker *s, struct stele_shrink_control *sc)
{
	struct store *st = s->private_data;
	unsigned long done = 0;

	st->scans++;
	st->asked += sc->nr_to_scan;
	if (st->stop)
		return STELE_SHRINK_STOP;
	/* what it allocates must not bring us back here */
	if (st->nested)
		free(malloc(100));
	while (done < sc->nr_to_scan && st->n) {
		free(st->block[--st->n]);
		done++;
	}
	st->freed += done;
	return done;
}

static struct stele_shrinker *shrinker_for(struct store *st, int seeks, long batch)
{
	struct stele_shrinker *s = stele_shrinker_alloc(0, "store-%p", (void *)st);

	MUST(s);
	s->count_objects = count;
	s->scan_objects = scan;
	s->private_data = st;
	s->seeks = seeks;
	s->batch = batch;
	stele_shrinker_register(s);
	return s;
}

static struct store store;

static void fill_store(unsigned long n, size_t size)
{
	while (store.n < n && (store.block[store.n] = stele_kmalloc(size, K | STELE_GFP_NORETRY |
								    STELE_GFP_NOWARN)))
		memset(store.block[store.n++], 1, size);
}

static void amounts(void)
{
	struct stele_shrinker *s = shrinker_for(&store, STELE_DEFAULT_SEEKS, 1);
	unsigned long freed;

	fill_store(4096, 16);
	freed = stele_shrink_all(12);
	OK(freed == 2 && store.counts == 1, "priority 12: 4 / seeks of 1/4096: %lu", freed);
	freed = stele_shrink_all(6);
	OK(freed >= 120 && freed <= 140, "priority 6: 2 / 64: %lu", freed);
	freed = stele_shrink_all(0);
	OK(!store.n, "priority 0: all, %lu", freed);
	OK(!stele_shrink_all(0), "an empty store has nothing");
	s->seeks = 0;
	fill_store(1000, 16);
	freed = stele_shrink_all(12);
	OK(freed == 500, "seeks 0: half of it, %lu", freed);
	s->seeks = STELE_DEFAULT_SEEKS;
	s->batch = 128;
	store.asked = 0;
	fill_store(1024, 16);
	for (int i = 0; i < 3; i++)
		stele_shrink_all(2);
	/* 128 a time */
	OK(store.asked % 128 == 0 && store.asked >= 256, "in batches: %lu", store.asked);
	store.stop = true;
	store.scans = 0;
	stele_shrink_all(0);
	OK(store.scans == 1, "SHRINK_STOP");
	store.stop = false;
	stele_shrink_all(0);
	stele_shrinker_free(s);
	store.counts = 0;
	stele_shrink_all(0);
	OK(!store.counts, "not called after shrinker_free");
}

/* ---- under pressure, in children with little memory ---- */

static void under_pressure(void *arg)
{
	size_t room = *(size_t *)arg;

	store = (struct store){ .nested = true };
	shrinker_for(&store, STELE_DEFAULT_SEEKS, 0);
	limit_memory(room);
	fill_store(4096, BLOCK);
	MUST(store.n > 4 && store.n < 4096 && !store.scans);
}

static void kernel_calls(void *arg)
{
	void *p;

	under_pressure(arg);
	p = stele_kmalloc(BLOCK, K);
	MUST(p && store.freed);
}

static void malloc_calls(void *arg)
{
	void *p;

	under_pressure(arg);
	p = malloc(2 * BLOCK);
	MUST(p && store.freed);
	/* and small ones */
	fill_store(4096, 1000);
	store.freed = 0;
	while (!store.freed)
		MUST(malloc(1000));
}

static void nobody_calls(void *arg)
{
	unsigned saved;

	under_pressure(arg);
	MUST(!stele_kmalloc(BLOCK, STELE_GFP_NOFS | STELE_GFP_NOWARN) && errno == ENOMEM);
	MUST(!stele_kmalloc(BLOCK, STELE_GFP_NOIO) && errno == ENOMEM);
	MUST(!stele_kmalloc(BLOCK, STELE_GFP_NOWAIT));
	MUST(!stele_kmalloc(BLOCK, STELE_GFP_ATOMIC));
	MUST(!stele_kmalloc(BLOCK, K | STELE_GFP_NORETRY | STELE_GFP_NOWARN));
	saved = stele_memalloc_nofs_save();
	MUST(!stele_kmalloc(BLOCK, K | STELE_GFP_NOWARN) && !malloc(BLOCK));
	{
		unsigned inner = stele_memalloc_nofs_save();

		stele_memalloc_nofs_restore(inner);
		MUST(!malloc(BLOCK));	/* still in the outer one */
	}
	stele_memalloc_nofs_restore(saved);
	saved = stele_memalloc_noio_save();
	MUST(!malloc(BLOCK));
	stele_memalloc_noio_restore(saved);
	saved = stele_memalloc_noreclaim_save();
	MUST(!malloc(BLOCK));
	stele_memalloc_noreclaim_restore(saved);
	MUST(!store.counts && !store.scans);
	MUST(malloc(BLOCK) && store.freed);
}

static volatile unsigned long notified, order;
static void *volatile last_resort;

static int on_oom(struct stele_notifier_block *nb, unsigned long action, void *data)
{
	notified++;
	order = order * 10 + (unsigned long)nb->priority;
	if (last_resort && nb->priority == 1 && !action) {
		free(last_resort);
		last_resort = NULL;
		*(unsigned long *)data += 4 * BLOCK;
	}
	return STELE_NOTIFY_OK;
}

static struct stele_notifier_block nb[3] = {
	{ .notifier_call = on_oom, .priority = 2 },
	{ .notifier_call = on_oom, .priority = 3 },
	{ .notifier_call = on_oom, .priority = 1 },
};

static void notifiers(void *arg)
{
	void *p;

	for (size_t i = 0; i < ARRAY_LEN(nb); i++)
		MUST(!stele_register_oom_notifier(&nb[i]));
	MUST(stele_register_oom_notifier(&nb[1]) == -EEXIST);
	last_resort = malloc(4 * BLOCK);
	under_pressure(arg);
	/* the shrinker has the first word */
	p = malloc(BLOCK);
	MUST(p && store.freed && !notified);
	while (store.n)
		store.n--;
	/* RETRY_MAYFAIL does not go as far as them */
	while (stele_kmalloc(BLOCK, K | STELE_GFP_RETRY_MAYFAIL | STELE_GFP_NOWARN))
		;
	MUST(!notified);
	p = malloc(BLOCK);
	MUST(p && notified == 3 && order == 321 && !last_resort);
	while (malloc(BLOCK))
		;
	MUST(notified >= 6 && errno == ENOMEM);
	for (size_t i = 0; i < ARRAY_LEN(nb); i++)
		MUST(!stele_unregister_oom_notifier(&nb[i]));
	MUST(stele_unregister_oom_notifier(&nb[0]) == -ENOENT);
	notified = 0;
	MUST(!malloc(BLOCK) && !notified);
}

/* ---- removal waits for who is inside ---- */

static volatile int inside, may_leave;

static unsigned long slow_count(struct stele_shrinker *s, struct stele_shrink_control *sc)
{
	(void)s;
	(void)sc;
	inside = 1;
	while (!may_leave)
		usleep(100);
	inside = 0;
	return 0;
}

static void *call_it(void *arg)
{
	stele_shrink_all(0);
	return arg;
}

static void *let_go(void *arg)
{
	usleep(50000);
	may_leave = 1;
	return arg;
}

static void removal(void)
{
	struct stele_shrinker *s = stele_shrinker_alloc(0, "slow");
	pthread_t t[2];

	s->count_objects = slow_count;
	s->scan_objects = scan;
	stele_shrinker_register(s);
	pthread_create(&t[0], NULL, call_it, NULL);
	while (!inside)
		usleep(100);
	pthread_create(&t[1], NULL, let_go, NULL);
	stele_shrinker_free(s);
	OK(!inside && may_leave, "shrinker_free waits for a callback under way");
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
}

int main(void)
{
	size_t room = 24 * MIB;

	amounts();
	lives(kernel_calls, &room, NULL, "GFP_KERNEL calls shrinkers before it fails");
	lives(malloc_calls, &room, NULL, "malloc() does too");
	lives(nobody_calls, &room, NULL,
	      "NOFS, NOIO, NOWAIT, ATOMIC, NORETRY and the scopes do not, nor do callbacks");
	lives(notifiers, &room, NULL, "OOM notifiers: after the shrinkers, by priority");
	removal();
	return tap_end();
}
