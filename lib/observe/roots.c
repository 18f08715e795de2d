/* SPDX-License-Identifier: MIT */
#include "observe/roots.h"

#include <string.h>

#include "observe/excuse.h"
#include "observe/mark.h"
#include "observe/module.h"
#include "observe/stack_area.h"
#include "observe/stop.h"
#include "observe/storage.h"
#include "page/boot.h"
#include "slab/blocks.h"

#define RED_ZONE	128u	/* below the stack pointer of who was interrupted */
#define FRAME_MAX	(32ul << 10)	/* of a signal, with all registers that there are */
#define CONTROL_ROOM	4096u	/* behind main's thread pointer */
#define DTV_SLOTS_MAX	65536u
#define SHARED_FILE_MAX	(64ul << 20)

/* A part of the address space that is marked by other means, or not at all. */
struct span {
	uintptr_t start, end;
};

/* A part of it whose words have another name. */
struct label {
	uintptr_t start, end;
	enum root_kind kind;
	uint32_t who;
};

struct thread {
	uintptr_t tp;
	uint32_t tid;		/* 0: it has ended */
};

static struct {
	const struct maps *maps;
	const struct reporter *caller;
	int fd;
	bool no_memory;
	struct vec skips;	/* struct span */
	struct vec labels;	/* struct label */
	struct vec live, dead;	/* struct thread */
	size_t tls_bytes;	/* of the modules together: an upper bound */
} r;

static void add_skip(uintptr_t start, uintptr_t end, void *arg __unused_arg)
{
	struct span *s = start < end ? VEC_ADD(&r.skips, struct span) : NULL;

	if (s)
		*s = (struct span){ start, end };
	else if (start < end)
		r.no_memory = true;
}

static void add_label(uintptr_t start, uintptr_t end, enum root_kind kind, uint32_t who)
{
	struct label *l = VEC_ADD(&r.labels, struct label);

	if (l)
		*l = (struct label){ start, end, kind, who };
	else
		r.no_memory = true;
}

static void add_thread(struct vec *to, uintptr_t tp, uint32_t tid)
{
	struct thread *t = VEC_ADD(to, struct thread);

	if (t)
		*t = (struct thread){ tp, tid };
	else
		r.no_memory = true;
}

static bool span_less(const void *a, const void *b)
{
	return ((const struct span *)a)->start < ((const struct span *)b)->start;
}

static bool label_less(const void *a, const void *b)
{
	return ((const struct label *)a)->start < ((const struct label *)b)->start;
}

static void add_modules(void)
{
	for (size_t i = 0; i < module_count(); i++) {
		const struct module *m = module_at(i);

		if (m->until != MODULE_LOADED)
			continue;
		r.tls_bytes += m->tls_size + m->tls_align;
		for (unsigned k = 0; k < m->nr_segments; k++) {
			if (m->ours)
				add_skip(m->segment[k].start, m->segment[k].end, NULL);
			else
				add_label(m->segment[k].start, m->segment[k].end, ROOT_DATA,
					  (uint32_t)i);
		}
	}
}

/*
 * A thread's vector of thread-local storage, {generation or room, ...} in words of
 * two: found by an interior pointer. Of a thread that has ended, and of libraries that
 * are closed, the blocks it names are libc's to free, but what they hold is nobody's:
 * they are left to a second call, with @live false.
 */
static void mark_dtv(uintptr_t tp, uint32_t tid, bool live)
{
	struct block b;
	uintptr_t dtv = stack_area_dtv(tp), pair[2], slots;

	if (!dtv || os_peek((const void *)(dtv - sizeof(pair)), pair, sizeof(pair)))
		return;
	slots = MIN(pair[0], (uintptr_t)DTV_SLOTS_MAX);
	mark_held(dtv - sizeof(pair), ROOT_TLS, tid, tp, false);
	for (uintptr_t i = 1; i <= slots; i++) {
		if (os_peek((const void *)(dtv + i * sizeof(pair)), pair, sizeof(pair)))
			return;
		if (!pair[1] || pair[0] == ~(uintptr_t)0 ||
		    (live && block_find((void *)pair[1], &b) && storage_is_closed(i, &b)))
			continue;
		/* Where it is, and what free() is to be given. */
		mark_held(pair[1], ROOT_TLS, tid, dtv + i * sizeof(pair), live);
		mark_held(pair[0], ROOT_TLS, tid, dtv + i * sizeof(pair), live);
	}
}

