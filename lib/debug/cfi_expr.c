/* SPDX-License-Identifier: MIT */
/*
 * DWARF expressions, as far as call frame information uses them: the entries of
 * PLTs, realigned stacks, signal frames. Also the readers of numbers that both
 * files share.
 */
#include "debug/cfi.h"

#include <string.h>

#define STACK_MAX	16
#define STEPS_MAX	256	/* an expression may branch backwards */

uint64_t cfi_u_slow(struct cfi_cursor *c, size_t bytes)
{
	uint64_t v = 0;

	if ((size_t)(c->end - c->p) < bytes) {
		c->bad = true;
		c->p = c->end;
		return 0;
	}
	memcpy(&v, c->p, bytes);
	c->p += bytes;
	return v;
}

/* The bits of a LEB128 number; *@shift: how many, *@last: the byte that ends it. */
static uint64_t leb(struct cfi_cursor *c, unsigned *shift, uint8_t *last)
{
	uint64_t v = 0;

	*shift = 0;
	do {
		*last = (uint8_t)cfi_u(c, 1);
		if (*shift < 64)
			v |= (uint64_t)(*last & 0x7f) << *shift;
		*shift += 7;
	} while (*last & 0x80);
	return v;
}

uint64_t cfi_uleb_slow(struct cfi_cursor *c)
{
	unsigned shift;
	uint8_t last;

	return leb(c, &shift, &last);
}

int64_t cfi_sleb(struct cfi_cursor *c)
{
	unsigned shift;
	uint8_t last;
	uint64_t v = leb(c, &shift, &last);

	if (shift < 64 && last & 0x40)
		v |= ~0ull << shift;
	return (int64_t)v;
}

enum op {
	OP_ADDR = 0x03, OP_DEREF = 0x06,
	OP_CONST1U = 0x08, OP_CONST1S, OP_CONST2U, OP_CONST2S, OP_CONST4U, OP_CONST4S,
	OP_CONST8U, OP_CONST8S, OP_CONSTU, OP_CONSTS,
	OP_DUP = 0x12, OP_DROP, OP_OVER, OP_PICK, OP_SWAP, OP_ROT,
	OP_ABS = 0x19, OP_AND, OP_DIV, OP_MINUS, OP_MOD, OP_MUL, OP_NEG, OP_NOT, OP_OR,
	OP_PLUS, OP_PLUS_UCONST, OP_SHL, OP_SHR, OP_SHRA, OP_XOR, OP_BRA,
	OP_EQ, OP_GE, OP_GT, OP_LE, OP_LT, OP_NE, OP_SKIP,
	OP_LIT0 = 0x30, OP_LIT31 = 0x4f,
	OP_BREG0 = 0x70, OP_BREG31 = 0x8f,
	OP_BREGX = 0x92, OP_DEREF_SIZE = 0x94, OP_NOP = 0x96,
};

struct eval {
	struct cfi_machine *m;
	struct cfi_cursor c;
	const uint8_t *start;
	int64_t stack[STACK_MAX];
	int n;
	bool bad;
};

static void push_value(struct eval *e, int64_t v)
{
	if (e->n == STACK_MAX)
		e->bad = true;
	else
		e->stack[e->n++] = v;
}

/* The @i-th from the top; a harmless one where the stack is too short. */
static int64_t *at(struct eval *e, int i)
{
	if (i < 0 || i >= e->n) {
		e->bad = true;
		return &e->stack[0];
	}
	return &e->stack[e->n - 1 - i];
}

static int64_t pop(struct eval *e)
{
	int64_t v = *at(e, 0);

	if (e->n)
		e->n--;
	return v;
}

static int64_t binary(struct eval *e, enum op op, int64_t a, int64_t b)
{
	switch (op) {
	case OP_AND: return a & b;
	case OP_OR: return a | b;
	case OP_XOR: return a ^ b;
	case OP_PLUS: return (int64_t)((uint64_t)a + (uint64_t)b);
	case OP_MINUS: return (int64_t)((uint64_t)a - (uint64_t)b);
	case OP_MUL: return (int64_t)((uint64_t)a * (uint64_t)b);
	case OP_SHL: return b & ~63 ? 0 : (int64_t)((uint64_t)a << b);
	case OP_SHR: return b & ~63 ? 0 : (int64_t)((uint64_t)a >> b);
	case OP_SHRA: return a >> (b & ~63 ? 63 : b);
	case OP_EQ: return a == b;
	case OP_GE: return a >= b;
	case OP_GT: return a > b;
	case OP_LE: return a <= b;
	case OP_LT: return a < b;
	case OP_NE: return a != b;
	default:	/* DIV, MOD: no compiler emits them here */
		e->bad = true;
		return 0;
	}
}

static void load(struct eval *e, size_t bytes)
{
	uintptr_t addr = (uintptr_t)pop(e), v;

	/* The machine loads whole words: of a narrower one take the low end. */
	if (!bytes || bytes > 8 || !e->m->load(e->m, addr, &v))
		e->bad = true;
	else
		push_value(e, bytes == 8 ? (int64_t)v : (int64_t)(v & ((1ull << 8 * bytes) - 1)));
}

