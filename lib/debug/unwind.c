/* SPDX-License-Identifier: MIT */
/*
 * The walk.
 *
 * 1. Registers are found lazily: after a frame that saved one, it is known
 *    where it lies; it is read when a CFA depends on it. So code without frame
 *    pointers is walked by its return addresses alone.
 *
 * 2. A step takes the rule of the pc (rules.c). Where the rule is not plain
 *    (an expression, an interrupted frame) the row itself is evaluated. Where
 *    there is no row (code made at run time) frame pointers are followed, and
 *    believed when what lies before the return address is a call.
 *
 * 3. Outer frames are mostly those of the walk before, and then need not be walked:
 *    see join.c, for which it is kept where the walk stood and what each step used.
 *
 * 4. Nothing is read that was not found readable: the thread's own stack is
 *    looked at page by page, once; any other memory each time. CFAs must rise
 *    within a stack. What fails ends the walk: the frames so far are the result.
 */
#include "debug/unwind.h"

#include "os/os.h"

#define WORD		sizeof(uintptr_t)
#define READ_OFF_MAX	(1ul << 31)	/* farther from the stack pointer it is another stack */
#define FRAME_MAX	(16ul << 20)	/* of frames that frame pointers promise */

enum {
	W_UNKNOWN,	/* reg[] says nothing */
	W_VALUE,	/* reg[] is its value */
	W_MEMORY,	/* reg[] is the address where it was saved */
};

static void note_read(struct walk *w, uintptr_t off, enum read_kind kind, uint64_t value)
{
	/* A word of a frame lies above those of the frames below it. */
	if (w->nr_reads == READS_MAX || off >= READ_OFF_MAX ||
	    (kind == READ_WORD && off <= w->last_off))
		w->repeatable = false;
	else
		w->reads[w->nr_reads++] = (struct stack_read){ value, (uint32_t)off, kind };
	if (kind == READ_WORD)
		w->last_off = off;
}

static bool load(struct walk *w, uintptr_t addr, enum read_kind kind, uintptr_t *value)
{
	if (unlikely(addr % WORD))
		return false;
	if (unlikely(addr - w->range.lo >= w->range.hi - w->range.lo) &&
	    !stack_range_grow(&w->range, addr)) {
		/* Another stack: what a signal interrupted. */
		if (os_peek((const void *)addr, value, sizeof(*value)))
			return false;
		w->repeatable = false;
		return true;
	}
	*value = *(const volatile uintptr_t *)addr;
	note_read(w, addr - w->frame, kind,
		  kind == READ_RELATIVE ? *value - w->frame : *value);
	return true;
}

static bool get_reg(struct walk *w, unsigned reg, uintptr_t *value)
{
	w->needs = MIN(w->needs, w->since[reg]);
	switch (w->where[reg]) {
	case W_MEMORY:
		if (!load(w, w->reg[reg], READ_RELATIVE, &w->reg[reg]))
			return false;
		break;
	case W_UNKNOWN:
		return false;
	}
	w->where[reg] = W_VALUE;
	*value = w->reg[reg];
	return true;
}

static bool machine_reg(struct cfi_machine *m, unsigned reg, uintptr_t *value)
{
	return get_reg(container_of(m, struct walk, machine), reg, value);
}

static bool machine_load(struct cfi_machine *m, uintptr_t addr, uintptr_t *value)
{
	return load(container_of(m, struct walk, machine), addr, READ_RELATIVE, value);
}

/* A register is set by the step from the last stand. */
static void note_set(struct walk *w, unsigned reg)
{
	w->since[reg] = (uint16_t)(w->nr_stands - 1);
}

/* To the caller's frame. */
static void arrive(struct walk *w, uintptr_t cfa, uintptr_t ra)
{
	/* What two walks have in common at a stand: as if that had set them. */
	w->since[CFI_SP] = w->since[CFI_RA] = (uint16_t)w->nr_stands;
	w->sp = cfa;
	w->where[CFI_SP] = W_VALUE;
	w->reg[CFI_SP] = cfa;
	w->where[CFI_RA] = W_VALUE;	/* expressions see the pc */
	w->reg[CFI_RA] = ra;
	w->pc = ra;
	w->exact = false;
}

static bool step_plain(struct walk *w, const struct rule *r)
{
	uintptr_t cfa, ra;

	if (!get_reg(w, r->cfa_reg, &cfa))
		return false;
	cfa += (uintptr_t)(intptr_t)r->cfa_off * WORD;
	if (cfa <= w->sp || !load(w, cfa - WORD, READ_WORD, &ra))
		return false;
	rule_prefetch(ra - 1);
	for (size_t i = 0; i < NR_SAVED; i++) {
		if (r->saved[i]) {
			note_set(w, rule_saved_regs[i]);
			w->where[rule_saved_regs[i]] = W_MEMORY;
			w->reg[rule_saved_regs[i]] = cfa + (uintptr_t)(intptr_t)r->saved[i] * WORD;
		}
	}
	arrive(w, cfa, ra);
	return true;
}

/* Where a handler returns to stands no call; the row of the system's code says what it is. */
static bool is_signal_return(uintptr_t ra)
{
	struct cfi_row row;

	return cfi_find(ra - 1, &row) && row.signal;
}

