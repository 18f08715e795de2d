/* SPDX-License-Identifier: MIT */
/*
 * The protocol, in words.
 *
 *	stopper					thread
 *	epoch becomes odd
 *	record, signal with its address  ---->	handler: is the signal ours, and the
 *						epoch that of the record?
 *						writes where it was
 *	waits while answers grow	 <----	state = ANSWERED (release), answers + 1
 *	...					waits while the epoch is that one
 *	epoch becomes even, wakes all	 ---->	returns
 *
 * Threads may be born while others are being stopped: the list is read again
 * until it names nobody new. A new thread is made by one that has not been
 * stopped yet, so this ends.
 *
 * Records are never given back: a signal may arrive after all is over. Such a
 * latecomer finds another epoch and returns at once.
 *
 * The handler runs on the alternate stack where there is one (stacks of
 * coroutines may be too small for a frame), blocks all signals, and touches
 * nothing of libc. Who was in a system call goes on with it where that can be:
 * by SA_RESTART, or because the call that the thread was seen in is made again
 * (os_call_repeats()). It is the same call if all registers say so.
 *
 * Locking: observe_lock; epoch and answers are atomic.
 */
#include "observe/stop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "observe/scratch.h"
#include "os/proc.h"

#define PER_BLOCK	256u
#define NR_BLOCKS	1024u
#define PATIENCE_MS	2000u	/* for a thread that does not block the signal */
#define SLOW_MS		200u	/* for one in an uninterruptible call */
#define STEP_MS		5u
#define NR_HEADS	1024u	/* of the table of records by thread id */

enum { ASKED = 1, ANSWERED, SILENT };

static struct stopped *blocks[NR_BLOCKS];
static size_t nr_stopped;
static uint32_t epoch;		/* odd: threads are being held */
static uint32_t answers;
static size_t nr_answered, nr_gone;
static size_t nr_silent;		/* records that were given up */
static uint32_t heads[NR_HEADS];	/* number of a record + 1, linked by "next"; 0: none */
static struct os_sigaction before;	/* libc's handler, or the default */
static bool installed;
static const uint32_t *spared[NR_SPARED];
static int self;
static bool main_ended;

void stop_spare(unsigned which, const uint32_t *tid)
{
	spared[which] = tid;
}

size_t stop_count(void)
{
	return nr_stopped;
}

size_t stop_alive(void)
{
	return nr_stopped - nr_gone;
}

bool stop_main_ended(void)
{
	return main_ended;
}

size_t stop_answered(void)
{
	return nr_answered;
}

struct stopped *stop_at(size_t i)
{
	return &blocks[i / PER_BLOCK][i % PER_BLOCK];
}

/* Value of the signal: which record, of which epoch. */
static void *cookie(size_t i)
{
	return (void *)((uintptr_t)i << 32 | READ_ONCE(epoch));
}

static void hand_on(int sig, siginfo_t *info, void *context)
{
	void (*libc)(int, siginfo_t *, void *) =
		(void (*)(int, siginfo_t *, void *))before.handler;

	if (before.handler != (void *)SIG_DFL && before.handler != (void *)SIG_IGN)
		libc(sig, info, context);
}

static void on_stop(int sig, siginfo_t *info, void *context)
{
	uintptr_t value = (uintptr_t)info->si_value.sival_ptr;
	uint32_t now = load_acquire(&epoch);
	struct os_call call;
	struct stopped *t;
	bool repeat;

	if (info->si_code != SI_QUEUE || info->si_pid != os_pid()) {
		hand_on(sig, info, context);
		return;
	}
	if ((uint32_t)value != now || !(now & 1))
		return;
	t = stop_at(value >> 32);
	os_context_regs(context, &t->regs, &t->regs_bytes, &t->sp);
	t->context = context;
	t->low = (uintptr_t)__builtin_frame_address(0);
	t->tp = (uintptr_t)__builtin_thread_pointer();
	/* The record is not ours any more once the stop is over. */
	call = t->call;
	repeat = t->repeat;
	store_release(&t->state, ANSWERED);	/* pairs with the stopper's load */
	__atomic_add_fetch(&answers, 1, __ATOMIC_RELEASE);
	os_futex_wake(&answers, 1);
	while (load_acquire(&epoch) == now)
		os_futex_wait(&epoch, now);
	if (repeat)
		os_context_repeat(context, &call);
}

static bool is_spared(int tid)
{
	if (tid == self)
		return true;
	for (unsigned i = 0; i < NR_SPARED; i++) {
		if (spared[i] && (int)READ_ONCE(*spared[i]) == tid)
			return true;
	}
	return false;
}

struct listing {
	size_t added;
	bool failed;
};

static uint32_t *head_of(int tid)
{
	return &heads[(unsigned)tid % NR_HEADS];
}

static bool is_listed(int tid)
{
	uint32_t i = *head_of(tid);

	while (i && stop_at(i - 1)->tid != tid)
		i = stop_at(i - 1)->next;
	return i;
}

/* One that was given up may answer yet: the count alone does not tell that all have. */
static bool all_answered(void)
{
	if (load_acquire(&answers) + nr_silent < nr_stopped)
		return false;
	for (size_t i = 0; i < nr_stopped; i++) {
		if (load_acquire(&stop_at(i)->state) == ASKED)
			return false;
	}
	return true;
}

