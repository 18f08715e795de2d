/* SPDX-License-Identifier: MIT */
/* The steps; see model.h. In order, they are those of lib/slab/percpu_rseq.h and percpu.c. */
#include "model.h"

#include <string.h>

#define CHILD 2		/* thread 0 is who vforks */
#define STOPPER 2

static bool is_vfork_child(const struct scene *sc, unsigned t)
{
	return sc->vfork && t == CHILD;
}

/* Does the kernel know the thread's area? */
static bool registered(const struct scene *sc, unsigned t)
{
	return !is_vfork_child(sc, t) && !(sc->unregistered && t == 1);
}

struct state model_start(const struct scene *sc)
{
	struct state s;

	memset(&s, 0, sizeof(s));
	for (unsigned t = 0; t < THREADS; t++) {
		s.t[t].exists = !(sc->vfork && t == CHILD) && (t < 2 || sc->stopper || sc->three);
		s.t[t].cpu = NOWHERE;
		s.t[t].pc = sc->stopper && t == STOPPER ? STOP_LOCK : CHOOSE;
	}
	for (unsigned c = 0; c < CPUS; c++) {
		bool made = !(sc->unmade && c == 1);

		s.on[c] = NOBODY;
		s.made[c] = s.laid_out[c] = made;
		s.hit[c] = made ? (uint8_t)c : NOWHERE;
	}
	/* one cached, the others with nobody */
	s.slot[0][0] = 1;
	s.top[0] = 1;
	s.pool = ((1u << OBJECTS) - 1) & ~1u;
	return s;
}

const char *model_check(const struct state *s)
{
	unsigned seen[OBJECTS + 1] = { 0 };

	for (unsigned o = 0; o < OBJECTS; o++)
		seen[o + 1] += s->pool >> o & 1;
	for (unsigned c = 0; c < CPUS; c++)
		for (unsigned i = 0; i < s->top[c]; i++)
			seen[s->slot[c][i]]++;
	for (unsigned t = 0; t < THREADS; t++)
		seen[s->t[t].held]++;
	for (unsigned o = 1; o <= OBJECTS; o++) {
		if (!seen[o])
			return "an object is lost";
		if (seen[o] > 1)
			return "an object is in two places";
	}
	return NULL;
}

static void forget(struct thread *t)
{
	t->announced = t->number = t->region = t->top = t->object = 0;
}

static void go_slow(struct thread *t)
{
	forget(t);
	t->pc = SLOW;
}

static void abort_sequence(const struct scene *sc, struct state *s, unsigned nr)
{
	struct thread *t = &s->t[nr];

	if (!t->announced || !registered(sc, nr) || (sc->commit_outside && t->pc == COMMIT))
		return;
	go_slow(t);
}

/* ---- a request ---- */

static const char *step_top(struct state *s, struct thread *t)
{
	if (t->region == NOWHERE) {
		go_slow(t);
		return NULL;
	}
	if (!s->laid_out[t->region])
		return "a sequence is in a region that is not laid out";
	t->top = s->top[t->region];
	if (t->top == (t->held ? CAPACITY : 0))
		go_slow(t);
	else
		t->pc = SLOT;
	return NULL;
}

static const char *step_commit(struct state *s, struct thread *t)
{
	const char *wrong = s->mine >> t->region & 1 ? "a commit to a stopped region" : NULL;

	if (t->held) {
		s->top[t->region] = t->top + 1;
		t->held = 0;
	} else {
		s->top[t->region] = t->top - 1;
		s->slot[t->region][t->top - 1] = 0;
		t->held = t->object;
	}
	forget(t);
	t->pc = CHOOSE;
	return wrong;
}

static void step_slow(struct state *s, struct thread *t)
{
	t->pc = CHOOSE;
	if (!s->made[t->told]) {
		t->pc = MAKE_LOCK;
	} else if (t->held) {
		s->pool |= 1u << (t->held - 1);
		t->held = 0;
	} else {
		for (unsigned o = 0; o < OBJECTS && !t->held; o++) {
			if (s->pool >> o & 1) {
				s->pool &= ~(1u << o);
				t->held = (uint8_t)(o + 1);
			}
		}
	}
}

