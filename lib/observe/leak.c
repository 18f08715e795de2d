/* SPDX-License-Identifier: MIT */
/*
 * One report, from begin to end.
 *
 *	1 observe_lock; signals blocked, so that nothing comes between
 *	2 the allocator's locks		so that no thread is stopped inside of it
 *	3 the threads are stopped	then the locks are free again, for us alone
 *	4 roots, marks, classes, groups
 *	5 the threads go on
 *	6 suppressions, names, writing	from what 4 wrote down
 *
 * A thread that dies by a signal, or calls _exit() in a handler, may have been
 * interrupted with a lock of the allocator held. So nobody waits for a lock for
 * ever: after a while it is as good as held, for its holder is stopped too, or is
 * ourselves.
 *
 * The work is done on a stack of its own: callers may have little left of theirs,
 * and nothing that we leave on it may look like a pointer of the program's. A
 * fault during 4 where none may be (a heap in ruins) ends the report with one line,
 * not the program.
 *
 * Locking: observe_lock, without regard to what the thread may have been interrupted
 * with.
 */
#include "observe/leak.h"

#include <signal.h>
#include <string.h>

#include "base/fmt.h"
#include "observe/history.h"
#include "observe/module.h"
#include "observe/names.h"
#include "observe/stop.h"
#include "observe/suppress.h"
#include "observe/write.h"
#include "os/bug.h"
#include "tune/tune.h"

#define STACK_BYTES	(256ul << 10)
/* What the kernel sends to who writes: into a pipe that nobody reads, or past a limit. */
#define SENT_TO_WRITERS	(1ull << (SIGPIPE - 1) | 1ull << (SIGXFSZ - 1))
#define PATIENCE_MS	10000u	/* for a report under way */

const char *const leak_kind_names[NR_LEAK_KINDS] = {
	"direct", "indirect", "possible", "reachable", "young",
};

uint64_t leak_began_ns;
struct lock observe_lock = LOCK_INIT(RANK_OBSERVE);

static uint32_t owner;		/* thread that reports; 0: none */
static char *stack;		/* for the work; kept */

struct work {
	struct reporter reporter;
	struct os_regs regs;
	bool write, done;
	struct leak_facts facts;
	struct groups groups;
	struct maps maps;
	struct out out;
};

/* Where a fault during the scan goes on. Only the reporting thread uses it. */
static void *escape[5];
static volatile bool escaped;

static void on_fault(int sig, siginfo_t *info, void *context __unused_arg)
{
	if ((int)READ_ONCE(owner) == os_tid()) {
		mark_fault((uintptr_t)info->si_addr);
		__builtin_longjmp(escape, 1);
	}
	/* Another thread, which could not be stopped: it dies as it would have. */
	os_sigaction(sig, &(struct os_sigaction){ 0 }, NULL);
}

static const int faults[] = { SIGSEGV, SIGBUS };

static void guard(struct os_sigaction *saved)
{
	struct os_sigaction act = {
		.handler = (void *)on_fault, .flags = SA_SIGINFO | SA_NODEFER,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(faults); i++) {
		os_sigaction(faults[i], &act, &saved[i]);
		os_unblock_signal(faults[i]);
	}
}

static void unguard(const struct os_sigaction *saved)
{
	os_block_signals();
	for (unsigned i = 0; i < ARRAY_SIZE(faults); i++)
		os_sigaction(faults[i], &saved[i], NULL);
}

static bool mark_all(struct work *w, int fd)
{
	bool ok;

	mark_begin();
	ok = roots_mark(&w->maps, &w->reporter, fd) && mark_finish();
	w->facts.scanned = mark_bytes_scanned();
	w->facts.marked = true;
	return ok;
}

/* With the threads stopped: what there is, and what of it can be reached. */
static bool look(struct work *w)
{
	uint64_t start = os_clock_ns();
	int fd = os_pages_open();
	bool ok;

	ok = maps_read(&w->maps);
	if (ok)
		module_read(&w->maps);
	ok = ok && blocks_index(scratch_alloc);
	if (ok && tune.scan == SCAN_ON)
		ok = mark_all(w, fd);
	ok = ok && groups_collect(&w->groups, &w->facts);
	if (w->facts.marked)
		mark_end();
	blocks_unindex();
	if (fd >= 0)
		os_close(fd);
	w->facts.scan_us = (os_clock_ns() - start) / 1000;
	return ok;
}

static bool look_guarded(struct work *w)
{
	struct os_sigaction saved[ARRAY_SIZE(faults)];
	volatile bool ok = false;

	guard(saved);
	if (!__builtin_setjmp(escape))
		ok = look(w);
	else
		escaped = true;
	unguard(saved);
	return ok;
}

/*
 * Who reads several snapshots tells programs that were one process one after the other
 * (exec) by when they began, the difference of these two: to the millisecond, and if we
 * are interrupted between them rather late than before the last one's end.
 */
static void stamp(struct leak_facts *f)
{
	f->now_ms = track_now();
	f->uptime_ms = leak_uptime_ms();
	f->real_ns = os_clock_real_ns();
}

/* Samples are counted as they come: nobody has to stand still for a profile. */
static void read_profile(struct work *w)
{
	stamp(&w->facts);
	w->done = maps_read(&w->maps);
	if (w->done)
		module_read(&w->maps);
	w->done = w->done && groups_profile(&w->groups, &w->facts);
	if (!w->done)
		warn("profile: no report: no memory for it");
}