/* The stack from @sp up; what lies from thread-local storage upwards has its own name. */
static void mark_stack(uintptr_t sp, uintptr_t high, uintptr_t tp, uint32_t tid)
{
	uintptr_t tls = tp && tp > sp && tp < high && tp - sp > r.tls_bytes ? tp - r.tls_bytes :
									      high;

	for (unsigned i = 0; i < ARRAY_SIZE(r.caller->dead); i++) {
		const struct os_range *dead = &r.caller->dead[i];

		if ((int)tid == r.caller->tid && dead->start >= sp && dead->end <= tls) {
			mark_range(sp, dead->start, ROOT_STACK, tid);
			sp = dead->end;
		}
	}
	mark_pages(r.fd, sp, tls, true, ROOT_STACK, tid);
	mark_pages(r.fd, tls, high, true, ROOT_TLS, tid);
}

/*
 * What a thread has below its stack pointer where a stack counts as a whole: the rest of its own
 * stack, else what a signal has put there, with registers that are dead.
 */
static void mark_below(uintptr_t sp, uintptr_t low, const struct stack_area *a)
{
	bool own = a && sp >= a->low && sp < a->high;
	struct block b;

	if (!own && (low >= sp || sp - low > FRAME_MAX))
		return;
	if (own)
		low = a->low;
	if (block_find((void *)sp, &b))
		mark_dead(MAX(low, (uintptr_t)b.addr), sp);
	else if (!own)
		add_skip(low, sp, NULL);
}

/*
 * A live thread of which we know where it was. On its own stack: from there up.
 * Elsewhere (alternate stack, coroutine) the whole of its own stack counts, and
 * where it is belongs to a mapping or to a block, which counts as such.
 */
static void mark_thread(uintptr_t sp, uintptr_t low, uintptr_t tp, uint32_t tid)
{
	const struct vma *v;
	struct stack_area a;
	struct block b;

	add_thread(&r.live, tp, tid);
	mark_dtv(tp, tid, true);
	if (stack_area_of(tp, &a)) {
		mark_below(sp, low, &a);
		bool own = sp >= a.low && sp < a.high;

		/* In a block of the heap: that block is held as a whole. */
		if (block_find((void *)sp, &b))
			mark_held(sp, ROOT_STACK, tid, tp, true);
		v = maps_find(r.maps, a.high - 1);
		mark_stack(own ? sp : v ? MAX(v->start, a.low) : a.low, a.high, tp, tid);
		add_skip(a.low, a.high, NULL);
		return;
	}
	v = maps_find(r.maps, sp);
	if (v && !strcmp(v->path, "[stack]")) {
		mark_stack(sp, v->end, 0, tid);
		add_skip(v->start, v->end, NULL);
	} else {
		mark_below(sp, low, NULL);
		if (block_find((void *)sp, &b))
			mark_held(sp, ROOT_STACK, tid, tp, true);
	}
	if (tp)
		add_label(tp - MIN(r.tls_bytes, tp), tp + CONTROL_ROOM, ROOT_TLS, tid);
}

/*
 * Who waits in a function of libc has called it, and a call keeps no vector register:
 * what is in them is left from long ago.
 */
static bool vectors_are_dead(const void *context)
{
	uintptr_t pc = os_context_call(context);
	const struct module *m = pc ? module_of(pc, ~0u) : NULL;
	const char *name = m ? strrchr(m->path, '/') : NULL;

	return name && !strncmp(name, "/libc.so", 8);
}

