/* SPDX-License-Identifier: MIT */
/*
 * Capturing a stack.
 *
 * 1. The memo, else a walk by rules, else (unwind=libunwind) a library. A walk
 *    enters what it found in the depot and in the memo.
 *
 * 2. Desks. A capture needs a memo and room for a walk: a desk has both. Some
 *    threads own one, and enter it by a flag that only a signal handler of their
 *    own can find set. The others, such handlers, and threads that are ending
 *    borrow one for each capture. So there are as many desks as there were
 *    captures at the same moment, and OWNED_MAX more.
 *
 *	owner	0 nobody's, else whose (owned: a thread's; borrowed: 1);
 *		compare-and-swap with acquire to take, release to give back
 *	busy	the owner is at it; plain
 *
 *    A desk that nobody gives back (a handler that leaves by longjmp, a fork
 *    while another thread has it) is lost; there are enough.
 *
 * 3. The library is asked only where nested calls cannot happen: it may
 *    allocate, so a flag of the thread sends those away. In a child of fork its
 *    locks, and the dynamic linker's, may be those of a thread that is gone: there
 *    it is asked no more.
 */
#include "debug/capture.h"

#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#include "debug/memo.h"
#include "debug/thread.h"
#include "debug/track.h"
#include "os/bug.h"
#include "os/code.h"
#include "os/libc.h"
#include "os/os.h"
#include "page/page.h"
#include "tune/tune.h"

#define OWNED_MAX	256u
#define BORROWED_MAX	512u

struct desk {
	struct memo memo;
	struct own_stack stack;
	uintptr_t owner;
	bool busy;
	bool turn;
	struct walk walks[2];		/* this one, the one before, by turns */
	uint32_t ids[2];		/* of their stacks */
};

enum { BY_NOTHING, BY_MEMO, BY_LIBRARY };

static uint8_t by;		/* constant after capture_load(), but for a child of fork */
static uint32_t depth;		/* constant after capture_init() */

/* Set once, by compare-and-swap. */
static struct desk *owned[OWNED_MAX], *borrowed[BORROWED_MAX];
static pthread_key_t key;	/* gives owned desks back; valid with has_key */
static bool has_key;

/* unw_backtrace() of libunwind, or libgcc's way to the same; NULL: not loaded. */
static int (*unw_backtrace)(void **buf, int size);
static int (*gcc_backtrace)(int (*fn)(void *context, void *arg), void *arg);
static uintptr_t (*gcc_get_ip)(void *context);

__thread struct debug_thread debug_thread;

/* NULL where a flag is set, too: that is for the slow path. */
static inline struct desk *desk_in_use(void)
{
	uintptr_t desk = debug_thread.desk;

	return likely(!(desk & THREAD_FLAGS)) ? (struct desk *)desk : NULL;
}

static struct desk *desk_owned(void)
{
	return (struct desk *)(debug_thread.desk & ~(uintptr_t)THREAD_FLAGS);
}