static const char *step_sequence(const struct scene *sc, struct state *s, unsigned nr)
{
	struct thread *t = &s->t[nr];
	bool looks_registered = registered(sc, nr) || is_vfork_child(sc, nr);

	switch (t->pc) {
	case ANNOUNCE:
		t->announced = 1;
		t->pc = sc->number_outside ? REGION : NUMBER;
		return NULL;
	case NUMBER:
		t->number = t->told;
		if (!looks_registered && !sc->no_register_test)
			go_slow(t);
		else
			t->pc = sc->number_outside ? ANNOUNCE : REGION;
		return NULL;
	case REGION:
		t->region = s->hit[t->number];
		t->number = 0;
		t->pc = TOP;
		return NULL;
	case TOP:
		return step_top(s, t);
	case SLOT:
		if (t->held)
			s->slot[t->region][t->top] = t->held;
		else
			t->object = s->slot[t->region][t->top - 1];
		t->pc = COMMIT;
		return NULL;
	default:
		return step_commit(s, t);
	}
}

/* ---- vfork ---- */

static void step_vfork(const struct scene *sc, struct state *s, struct thread *t)
{
	struct thread *child = &s->t[CHILD];

	switch (t->pc) {
	case VFORK_CLOSE:
		s->closed = !sc->no_close;
		t->pc = VFORK_CALL;
		return;
	case VFORK_CALL:
		child->exists = 1;
		child->pc = CHOOSE;
		child->told = t->told;	/* the area is the parent's */
		t->waits = 1;
		s->on[t->cpu] = NOBODY;
		t->cpu = NOWHERE;
		t->pc = VFORK_OPEN;
		if (sc->open_early)
			s->closed = 0;
		return;
	default:
		s->closed = 0;
		t->pc = CHOOSE;
	}
}

static void child_exits(struct state *s)
{
	struct thread *child = &s->t[CHILD];

	s->on[child->cpu] = NOBODY;
	memset(child, 0, sizeof(*child));
	child->cpu = NOWHERE;
	s->t[0].waits = 0;
}

static void enter(const struct scene *sc, struct state *s, unsigned nr)
{
	struct thread *t = &s->t[nr];

	if (s->closed)
		t->pc = SLOW;
	else
		t->pc = sc->number_outside ? NUMBER : ANNOUNCE;
}

/* ---- regions ---- */

static bool step_make(const struct scene *sc, struct state *s, unsigned nr)
{
	struct thread *t = &s->t[nr];
	unsigned r = t->told;

	switch (t->pc) {
	case MAKE_LOCK:
		if (s->lock)
			return false;
		s->lock = 1;
		t->i = (uint8_t)r;	/* the number may change from here on */
		t->pc = sc->publish_early ? MAKE_PUBLISH : MAKE_LAYOUT;
		break;
	case MAKE_LAYOUT:
		s->laid_out[t->i] = 1;
		if (sc->publish_early) {
			s->lock = t->i = 0;
			t->pc = CHOOSE;
		} else {
			t->pc = MAKE_PUBLISH;
		}
		break;
	default:
		s->made[t->i] = 1;
		s->hit[t->i] = t->i;
		if (sc->publish_early && !s->laid_out[t->i]) {
			t->pc = MAKE_LAYOUT;
			break;
		}
		s->lock = t->i = 0;
		t->pc = CHOOSE;
	}
	return true;
}

static void take(struct state *s, struct thread *t)
{
	for (unsigned i = 0; i < t->top; i++)
		s->pool |= 1u << (s->slot[t->i][i] - 1);
	memset(s->slot[t->i], 0, sizeof(s->slot[t->i]));
	s->top[t->i] = 0;
	t->top = 0;
}

static void next(struct thread *t, enum pc again, enum pc then)
{
	t->pc = again;
	if (++t->i == CPUS) {
		t->i = 0;
		t->pc = then;
	}
}