static void push_reg(struct eval *e, uint64_t reg)
{
	int64_t off = cfi_sleb(&e->c);
	uintptr_t v = 0;

	if (reg >= CFI_NR_REGS || !e->m->reg(e->m, (unsigned)reg, &v))
		e->bad = true;
	push_value(e, (int64_t)v + off);
}

static void jump(struct eval *e, bool taken)
{
	int64_t by = cfi_s(&e->c, 2);

	if (!taken)
		return;
	if (by < e->start - e->c.p || by > e->c.end - e->c.p)
		e->bad = true;
	else
		e->c.p += by;
}

static void reorder(struct eval *e, enum op op)
{
	int64_t v;

	switch (op) {
	case OP_DUP: push_value(e, *at(e, 0)); break;
	case OP_DROP: pop(e); break;
	case OP_OVER: push_value(e, *at(e, 1)); break;
	case OP_PICK: push_value(e, *at(e, (int)cfi_u(&e->c, 1))); break;
	case OP_SWAP:
		v = *at(e, 0);
		*at(e, 0) = *at(e, 1);
		*at(e, 1) = v;
		break;
	default:	/* ROT */
		v = *at(e, 0);
		*at(e, 0) = *at(e, 1);
		*at(e, 1) = *at(e, 2);
		*at(e, 2) = v;
		break;
	}
}

static void step(struct eval *e)
{
	unsigned op = (unsigned)cfi_u(&e->c, 1);
	int64_t b;

	switch (op) {
	case OP_LIT0 ... OP_LIT31: push_value(e, op - OP_LIT0); break;
	case OP_BREG0 ... OP_BREG31: push_reg(e, op - OP_BREG0); break;
	case OP_BREGX: push_reg(e, cfi_uleb(&e->c)); break;
	case OP_ADDR:
	case OP_CONST8U: push_value(e, (int64_t)cfi_u(&e->c, 8)); break;
	case OP_CONST1U: push_value(e, (int64_t)cfi_u(&e->c, 1)); break;
	case OP_CONST1S: push_value(e, cfi_s(&e->c, 1)); break;
	case OP_CONST2U: push_value(e, (int64_t)cfi_u(&e->c, 2)); break;
	case OP_CONST2S: push_value(e, cfi_s(&e->c, 2)); break;
	case OP_CONST4U: push_value(e, (int64_t)cfi_u(&e->c, 4)); break;
	case OP_CONST4S: push_value(e, cfi_s(&e->c, 4)); break;
	case OP_CONST8S: push_value(e, cfi_s(&e->c, 8)); break;
	case OP_CONSTU: push_value(e, (int64_t)cfi_uleb(&e->c)); break;
	case OP_CONSTS: push_value(e, cfi_sleb(&e->c)); break;
	case OP_DEREF: load(e, 8); break;
	case OP_DEREF_SIZE: load(e, (size_t)cfi_u(&e->c, 1)); break;
	case OP_DUP ... OP_ROT: reorder(e, op); break;
	case OP_ABS: *at(e, 0) = *at(e, 0) < 0 ? -*at(e, 0) : *at(e, 0); break;
	case OP_NEG: *at(e, 0) = (int64_t)(0 - (uint64_t)*at(e, 0)); break;
	case OP_NOT: *at(e, 0) = ~*at(e, 0); break;
	case OP_PLUS_UCONST:
		*at(e, 0) = (int64_t)((uint64_t)*at(e, 0) + cfi_uleb(&e->c));
		break;
	case OP_BRA: jump(e, pop(e)); break;
	case OP_SKIP: jump(e, true); break;
	case OP_NOP: break;
	case OP_AND: case OP_DIV: case OP_MINUS: case OP_MOD: case OP_MUL: case OP_OR:
	case OP_PLUS: case OP_SHL: case OP_SHR: case OP_SHRA: case OP_XOR:
	case OP_EQ ... OP_NE:
		b = pop(e);
		*at(e, 0) = binary(e, op, *at(e, 0), b);
		break;
	default:
		e->bad = true;
	}
}

bool cfi_eval(struct cfi_machine *m, const uint8_t *expr, const uintptr_t *initial,
	      uintptr_t *result)
{
	struct eval e = { .m = m, .c = { expr, expr + 10, false } };
	uint64_t len = cfi_uleb(&e.c);

	e.start = e.c.p;
	e.c.end = e.c.p + len;
	if (initial)
		push_value(&e, (int64_t)*initial);
	for (int i = 0; e.c.p < e.c.end && !e.bad && !e.c.bad; i++) {
		if (i == STEPS_MAX)
			return false;
		step(&e);
	}
	if (e.bad || e.c.bad || !e.n)
		return false;
	*result = (uintptr_t)pop(&e);
	return true;
}