static bool take(struct desk *d, uintptr_t owner)
{
	uintptr_t nobody = 0;

	return !READ_ONCE(d->owner) &&
	       __atomic_compare_exchange_n(&d->owner, &nobody, owner, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static void give_back(struct desk *d)
{
	store_release(&d->owner, 0);	/* pairs with take */
}

/* A free one of a table, or a new one. */
static struct desk *take_any(struct desk **table, uint32_t n, uintptr_t owner)
{
	size_t pages = bytes_pages(sizeof(struct desk));

	for (uint32_t i = 0; i < n; i++) {
		struct desk *d = load_acquire(&table[i]), *none = NULL;

		if (!d) {
			d = page_alloc_meta(pages);
			if (!d)
				return NULL;
			if (!__atomic_compare_exchange_n(&table[i], &none, d, false,
							 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
				page_free_meta(d, pages);
				d = none;
			}
		}
		if (take(d, owner))
			return d;
	}
	return NULL;
}

/* A thread ends: it may still allocate, and borrows then. */
static void thread_ends(void *desk)
{
	thread_set(THREAD_ENDING);
	thread_clear(~(uintptr_t)THREAD_FLAGS);
	barrier();
	give_back(desk);
}

/* The thread's first capture: a desk of its own; NULL: there is none. */
static struct desk *own_desk(void)
{
	struct desk *d;

	/* Once: pthread_setspecific() may allocate, and come here. */
	if (!has_key || thread_set(THREAD_ENDING))
		return NULL;
	d = take_any(owned, OWNED_MAX, (uintptr_t)&debug_thread);
	if (!d)
		return NULL;
	if (LIBC(pthread_setspecific)(key, d)) {
		give_back(d);
		return NULL;
	}
	thread_set((uintptr_t)d);
	thread_clear(THREAD_ENDING);
	return d;
}

/* What was remembered of another thread's stack is of no use. */
static void know_stack(struct desk *d)
{
	uintptr_t self = (uintptr_t)&debug_thread;

	if (d->stack.thread != self)
		d->stack = (struct own_stack){ .thread = self };
}

static uint32_t walk(struct desk *d, uintptr_t frame)
{
	struct walk *w = &d->walks[d->turn];
	struct memo_way way;
	struct stack_key wanted;
	uint32_t id;
	bool fits;

	d->turn = !d->turn;
	w->frame = frame;
	w->range = stack_range(&d->stack, frame);
	w->depth = depth;
	unwind_walk(w, &d->walks[d->turn]);
	wanted = stack_key(w->pcs, w->n, (struct stack_tail){ d->ids[d->turn], w->own, w->skip });
	fits = memo_way(&d->memo, w, &way);
	id = d->ids[!d->turn] = stack_put(&wanted);
	if (fits && id > STACK_FULL)
		memo_enter(&d->memo, w, &way, id);
	return id;
}

struct gcc_trace {
	uintptr_t *pcs;
	size_t n;
};

static int gcc_frame(void *context, void *arg)
{
	struct gcc_trace *t = arg;
	uintptr_t pc = gcc_get_ip(context);

	if (pc && !unwind_is_own(pc))
		t->pcs[t->n++] = pc;
	return t->n < depth ? 0 : 5;	/* 5: _URC_END_OF_STACK, stop */
}

/* What a library finds; our own frames are among it. */
static uint32_t ask_library(struct desk *d)
{
	uintptr_t *pcs = d->walks[0].pcs;
	void *all[STACK_DEPTH_MAX];
	struct stack_key wanted;
	size_t n = 0;
	int got;

	if (thread_set(THREAD_IN_LIBRARY))
		return STACK_UNKNOWN;
	if (unw_backtrace) {
		got = unw_backtrace(all, STACK_DEPTH_MAX);
		for (int i = 0; i < got && n < depth; i++) {
			if (all[i] && !unwind_is_own((uintptr_t)all[i]))
				pcs[n++] = (uintptr_t)all[i];
		}
	} else {
		struct gcc_trace t = { pcs, 0 };

		gcc_backtrace(gcc_frame, &t);
		n = t.n;
	}
	thread_clear(THREAD_IN_LIBRARY);
	wanted = stack_key(pcs, n, (struct stack_tail){ STACK_NONE, 0, 0 });
	return stack_put(&wanted);
}

/* By every means, at a desk that is the caller's. */
static uint32_t capture_at(struct desk *d, uintptr_t frame)
{
	struct stack_range range;
	uint32_t id;

	if (by == BY_LIBRARY)
		return ask_library(d);
	know_stack(d);
	range = stack_range(&d->stack, frame);
	id = memo_descend(&d->memo, frame, &range, true);
	return id != STACK_NONE && id != MEMO_OUTSIDE ? id : walk(d, frame);
}

static __noinline uint32_t capture_slow(uintptr_t frame)
{
	struct desk *d = desk_owned();
	uint32_t id;

	if (by == BY_NOTHING)
		return STACK_UNKNOWN;
	if (!d)
		d = own_desk();
	if (d && !d->busy) {
		d->busy = true;
		barrier();
		id = capture_at(d, frame);
		barrier();
		d->busy = false;
		return id;
	}
	d = take_any(borrowed, BORROWED_MAX, 1);
	if (!d)
		return STACK_UNKNOWN;
	id = capture_at(d, frame);
	give_back(d);
	return id;
}

uint32_t stack_capture(uintptr_t frame)
{
	struct desk *d = desk_in_use();
	struct stack_range range;
	uint32_t id;

	/* The common case: on the own stack, at the own desk, known. */
	if (unlikely(!d || d->busy || by != BY_MEMO))
		return capture_slow(frame);
	d->busy = true;
	barrier();	/* for a signal handler: set before the memo is read */
	range = stack_range(&d->stack, frame);
	id = memo_descend(&d->memo, frame, &range, false);
	barrier();
	d->busy = false;
	return likely(id != STACK_NONE && id != MEMO_OUTSIDE) ? id : capture_slow(frame);
}

uint32_t stack_known(uintptr_t frame)
{
	struct desk *d = desk_in_use();
	struct stack_range range;
	uint32_t id;

	if (!d || d->busy || by != BY_MEMO)
		return STACK_UNKNOWN;
	d->busy = true;
	barrier();
	range = stack_range(&d->stack, frame);
	id = memo_descend(&d->memo, frame, &range, false);
	barrier();
	d->busy = false;
	return id != STACK_NONE && id != MEMO_OUTSIDE ? id : STACK_UNKNOWN;
}

void capture_init(void)
{
	bool fp = tune.unwind == UNWIND_FP;

	if (tune.unwind == UNWIND_NONE)
		return;
	depth = (uint32_t)tune.depth;
	if (!fp && !os_code_known()) {
		warn("unwind: this libc does not tell where code lies: frame pointers");
		fp = true;
	}
	rule_init(fp, track_on);
	has_key = !LIBC(pthread_key_create)(&key, thread_ends);
	by = BY_MEMO;
}

void capture_load(void)
{
	void *h;

	if (tune.unwind != UNWIND_LIBUNWIND)
		return;
	/*
	 * We are initialised before libc, and dlopen() initialises libc if nobody has,
	 * with the environment that it finds in this variable.
	 */
	if (!environ)
		environ = os_environ();
	/* Local: what it exports would catch the exceptions of the program. */
	h = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
	if (h)
		unw_backtrace = (int (*)(void **, int))LIBC(dlsym)(h, "unw_backtrace");
	if (unw_backtrace) {
		by = BY_LIBRARY;
		return;
	}
	h = dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_LOCAL);
	if (h) {
		gcc_get_ip = (uintptr_t(*)(void *))LIBC(dlsym)(h, "_Unwind_GetIP");
		gcc_backtrace = (int (*)(int (*)(void *, void *), void *))
			LIBC(dlsym)(h, "_Unwind_Backtrace");
	}
	if (!gcc_get_ip)
		gcc_backtrace = NULL;
	if (gcc_backtrace)
		by = BY_LIBRARY;
	warn(gcc_backtrace ? "unwind: no libunwind.so.8: libgcc_s.so.1 instead" :
			     "unwind: no libunwind.so.8 and no libgcc_s.so.1: as with auto");
}

void capture_fork_child(void)
{
	if (by == BY_LIBRARY)
		by = BY_MEMO;
}

const char *stack_unwinder(void)
{
	if (by == BY_NOTHING)
		return "none";
	if (by == BY_LIBRARY)
		return unw_backtrace ? "libunwind" : "libgcc";
	return rule_frame_pointers() ? "fp" : "memo";
}

unsigned stack_depth(void)
{
	return depth;
}