static bool step_fp(struct walk *w)
{
	uintptr_t fp, old, ra;
	struct rule next;

	if (!get_reg(w, CFI_FP, &fp) || fp < w->sp || fp - w->sp > FRAME_MAX)
		return false;
	if (!load(w, fp + WORD, READ_WORD, &ra) || !load(w, fp, READ_RELATIVE, &old))
		return false;
	rule_find(ra - 1, &next);
	if (!next.after_call && !is_signal_return(ra))
		return false;
	for (unsigned reg = 0; reg < CFI_NR_REGS; reg++) {
		note_set(w, reg);
		w->where[reg] = W_UNKNOWN;
	}
	w->where[CFI_FP] = W_VALUE;
	w->reg[CFI_FP] = old;
	arrive(w, fp + 2 * WORD, ra);
	return true;
}

/* Where the caller's register is, by the row. */
static bool restore(struct walk *w, const struct cfi_row *row, unsigned reg, uintptr_t cfa,
		    uint8_t *where, uintptr_t *value)
{
	uintptr_t off = (uintptr_t)(intptr_t)row->off[reg];

	*where = w->where[reg];
	*value = w->reg[reg];
	switch ((enum cfi_kind)row->kind[reg]) {
	case CFI_SAME:
		return true;
	case CFI_UNDEFINED:
		*where = W_UNKNOWN;
		return true;
	case CFI_OFFSET:
		*where = W_MEMORY;
		*value = cfa + off;
		return true;
	case CFI_VAL_OFFSET:
		*where = W_VALUE;
		*value = cfa + off;
		return true;
	case CFI_REGISTER:
		*where = off < CFI_NR_REGS ? w->where[off] : W_UNKNOWN;
		*value = off < CFI_NR_REGS ? w->reg[off] : 0;
		return true;
	case CFI_EXPR:
		*where = W_MEMORY;
		return cfi_eval(&w->machine, row->base + row->off[reg], &cfa, value);
	case CFI_VAL_EXPR:
		*where = W_VALUE;
		return cfi_eval(&w->machine, row->base + row->off[reg], &cfa, value);
	}
	return false;
}

static bool step_row(struct walk *w, uintptr_t pc)
{
	struct cfi_row row;
	uintptr_t cfa, ra, reg[CFI_NR_REGS];
	uint8_t where[CFI_NR_REGS];

	if (!cfi_find(pc, &row))
		return false;
	if (row.cfa_is_expr) {
		if (!cfi_eval(&w->machine, row.base + row.cfa_off, NULL, &cfa))
			return false;
	} else {
		if (!get_reg(w, row.cfa_reg, &cfa))
			return false;
		cfa += (uintptr_t)(intptr_t)row.cfa_off;
	}
	if (cfa % WORD || (cfa <= w->sp && !row.signal))
		return false;
	for (unsigned i = 0; i < CFI_NR_REGS; i++) {
		if (!restore(w, &row, i, cfa, &where[i], &reg[i]))
			return false;
	}
	if (where[CFI_RA] != W_MEMORY || !load(w, reg[CFI_RA], READ_WORD, &ra))
		return false;
	for (unsigned i = 0; i < CFI_NR_REGS; i++) {
		if (row.kind[i] == CFI_REGISTER)
			w->since[i] = 0;
		else if (row.kind[i] != CFI_SAME)
			note_set(w, i);
		w->where[i] = where[i];
		w->reg[i] = reg[i];
	}
	arrive(w, cfa, ra);
	w->exact = row.signal;
	return true;
}

static bool step(struct walk *w)
{
	uintptr_t pc = w->exact ? w->pc : w->pc - 1;
	struct rule r;

	rule_find(pc, &r);
	if (likely(r.kind == RULE_PLAIN))
		return step_plain(w, &r);
	if (r.kind == RULE_FP)
		return step_fp(w);
	return r.kind != RULE_END && step_row(w, pc);
}

static void begin(struct walk *w, const struct walk *before)
{
	w->n = w->nr_reads = w->nr_stands = w->next = 0;
	w->last_off = WORD;
	w->repeatable = true;
	w->cut = false;
	w->own = STACK_DEPTH_MAX;
	w->skip = 0;
	w->generation = stack_generation();
	w->before = before;
	w->needs = UINT16_MAX;
	w->machine = (struct cfi_machine){ machine_reg, machine_load };
	for (unsigned reg = 0; reg < CFI_NR_REGS; reg++) {
		w->where[reg] = W_UNKNOWN;
		w->since[reg] = 0;
	}
	w->where[CFI_FP] = W_MEMORY;
	w->reg[CFI_FP] = w->frame;
	arrive(w, w->frame + 2 * WORD, *(const volatile uintptr_t *)(w->frame + WORD));
}

static bool step_noted(struct walk *w)
{
	bool ok = step(w);

	w->stands[w->nr_stands - 1].needs = w->needs;
	w->needs = UINT16_MAX;
	return ok;
}

/* What a stand's step does not need, a later one may. */
static void end(struct walk *w)
{
	for (size_t i = w->nr_stands; i-- > 1;)
		w->stands[i - 1].needs = MIN(w->stands[i - 1].needs, w->stands[i].needs);
}

void unwind_walk(struct walk *w, const struct walk *before)
{
	begin(w, before);
	do {
		if (!w->pc)
			break;
		if (w->before && unwind_join(w))
			break;
		w->stands[w->nr_stands++] = (struct stand){
			w->exact ? 0 : w->pc, w->sp, (uint16_t)w->n, (uint16_t)w->nr_reads,
			UINT16_MAX };
		/* As if it were a return address: so that pc - 1 is where it was. */
		if (!unwind_is_own(w->pc))
			w->pcs[w->n++] = w->pc + w->exact;
		w->cut = w->n == w->depth || w->nr_reads >= READS_MAX || w->nr_stands == STANDS_MAX;
	} while (!w->cut && step_noted(w));
	end(w);
}