static void mark_registers(const void *regs, size_t bytes, const void *context, uint32_t tid)
{
	size_t n;
	const void *v;

	if (regs)
		mark_range((uintptr_t)regs, (uintptr_t)regs + bytes, ROOT_REGISTER, tid);
	v = context && !vectors_are_dead(context) ? os_context_vectors(context, &n) : NULL;
	if (v)
		mark_range((uintptr_t)v, (uintptr_t)v + n, ROOT_REGISTER, tid);
}

static void mark_threads(void)
{
	const struct reporter *c = r.caller;

	if (c->sp) {
		mark_registers(c->regs, c->regs_bytes, c->context, (uint32_t)c->tid);
		mark_held((uintptr_t)c->altstack, ROOT_STACK, (uint32_t)c->tid, c->sp, true);
		mark_thread(c->sp - (c->context ? RED_ZONE : 0), c->altstack ? c->sp : c->low, c->tp,
			    (uint32_t)c->tid);
	}
	for (size_t i = 0; i < stop_count(); i++) {
		const struct stopped *t = stop_at(i);
		const void *altstack;

		/* Of who did not answer, the mapping that it stands on counts as a whole. */
		if (!t->context)
			continue;
		mark_registers(t->regs, t->regs_bytes, t->context, (uint32_t)t->tid);
		altstack = os_context_altstack(t->context);
		mark_held((uintptr_t)altstack, ROOT_STACK, (uint32_t)t->tid, t->sp, true);
		mark_thread(t->sp - RED_ZONE, altstack ? t->sp : t->low, t->tp, (uint32_t)t->tid);
	}
}

/* Of who did not answer the stack counts as a whole, by its mapping. */
static bool is_live(const struct stack_area *a)
{
	for (size_t i = 0; i < r.live.count; i++) {
		if (VEC_AT(&r.live, struct thread, i)->tp == a->tp)
			return true;
	}
	for (size_t i = 0; i < stop_count(); i++) {
		const struct stopped *t = stop_at(i);

		if (!t->context && !t->gone && stack_area_names(a, t->tid)) {
			add_thread(&r.live, a->tp, (uint32_t)t->tid);
			mark_dtv(a->tp, (uint32_t)t->tid, true);
			return true;
		}
	}
	return false;
}

/* Main's thread pointer; 0: not known. */
static uintptr_t main_tp(void)
{
	if (r.caller->tid == os_pid())
		return r.caller->tp;
	for (size_t i = 0; i < stop_count(); i++) {
		if (stop_at(i)->tid == os_pid())
			return stop_at(i)->tp;
	}
	return 0;
}

/* Who has not been joined yet has a result to hand over: it is in the control block. */
static void dead_stack(const struct stack_area *a, void *arg __unused_arg)
{
	if (is_live(a))
		return;
	add_skip(a->low, a->high, NULL);
	if (!stack_area_kept(a, main_tp(), os_pid()))
		mark_range(a->tp, a->tp + CONTROL_BYTES, ROOT_TLS, 0);
	add_thread(&r.dead, a->tp, 0);
}

/* libc's stacks lie behind a guard. */
static void find_dead_stacks(void)
{
	for (size_t i = 1; i < r.maps->count; i++) {
		const struct vma *v = &r.maps->at[i], *guard = v - 1;

		if (v->read && v->write && !v->shared && !v->inode && v->path[0] != '[' &&
		    guard->end == v->start && !guard->read && !guard->write && !guard->inode)
			stack_area_search(r.fd, v, dead_stack, NULL);
	}
}

static void skip_main_stack(void)
{
	for (size_t i = 0; i < r.maps->count; i++) {
		if (!strcmp(r.maps->at[i].path, "[stack]"))
			add_skip(r.maps->at[i].start, r.maps->at[i].end, NULL);
	}
}

