/* SPDX-License-Identifier: MIT */
/*
 * Fault injection.
 *
 * A request fails if its turn has come (interval), the bytes that are served
 * first are used up (space), chance says so (probability), and not too many have
 * failed (times); or if it is the nth of its thread. Chance is a hash of a
 * counter: the same program with one thread fails in the same places again.
 *
 * Locking: none. The fields of an attribute are read and counted one by one; a
 * request under way while they are being set may be judged by some of each.
 */
#include "page/fault.h"

#include "os/bug.h"
#include "page/task.h"
#include "tune/tune.h"

struct attr {
	uint64_t interval, probability;	/* probability 0: off */
	uint64_t space;			/* bytes still to be served */
	int64_t times;			/* still to fail; -1: any number */
	uint64_t seen, failed;
};

static struct attr attrs[2];
static uint64_t dice;			/* throws so far */
static uint32_t nth_threads;		/* with an order for one request */

bool fault_armed __initdata, fault_malloc __initdata;
__thread struct task current_task;

static void update(void)
{
	WRITE_ONCE(fault_armed, READ_ONCE(attrs[STELE_FAILSLAB].probability) ||
				READ_ONCE(attrs[STELE_FAIL_PAGE_ALLOC].probability) ||
				READ_ONCE(nth_threads));
}

bool fault_set(enum stele_fault which, const struct stele_fault_attr *in)
{
	static const struct stele_fault_attr off;
	struct attr *a;

	if ((unsigned)which >= ARRAY_SIZE(attrs))
		return false;
	if (!in)
		in = &off;
	if (in->probability > 100 || in->times < -1)
		return false;
	a = &attrs[which];
	WRITE_ONCE(a->probability, 0);
	WRITE_ONCE(a->interval, MAX(in->interval, 1ul));
	WRITE_ONCE(a->space, in->space);
	WRITE_ONCE(a->times, in->times);
	WRITE_ONCE(a->seen, 0);
	WRITE_ONCE(a->probability, in->probability);
	update();
	return true;
}

unsigned long fault_count(enum stele_fault which)
{
	return (unsigned)which < ARRAY_SIZE(attrs) ? READ_ONCE(attrs[which].failed) : 0;
}

uint32_t fault_set_nth(uint32_t n)
{
	uint32_t old = current_task.fail_nth;

	current_task.fail_nth = n;
	if (!old != !n) {
		__atomic_add_fetch(&nth_threads, n ? 1 : -1, __ATOMIC_RELAXED);
		update();
	}
	return old;
}

void fault_set_malloc(bool on)
{
	WRITE_ONCE(fault_malloc, on);
}

static bool throw(uint64_t percent)
{
	uint64_t x = __atomic_add_fetch(&dice, 1, __ATOMIC_RELAXED) * 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (x ^ x >> 31) % 100 < percent;
}

/* Of the bytes served first: false: they are used up. */
static bool take_space(struct attr *a, size_t size)
{
	uint64_t left = READ_ONCE(a->space);

	while (left) {
		uint64_t rest = left > size ? left - size : 0;

		if (__atomic_compare_exchange_n(&a->space, &left, rest, true, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return true;
	}
	return false;
}

static bool take_time(struct attr *a)
{
	int64_t left = READ_ONCE(a->times);

	while (left > 0) {
		if (__atomic_compare_exchange_n(&a->times, &left, left - 1, true,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	}
	return left == -1;
}

bool fault_decide(enum stele_fault which, size_t size)
{
	struct attr *a = &attrs[which];
	uint64_t percent = READ_ONCE(a->probability);

	if (which == STELE_FAILSLAB && current_task.fail_nth) {
		if (current_task.fail_nth > 1) {
			current_task.fail_nth--;
		} else {
			fault_set_nth(0);
			__atomic_add_fetch(&a->failed, 1, __ATOMIC_RELAXED);
			return true;
		}
	}
	if (!percent || take_space(a, size))
		return false;
	if ((__atomic_add_fetch(&a->seen, 1, __ATOMIC_RELAXED) - 1) % a->interval)
		return false;
	if ((percent < 100 && !throw(percent)) || !take_time(a))
		return false;
	__atomic_add_fetch(&a->failed, 1, __ATOMIC_RELAXED);
	return true;
}

/* One number of a text like "1:50:0:-1"; false: there is none. */
static bool number(const char **s, long *out)
{
	bool neg = **s == '-';
	const char *p = *s + neg;
	long v = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(v, 10l, &v) || __builtin_add_overflow(v, *p - '0', &v))
			return false;
	}
	*out = neg ? -v : v;
	*s = *p == ':' ? p + 1 : p;
	return true;
}

static bool word(const char **s, const char *w)
{
	const char *p = *s;

	while (*w && *p == *w) {
		p++;
		w++;
	}
	if (*w)
		return false;
	*s = p;
	return true;
}

static __init void read_tunable(enum stele_fault which, enum tune_id id)
{
	const char *s = (const char *)(uintptr_t)tune_value(id);
	struct stele_fault_attr attr;
	long v[4];
	bool ok, with_malloc = false;

	if (!s)
		return;
	ok = number(&s, &v[0]) && number(&s, &v[1]) && number(&s, &v[2]) && number(&s, &v[3]) &&
	     v[0] >= 0 && v[1] >= 0 && v[2] >= 0;
	if (ok && which == STELE_FAILSLAB)
		with_malloc = word(&s, "malloc");
	if (ok && (!*s || *s == ',' || *s == '\n')) {
		attr = (struct stele_fault_attr){ (unsigned long)v[0], (unsigned long)v[1],
						  (unsigned long)v[2], v[3] };
		if (fault_set(which, &attr)) {
			fault_malloc |= with_malloc;
			return;
		}
	}
	warn("%s: not of the form interval:probability:space:times, ignored", tunables[id].name);
}

__init void fault_init(void)
{
	read_tunable(STELE_FAILSLAB, TUNE_ID_failslab);
	read_tunable(STELE_FAIL_PAGE_ALLOC, TUNE_ID_fail_page_alloc);
}