static bool step_stop(const struct scene *sc, struct state *s, unsigned nr)
{
	struct thread *t = &s->t[nr];
	enum pc fenced = sc->fence_first ? STOP_CLEAR : STOP_READ;

	switch (t->pc) {
	case STOP_LOCK:
		if (s->lock)
			return false;
		s->lock = 1;
		t->pc = sc->fence_first ? STOP_FENCE : STOP_CLEAR;
		break;
	case STOP_CLEAR:
		s->hit[t->i] = NOWHERE;
		next(t, STOP_CLEAR, sc->no_fence || sc->fence_first ? STOP_READ : STOP_FENCE);
		break;
	case STOP_FENCE:
		if (s->on[t->i] != NOBODY && !(sc->fence_one && t->i))
			abort_sequence(sc, s, s->on[t->i]);
		next(t, STOP_FENCE, fenced);
		break;
	case STOP_READ:
		s->mine |= 1u << t->i;
		t->top = s->top[t->i];
		t->pc = STOP_TAKE;
		if (sc->back_early && s->made[t->i])
			s->hit[t->i] = t->i;
		break;
	case STOP_TAKE:
		take(s, t);
		next(t, STOP_READ, STOP_BACK);
		break;
	default:
		s->mine &= ~(1u << t->i);
		if (s->made[t->i])
			s->hit[t->i] = t->i;
		next(t, STOP_BACK, STOP_LOCK);
		if (t->pc == STOP_LOCK)
			s->lock = 0;
	}
	return true;
}

/* ---- the machine ---- */

/* Threads that are alike may change places: of such states one is enough. */
void model_sort(const struct scene *sc, struct state *s)
{
	unsigned alike = sc->vfork || sc->unregistered ? 0 : sc->three ? 3 : 2;

	for (unsigned n = 1; n < alike; n++) {
		for (unsigned i = n; i > 0; i--) {
			struct thread *a = &s->t[i - 1], *b = &s->t[i], tmp = *a;

			if (memcmp(a, b, sizeof(*a)) <= 0)
				break;
			*a = *b;
			*b = tmp;
		}
	}
	s->on[0] = s->on[1] = NOBODY;
	for (unsigned t = 0; t < THREADS; t++)
		if (s->t[t].cpu != NOWHERE)
			s->on[s->t[t].cpu] = (uint8_t)t;
}

bool model_step(const struct scene *sc, struct state *s, unsigned cpu, const char **wrong)
{
	unsigned nr = s->on[cpu];
	struct thread *t = &s->t[nr];

	switch (t->pc) {
	case CHOOSE:
		/* after each round trip of an object the parent vforks, and the child ends */
		if (sc->vfork && nr == 0 && !t->held && !s->t[CHILD].exists && t->i++ % 2)
			t->pc = VFORK_CLOSE;
		else if (is_vfork_child(sc, nr) && !t->held && t->i++ == 2)
			child_exits(s);
		else
			enter(sc, s, nr);
		t->i %= 4;
		return true;
	case SLOW:
		step_slow(s, t);
		return true;
	case MAKE_LOCK:
	case MAKE_LAYOUT:
	case MAKE_PUBLISH:
		return step_make(sc, s, nr);
	case VFORK_CLOSE:
	case VFORK_CALL:
	case VFORK_OPEN:
		step_vfork(sc, s, t);
		return true;
	case ANNOUNCE:
	case NUMBER:
	case REGION:
	case TOP:
	case SLOT:
	case COMMIT:
		*wrong = step_sequence(sc, s, nr);
		return true;
	default:
		return step_stop(sc, s, nr);
	}
}

void model_switch_out(const struct scene *sc, struct state *s, unsigned cpu)
{
	unsigned nr = s->on[cpu];

	abort_sequence(sc, s, nr);
	if (registered(sc, nr))
		s->t[nr].told = 0;	/* it will be told anew */
	s->t[nr].cpu = NOWHERE;
	s->on[cpu] = NOBODY;
}

bool model_switch_in(const struct scene *sc, struct state *s, unsigned cpu, unsigned nr)
{
	struct thread *t = &s->t[nr];

	if (!t->exists || t->waits || t->cpu != NOWHERE)
		return false;
	t->cpu = (uint8_t)cpu;
	s->on[cpu] = (uint8_t)nr;
	if (registered(sc, nr))
		t->told = (uint8_t)cpu;
	return true;
}
