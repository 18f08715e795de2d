/* SPDX-License-Identifier: MIT */
/*
 * The restartable sequences alone, without the library and without a kernel that knows them.
 *
 * The rseq area is an array of ours, so the sequences run on any machine, an emulator too. Each is
 * compared with a plain model of a sheaf, over random fillings, numbers and sizes. Then this program
 * plays the kernel: a timer interrupts it anywhere, and a handler that finds itself in a sequence
 * lets another thread have the CPU (it pops and pushes some) and resumes at the abort address.
 *
 *	qemu-aarch64 -singlestep tests/rseq/sequences	lets interrupts fall between any two instructions
 */
#include "slab/percpu_rseq.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>

#include "base/bits.h"
#include "slab/percpu_ops.h"

#ifdef HAVE_RSEQ

#define NUMBERS	3u
#define SLOTS	20u
#define ROUNDS	8000
#define STORM_SECONDS 2.0

#if defined(__x86_64__)
#define SIGNATURE	0x53053053u
#define PC(uc)		((uc)->uc_mcontext.gregs[REG_RIP])
#else
#define SIGNATURE	0xd428bc00u
#define PC(uc)		((uc)->uc_mcontext.pc)
#endif

struct hit hit;

/* As the kernel has it: cpu_id_start, cpu_id, rseq_cs, flags, node_id, mm_cid. */
static struct {
	uint32_t cpu_id_start;
	volatile int32_t cpu_id;
	volatile uint64_t rseq_cs;
	uint32_t flags, node_id;
	volatile uint32_t mm_cid;
	uint32_t pad;
} area __attribute__((aligned(32)));

struct descriptor {
	uint32_t version, flags;
	uint64_t start, length, abort;
};

static struct {
	struct region r;
	void *slots[NR_CLASSES][SLOTS];
} regions[NUMBERS];

static int test_number, failures;
static uint64_t random_state = 88172645463325252ull;