/* The number behind @name in a text of lines. */
static uint64_t field(const char *text, const char *name, unsigned base)
{
	const char *at = strstr(text, name);
	uint64_t v = 0;

	for (at = at ? at + strlen(name) : ""; *at == ' ' || *at == '\t'; at++)
		;
	for (;; at++) {
		unsigned d = *at >= '0' && *at <= '9' ? (unsigned)(*at - '0') :
			     *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a') + 10 : 99;

		if (d >= base)
			return v;
		v = v * base + d;
	}
}

/* 'R', 'S', 'D', ...; 0: there is no such thread. */
static char thread_state(int tid)
{
	char text[256];
	const char *at;

	if (os_read_task(tid, "stat", text, sizeof(text)) <= 0)
		return '\0';
	at = strrchr(text, ')');	/* the name before it may hold anything */
	return at && at[1] == ' ' ? at[2] : '\0';
}

/*
 * Will it not answer? It is gone, ends, has the signal blocked, or waits in the
 * kernel for what may take long: for a child of vfork() to call exec.
 */
static bool is_deaf(int tid, unsigned waited_ms)
{
	char text[2048], state = thread_state(tid);

	if (!state || state == 'Z' || state == 'X' || (state == 'D' && waited_ms >= SLOW_MS) ||
	    os_read_task(tid, "status", text, sizeof(text)) <= 0)
		return true;
	return field(text, "SigBlk:", 16) >> (OS_SIGNAL_SYNC - 1) & 1;
}

/* "number args... sp pc", or "running". */
static void guess_sp(struct stopped *t)
{
	char text[256];
	long n = os_read_task(t->tid, "syscall", text, sizeof(text));
	int words = 0;

	for (long i = n; i-- > 0;) {
		if (text[i] != ' ')
			continue;
		if (++words == 2) {
			t->sp = field(text + i, " 0x", 16);
			return;
		}
	}
}

static void give_up(struct stopped *t)
{
	char state = thread_state(t->tid);

	t->state = SILENT;
	nr_silent++;
	if (state == 'Z' && t->tid == os_pid())
		main_ended = true;
	if (!state || state == 'Z' || state == 'X')
		t->gone = true;
	else
		guess_sp(t);
}

static void ask(int tid, void *arg)
{
	struct listing *l = arg;
	size_t b = nr_stopped / PER_BLOCK;
	struct stopped *t;
	int err;

	if (is_spared(tid) || is_listed(tid))
		return;
	if (b < NR_BLOCKS && !blocks[b])
		blocks[b] = keep_alloc(PER_BLOCK * sizeof(struct stopped));
	if (b >= NR_BLOCKS || !blocks[b]) {
		l->failed = true;
		return;
	}
	t = stop_at(nr_stopped);
	memset(t, 0, sizeof(*t));
	t->tid = tid;
	t->state = ASKED;
	t->repeat = os_read_call(tid, &t->call) && os_call_repeats(&t->call);
	err = os_signal_value(tid, OS_SIGNAL_SYNC, cookie(nr_stopped));
	/* A thread that has just ended is none. */
	if (err == -ESRCH)
		return;
	t->next = *head_of(tid);
	*head_of(tid) = (uint32_t)++nr_stopped;
	l->added++;
	if (err)
		give_up(t);
}

static void await(void)
{
	unsigned waited = 0;

	for (;;) {
		uint32_t seen = load_acquire(&answers);

		if (all_answered())
			return;
		os_futex_wait_ms(&answers, seen, STEP_MS);
		if (load_acquire(&answers) != seen)
			continue;
		waited += STEP_MS;
		for (size_t i = 0; i < nr_stopped; i++) {
			struct stopped *t = stop_at(i);

			if (load_acquire(&t->state) == ASKED &&
			    (waited >= PATIENCE_MS || is_deaf(t->tid, waited)))
				give_up(t);
		}
	}
}

static void read_name(struct stopped *t)
{
	long n = os_read_task(t->tid, "comm", t->name, sizeof(t->name));

	if (n > 0 && t->name[n - 1] == '\n')
		t->name[n - 1] = '\0';
}

static bool install(void)
{
	struct os_sigaction act = {
		.handler = (void *)on_stop,
		.flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK,
		.mask = ~0ull,
	};
	struct os_sigaction old;

	if (os_sigaction(OS_SIGNAL_SYNC, NULL, &old))
		return false;
	if (old.handler != (void *)on_stop)
		before = old;
	installed = !os_sigaction(OS_SIGNAL_SYNC, &act, NULL);
	return installed;
}

/* Where libc had no handler ours stays, for a signal that comes late must not kill. */
static void uninstall(void)
{
	if (installed && before.handler != (void *)SIG_DFL)
		os_sigaction(OS_SIGNAL_SYNC, &before, NULL);
}

bool stop_threads(void)
{
	struct listing l;

	self = os_tid();
	nr_stopped = nr_answered = nr_gone = nr_silent = 0;
	memset(heads, 0, sizeof(heads));
	main_ended = false;
	WRITE_ONCE(answers, 0);
	store_release(&epoch, epoch + 1);
	if (!install())
		return false;
	do {
		l = (struct listing){ 0, false };
		if (os_each_task(ask, &l) < 0 && !nr_stopped)
			return false;
		await();
	} while (l.added && !l.failed);
	for (size_t i = 0; i < nr_stopped; i++) {
		nr_answered += stop_at(i)->state == ANSWERED;
		nr_gone += stop_at(i)->gone;
		read_name(stop_at(i));
	}
	return !l.failed;
}

void stop_resume(void)
{
	store_release(&epoch, epoch + 1);
	os_futex_wake(&epoch, 1 << 30);
	uninstall();
}