/* Of shared files those pages that this process has looked at; see view(). */
static bool counts(const struct vma *v)
{
	if (!v->read || !strcmp(v->path, "[vvar]") || !strcmp(v->path, "[vdso]") ||
	    !strncmp(v->path, "[vvar", 5) || !strcmp(v->path, "[vsyscall]"))
		return false;
	/* Memory of devices may not like to be read. */
	if (!strncmp(v->path, "/dev/", 5) && strncmp(v->path, "/dev/zero", 9) &&
	    strncmp(v->path, "/dev/shm/", 9))
		return false;
	if (v->shared)
		return v->write && r.fd >= 0;
	/* Without a look at pages, what cannot be written was not. */
	return v->write || r.fd >= 0;
}

/*
 * Reclaim takes pages of shared files out of the page table, with all that was written into them
 * still in memory. A large file, a data base, is not drawn into the process for that.
 */
static int view(const struct vma *v)
{
	return v->shared && v->end - v->start <= SHARED_FILE_MAX ? OS_PAGES_CORE : r.fd;
}

/* [start, end) of a mapping, by the names that its parts have. */
static void mark_part(const struct vma *v, uintptr_t start, uintptr_t end, size_t *label)
{
	bool anonymous = !v->shared;
	uint32_t which = (uint32_t)(v - r.maps->at);
	int fd = view(v);

	while (start < end) {
		const struct label *l;
		uintptr_t stop = end;

		while (*label < r.labels.count &&
		       VEC_AT(&r.labels, struct label, *label)->end <= start)
			(*label)++;
		l = *label < r.labels.count ? VEC_AT(&r.labels, struct label, *label) : NULL;
		if (l && l->start <= start) {
			stop = MIN(end, l->end);
			mark_pages(fd, start, stop, anonymous, l->kind, l->who);
		} else {
			stop = l ? MIN(end, l->start) : end;
			mark_pages(fd, start, stop, anonymous, ROOT_MAPPING, which);
		}
		start = stop;
	}
}

static void mark_mappings(void)
{
	size_t skip = 0, label = 0;

	sort(r.skips.at, r.skips.count, sizeof(struct span), span_less);
	sort(r.labels.at, r.labels.count, sizeof(struct label), label_less);
	for (size_t i = 0; i < r.maps->count; i++) {
		const struct vma *v = &r.maps->at[i];
		uintptr_t at = v->start;

		if (!counts(v))
			continue;
		while (at < v->end) {
			const struct span *s;

			while (skip < r.skips.count &&
			       VEC_AT(&r.skips, struct span, skip)->end <= at)
				skip++;
			s = skip < r.skips.count ? VEC_AT(&r.skips, struct span, skip) : NULL;
			if (s && s->start <= at) {
				at = MIN(s->end, v->end);
			} else {
				uintptr_t stop = s ? MIN(s->start, v->end) : v->end;

				mark_part(v, at, stop, &label);
				at = stop;
			}
		}
	}
}

static bool untracked(const struct block *b, void *arg __unused_arg)
{
	if (!b->rec)
		mark_pages(r.fd, (uintptr_t)b->addr, (uintptr_t)b->addr + b->size, false,
			   ROOT_HEAP, 0);
	return true;
}

static void mark_idle_storage(const struct vec *threads)
{
	for (size_t i = 0; i < threads->count; i++) {
		const struct thread *t = VEC_AT(threads, struct thread, i);

		mark_dtv(t->tp, t->tid, false);
	}
}

bool roots_mark(const struct maps *maps, const struct reporter *c, int pages_fd)
{
	uintptr_t start, end;

	memset(&r, 0, sizeof(r));
	r.maps = maps;
	r.caller = c;
	r.fd = pages_fd;
	blocks_ranges(add_skip, NULL);
	scratch_ranges(add_skip, NULL);
	add_modules();
	excuse_mark_first();
	mark_threads();
	find_dead_stacks();
	if (stop_main_ended())
		skip_main_stack();
	boot_range(&start, &end);
	mark_range(start, end, ROOT_MAPPING, 0);
	mark_mappings();
	blocks_walk(untracked, NULL);
	excuse_mark_roots(pages_fd);
	/* Last, as what these name is not looked into. */
	mark_follow(pages_fd);
	mark_idle_storage(&r.live);
	mark_idle_storage(&r.dead);
	return !r.no_memory;
}