static uint64_t rnd(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

static void result(bool ok, const char *what)
{
	printf("%sok %d - %s\n", ok ? "" : "not ", ++test_number, what);
	fflush(stdout);
	failures += !ok;
}

#define MUST(cond) \
	do { \
		if (!(cond)) { \
			printf("# %s:%d: %s\n", __func__, __LINE__, #cond); \
			return false; \
		} \
	} while (0)

static uint32_t slot_offset(unsigned n, unsigned class)
{
	return (uint32_t)((char *)regions[n].slots[class] - (char *)&regions[n].r);
}

/* Number @n holds @cached objects of the class and room for @room more. */
static void fill(unsigned n, unsigned class, unsigned cached, unsigned room)
{
	struct sheaf *s = &regions[n].r.sheaf[class];

	for (unsigned i = 0; i < SLOTS; i++)
		regions[n].slots[class][i] = i < cached ? (void *)(rnd(1u << 30) * 16 + 16) : NULL;
	s->begin = slot_offset(n, class);
	s->top = s->begin + cached * 8;
	regions[n].r.end[class] = s->top + room * 8;
}

static bool hit_pop(unsigned class, void **obj)
{
	void *p;

	rseq_hit_pop(class, p, missed);
	*obj = p;
	return true;
missed:
	return false;
}

static bool hit_push(unsigned class, void *obj)
{
	rseq_hit_push(class, obj, missed);
	return true;
missed:
	return false;
}

/* What was announced last is a descriptor that the kernel would accept. */
static bool announced_well(void)
{
	const struct descriptor *d = (const struct descriptor *)(uintptr_t)area.rseq_cs;

	MUST(d && IS_ALIGNED((uintptr_t)d, 32));
	MUST(!d->version && !d->flags);
	MUST(d->length && d->length < 512);
	MUST(d->abort - d->start >= d->length);
	MUST(*(const uint32_t *)(d->abort - sizeof(uint32_t)) == SIGNATURE);
	return true;
}

enum op { HIT_POP, HIT_PUSH, POP, PUSH, POP_BATCH, PUSH_BATCH, MOVE, SET_END, NR_OPS };

/*
 * One operation on a copy of the state in plain C, one by the sequence, and everything else of
 * all regions must be as it was. The number is where the sequence should look, in @by_cpu the
 * cpu_id, else the mm_cid.
 */
static bool one(enum op op, unsigned n, unsigned class, bool by_cpu)
{
	static __typeof__(regions) before;
	unsigned cached = (unsigned)rnd(SLOTS / 2 + 1), room = (unsigned)rnd(SLOTS / 2 + 1);
	bool registered = rnd(8) != 0, stale = rnd(4) == 0;
	void *objs[SLOTS], *out[SLOTS], *obj = NULL;
	size_t want = 1 + rnd(SLOTS), bytes = want * 8, moved;
	struct sheaf *s = &regions[n].r.sheaf[class], *b = &before[n].r.sheaf[class];
	enum rseq_result r = RSEQ_DONE, expect = RSEQ_DONE;
	uint32_t old, new = 64 * (1 + (uint32_t)rnd(9));

	fill(n, class, cached, room);
	area.cpu_id = registered ? (int32_t)(by_cpu ? n : rnd(NUMBERS)) : -1 - (int32_t)rnd(2);
	area.mm_cid = by_cpu ? (uint32_t)rnd(NUMBERS) : n;
	area.rseq_cs = 0;
	for (unsigned i = 0; i < SLOTS; i++)
		objs[i] = (void *)(rnd(1u << 30) * 16 + 16);
	memset(out, 0, sizeof(out));
	memcpy(&before, &regions, sizeof(before));
	old = s->begin + (stale ? 8 : 0);

	switch (op) {
	case HIT_POP:
	case POP:
		expect = registered ? cached ? RSEQ_DONE : RSEQ_MISS : RSEQ_ABORTED;
		if (expect == RSEQ_DONE)
			b->top -= 8;
		r = op == POP ? rseq_pop(class, &obj) :
				hit_pop(class, &obj) ? RSEQ_DONE : expect ? expect : RSEQ_MISS;
		MUST(r != RSEQ_DONE || obj == before[n].slots[class][cached - 1]);
		break;
	case HIT_PUSH:
	case PUSH:
		expect = registered ? room ? RSEQ_DONE : RSEQ_MISS : RSEQ_ABORTED;
		if (expect == RSEQ_DONE) {
			before[n].slots[class][cached] = objs[0];
			b->top += 8;
		}
		r = op == PUSH ? rseq_push(class, objs[0]) :
				 hit_push(class, objs[0]) ? RSEQ_DONE : expect ? expect : RSEQ_MISS;
		break;
	case POP_BATCH:
		expect = registered ? cached ? RSEQ_DONE : RSEQ_MISS : RSEQ_ABORTED;
		moved = MIN(want, cached);
		r = rseq_pop_batch(class, out, &bytes);
		if (expect != RSEQ_DONE)
			break;
		b->top -= (uint32_t)moved * 8;
		MUST(bytes == moved * 8);
		MUST(!memcmp(out, before[n].slots[class] + cached - moved, bytes));
		MUST(moved == SLOTS || !out[moved]);
		break;
	case PUSH_BATCH:
		expect = registered ? room ? RSEQ_DONE : RSEQ_MISS : RSEQ_ABORTED;
		moved = MIN(want, room);
		r = rseq_push_batch(class, objs + want, &bytes);
		if (expect != RSEQ_DONE)
			break;
		b->top += (uint32_t)moved * 8;
		memcpy(before[n].slots[class] + cached, objs + want - moved, moved * 8);
		MUST(bytes == moved * 8);
		break;
	case MOVE:
		expect = !registered ? RSEQ_ABORTED : cached || stale ? RSEQ_MISS : RSEQ_DONE;
		if (expect == RSEQ_DONE)
			b->top = b->begin = new;
		r = rseq_move(class, old, new);
		break;
	case SET_END:
		expect = !registered ? RSEQ_ABORTED : stale ? RSEQ_MISS : RSEQ_DONE;
		if (expect == RSEQ_DONE)
			before[n].r.end[class] = new;
		r = rseq_set_end(class, old, new);
		break;
	default:
		return false;
	}
	MUST(r == expect);
	MUST(!memcmp(&before, &regions, sizeof(before)));
	return announced_well();
}

static bool compare(enum op op)
{
	/* The hit path goes by mm_cid whatever number says. */
	bool slow = op != HIT_POP && op != HIT_PUSH;

	for (int i = 0; i < ROUNDS; i++) {
		bool by_cpu = slow && i % 2;

		hit.number = hit.area + (by_cpu ? RSEQ_CPU_ID : RSEQ_MM_CID);
		/* A class that the hit path never has may still be the highest. */
		if (!one(op, (unsigned)rnd(NUMBERS), 1 + (unsigned)rnd(NR_CLASSES - 1), by_cpu))
			return false;
	}
	return true;
}

/*
 * The storm. Objects 1..OBJECTS are with the main line (in hand[]) or in one sheaf; the handler
 * leaves the same number there as it finds, but others on top: a sequence that went on, or
 * committed twice, or was believed though it was aborted, loses or doubles one.
 */
#define OBJECTS		16u
#define CLASS		7u

static volatile unsigned long interrupts, inside, aborted_at[256];
static uint64_t thread_random = 42;

static void other_thread(void)
{
	struct sheaf *s = &regions[0].r.sheaf[CLASS];
	unsigned n = (s->top - s->begin) / 8;
	void **slots = regions[0].slots[CLASS];

	/* Turn the array round by some places. */
	thread_random = thread_random * 6364136223846793005ull + 1442695040888963407ull;
	for (unsigned k = n ? 1 + (unsigned)(thread_random >> 33) % n : 0; k; k--) {
		void *first = slots[0];

		memmove(slots, slots + 1, (n - 1) * 8);
		slots[n - 1] = first;
	}
	/* And leave rubbish where nothing counts. */
	for (unsigned i = n; i < SLOTS; i++)
		slots[i] = (void *)~(uintptr_t)0;
}

static void play_kernel(int sig __unused_arg, siginfo_t *info __unused_arg, void *context)
{
	ucontext_t *uc = context;
	const struct descriptor *d = (const struct descriptor *)(uintptr_t)area.rseq_cs;
	uint64_t offset;

	interrupts++;
	if (!d)
		return;
	area.rseq_cs = 0;
	offset = (uint64_t)PC(uc) - d->start;
	if (offset >= d->length)
		return;
	inside++;
	aborted_at[MIN(offset, ARRAY_SIZE(aborted_at) - 1)]++;
	PC(uc) = (__typeof__(PC(uc)))d->abort;
	other_thread();
}

static double now(void)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	return (double)tv.tv_sec + (double)tv.tv_usec * 1e-6;
}

static bool all_there(void *const *hand, unsigned in_hand)
{
	struct sheaf *s = &regions[0].r.sheaf[CLASS];
	unsigned n = (s->top - s->begin) / 8;
	bool seen[OBJECTS + 1] = { false };

	MUST(n + in_hand == OBJECTS);
	for (unsigned i = 0; i < OBJECTS; i++) {
		uintptr_t id = (uintptr_t)(i < n ? regions[0].slots[CLASS][i] : hand[i - n]);

		MUST(id >= 1 && id <= OBJECTS && !seen[id]);
		seen[id] = true;
	}
	return true;
}

static void storm_op(void **hand, unsigned *in_hand)
{
	unsigned want = 1 + (unsigned)rnd(OBJECTS);
	size_t bytes;
	void *obj;

	switch (rnd(6)) {
	case 0:
		if (hit_pop(CLASS, &obj))
			hand[(*in_hand)++] = obj;
		break;
	case 1:
		if (*in_hand && hit_push(CLASS, hand[*in_hand - 1]))
			--*in_hand;
		break;
	case 2:
		if (rseq_pop(CLASS, &obj) == RSEQ_DONE)
			hand[(*in_hand)++] = obj;
		break;
	case 3:
		if (*in_hand && rseq_push(CLASS, hand[*in_hand - 1]) == RSEQ_DONE)
			--*in_hand;
		break;
	case 4:
		bytes = want * 8;
		if (rseq_pop_batch(CLASS, hand + *in_hand, &bytes) == RSEQ_DONE)
			*in_hand += (unsigned)bytes / 8;
		break;
	default:
		bytes = MIN(want, *in_hand) * 8;
		if (bytes && rseq_push_batch(CLASS, hand + *in_hand, &bytes) == RSEQ_DONE)
			*in_hand -= (unsigned)bytes / 8;
	}
}

static bool storm(void)
{
	struct sigaction sa = { .sa_sigaction = play_kernel, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct itimerval tick = { { 0, 150 }, { 0, 150 } }, off = { { 0, 0 }, { 0, 0 } };
	void *hand[2 * OBJECTS];
	unsigned in_hand = 0, places = 0;
	unsigned long rounds = 0;
	double end = now() + STORM_SECONDS;
	bool ok = true;

	memset(&regions, 0, sizeof(regions));
	fill(0, CLASS, OBJECTS, SLOTS - OBJECTS);
	for (uintptr_t i = 0; i < OBJECTS; i++)
		regions[0].slots[CLASS][i] = (void *)(i + 1);
	hit.number = hit.area + RSEQ_MM_CID;
	area.cpu_id = 0;
	area.mm_cid = 0;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &tick, NULL);
	while (ok && (now() < end || (!inside && now() < end + 10))) {
		for (unsigned i = 0; i < 500 && ok; i++, rounds++) {
			storm_op(hand, &in_hand);
			area.rseq_cs = 0;
			ok = all_there(hand, in_hand);
		}
	}
	setitimer(ITIMER_REAL, &off, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(aborted_at); i++)
		places += aborted_at[i] != 0;
	printf("# %lu operations, %lu interrupts, %lu in a sequence, at %u offsets\n", rounds,
	       interrupts, inside, places);
	MUST(ok);
	MUST(inside);
	return true;
}

int main(void)
{
	static const char *const names[NR_OPS] = {
		[HIT_POP] = "pop, hit path", [HIT_PUSH] = "push, hit path", [POP] = "pop",
		[PUSH] = "push", [POP_BATCH] = "pop of a batch", [PUSH_BATCH] = "push of a batch",
		[MOVE] = "a sheaf moves", [SET_END] = "a sheaf grows",
	};

	printf("1..%d\n", NR_OPS + 1);
	hit.area = (char *)&area - (char *)__builtin_thread_pointer();
	for (unsigned n = 0; n < NUMBERS; n++)
		hit.region[n] = &regions[n].r;
	for (unsigned op = 0; op < NR_OPS; op++)
		result(compare((enum op)op), names[op]);
	result(storm(), "no object is lost or doubled where sequences are interrupted");
	return failures != 0;
}

#else

int main(void)
{
	puts("1..0 # SKIP no sequences for this architecture");
	return 0;
}

#endif