static void find_out(struct work *w)
{
	uint64_t start;
	bool stopped, ok;

	w->facts.pid = os_pid();
	w->facts.maps = &w->maps;
	if (track_sampling) {
		read_profile(w);
		return;
	}
	/* Most of the modules' table is made while the program runs. */
	if (maps_read(&w->maps))
		module_read(&w->maps);
	blocks_lock();
	start = os_clock_ns();
	stopped = stop_threads();
	blocks_unlock();
	stamp(&w->facts);
	escaped = false;
	ok = stopped && look_guarded(w);
	stop_resume();
	w->facts.pause_us = (os_clock_ns() - start) / 1000;
	w->facts.threads = stop_alive();
	w->facts.answered = stop_answered();
	if (!ok)
		warn("leaks: no report: %s", !stopped ? "the threads cannot be listed" :
					     escaped  ? "a fault while scanning" :
							"no memory for it");
	w->done = ok;
}

/* Nothing is said of a program that has nothing of what is to be shown. */
static bool any_shown(const struct leak_counts *counts)
{
	for (unsigned k = 0; k < NR_LEAK_KINDS; k++) {
		if (leak_names.show >> k & 1 && counts->blocks[k])
			return true;
	}
	return false;
}

static void write_out(struct work *w)
{
	char path[LEAK_PATH_MAX];
	int fd;

	if (!leak_names.output[0]) {
		if (w->facts.marked && !any_shown(&w->facts.counts))
			return;
		out_open(&w->out, report_fd);
		leak_write_text(&w->out, &w->groups, &w->facts, leak_names.show);
		return;
	}
	fd = leak_output_open(path, sizeof(path));
	if (fd < 0) {
		warn("leak_output: cannot write %s: error %d", path, -fd);
		return;
	}
	out_open(&w->out, fd);
	leak_write_snapshot(&w->out, &w->groups, &w->facts);
	if (w->out.error)
		warn("leak_output: cannot write %s: error %d", path, -w->out.error);
	os_close(fd);
}

/* On the stack of reports. */
static void work(void *arg)
{
	struct work *w = arg;

	if (!w->reporter.context && w->reporter.tid)
		w->reporter.sp = w->regs.sp;
	w->reporter.low = w->regs.sp;
	find_out(w);
	if (!w->done)
		return;
	if (leak_names.suppress[0])
		suppress_read(leak_names.suppress);
	groups_judge(&w->groups, &w->facts);
	history_add();
	if (w->write)
		write_out(w);
	suppress_end();
}

/* In a frame of its own, small and filled: it lies where the program's may have been. */
static __noinline void work_elsewhere(struct work *w)
{
	os_run_on(stack + STACK_BYTES, work, w, &w->regs);
}

static struct work *begin(const char *reason, const char *detail,
			  const struct reporter *reporter, bool write)
{
	struct work *w;

	if (!stack)
		stack = keep_alloc(STACK_BYTES);
	w = stack ? scratch_alloc(sizeof(*w)) : NULL;
	if (!w)
		return NULL;
	w->facts.reason = reason;
	w->facts.detail = detail;
	w->write = write;
	if (reporter) {
		w->reporter = *reporter;
		w->reporter.tid = os_tid();
		w->reporter.tp = (uintptr_t)__builtin_thread_pointer();
		w->reporter.altstack = os_altstack();
		if (!reporter->context) {
			w->reporter.regs = w->regs.word;
			w->reporter.regs_bytes = sizeof(w->regs.word);
		}
	}
	return w;
}

bool leak_report(const char *reason, const char *detail, const struct reporter *reporter,
		 bool write, struct leak_counts *counts)
{
	uint64_t blocked = os_block_signals();
	uint64_t pending = os_pending_signals();
	bool done = false;
	struct work *w;

	/* A fault of ours that was caught as the program's: no report about a report. */
	if ((int)READ_ONCE(owner) == os_tid() ||
	    !lock_acquire_for_fork_within(&observe_lock, PATIENCE_MS)) {
		os_set_blocked(blocked);
		return false;
	}
	WRITE_ONCE(owner, (uint32_t)os_tid());
	w = begin(reason, detail, reporter, write);
	if (w) {
		work_elsewhere(w);
		done = w->done;
		if (counts)
			*counts = w->facts.counts;
	} else {
		warn("leaks: no report: no memory for it");
	}
	scratch_free_all();
	WRITE_ONCE(owner, 0);
	lock_unlock_word(&observe_lock);
	/* That a report could not be written is nothing to die of. */
	os_drop_signals(SENT_TO_WRITERS & ~pending);
	os_set_blocked(blocked);
	return done;
}

static bool await(void)
{
	return (int)READ_ONCE(owner) != os_tid() &&
	       lock_acquire_for_fork_within(&observe_lock, PATIENCE_MS);
}

void leak_wait(void)
{
	if (await())
		lock_unlock_word(&observe_lock);
}

void leak_hold(void)
{
	if (await())
		WRITE_ONCE(owner, (uint32_t)os_tid());
}

bool leak_is_mine(void)
{
	return (int)READ_ONCE(owner) == os_tid();
}

void leak_forked(void)
{
	WRITE_ONCE(owner, 0);
}

bool leak_any(const struct leak_counts *c)
{
	return c->blocks[LEAK_DIRECT] || c->blocks[LEAK_INDIRECT] || c->blocks[LEAK_POSSIBLE];
}
