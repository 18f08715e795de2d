/* SPDX-License-Identifier: MIT */
/*
 * Reading .eh_frame.
 *
 * 1. The module's .eh_frame_hdr is a sorted table {first pc, FDE}: the last
 *    entry at or below the pc is the one, if its range holds the pc.
 * 2. An FDE points to its CIE: factors, encodings, the initial instructions.
 * 3. The instructions of both are run up to the pc; what they leave is the row.
 *
 * The tables are those that exceptions are unwound by, and are as far trusted:
 * within the bounds of an entry. What is not understood gives no row.
 */
#include "debug/cfi.h"

#include <string.h>

#include "os/code.h"

/* Encodings of pointers. */
#define ENC_OMIT	0xff
#define ENC_FORM	0x0f
#define ENC_APPLY	0x70
#define ENC_INDIRECT	0x80
#define ENC_PCREL	0x10
#define ENC_DATAREL	0x30
#define ENC_TABLE	0x3b	/* data relative, signed, 4 bytes: all linkers' choice */

#define NR_REMEMBERED	4

enum {
	CFA_NOP, CFA_SET_LOC, CFA_ADVANCE1, CFA_ADVANCE2, CFA_ADVANCE4, CFA_OFFSET_EXT,
	CFA_RESTORE_EXT, CFA_UNDEFINED, CFA_SAME_VALUE, CFA_REGISTER, CFA_REMEMBER,
	CFA_RESTORE_STATE, CFA_DEF_CFA, CFA_DEF_CFA_REGISTER, CFA_DEF_CFA_OFFSET,
	CFA_DEF_CFA_EXPR, CFA_EXPR, CFA_OFFSET_EXT_SF, CFA_DEF_CFA_SF, CFA_DEF_CFA_OFFSET_SF,
	CFA_VAL_OFFSET, CFA_VAL_OFFSET_SF, CFA_VAL_EXPR,
	CFA_ARGS_SIZE = 0x2e, CFA_NEGATIVE_OFFSET = 0x2f,
	/* The high two bits. */
	CFA_ADVANCE = 1, CFA_OFFSET = 2, CFA_RESTORE = 3,
};

/*
 * Without a gap: it lies on the stack of whoever calls malloc, where flags beside the rest of a
 * pointer look like another pointer.
 */
struct cie {
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra;
	uint32_t fde_enc;
	uint16_t has_augmentation, signal;
	const uint8_t *code, *end;
};

struct run {
	const struct cie *cie;
	struct cfi_cursor c;
	uintptr_t at, pc;		/* at: where the instructions have got */
	struct cfi_row *row, initial;	/* what RESTORE restores to */
	struct cfi_row saved[NR_REMEMBERED];
	int nr_saved;
};

static uintptr_t encoded(struct cfi_cursor *c, uint8_t enc, const uint8_t *data)
{
	const uint8_t *at = c->p;
	uintptr_t v;

	switch (enc & ENC_FORM) {
	case 0x00: case 0x04: case 0x0c: v = cfi_u(c, 8); break;
	case 0x01: v = cfi_uleb(c); break;
	case 0x02: v = cfi_u(c, 2); break;
	case 0x03: v = cfi_u(c, 4); break;
	case 0x09: v = (uintptr_t)cfi_sleb(c); break;
	case 0x0a: v = (uintptr_t)cfi_s(c, 2); break;
	case 0x0b: v = (uintptr_t)cfi_s(c, 4); break;
	default: c->bad = true; return 0;
	}
	if (enc & ENC_INDIRECT)
		c->bad = true;
	else if ((enc & ENC_APPLY) == ENC_PCREL)
		v += (uintptr_t)at;
	else if ((enc & ENC_APPLY) == ENC_DATAREL)
		v += (uintptr_t)data;
	else if (enc & ENC_APPLY)
		c->bad = true;
	return v;
}

/* The bytes of the CIE or FDE at @p behind its length field. */
static struct cfi_cursor record(const uint8_t *p)
{
	struct cfi_cursor c = { p, p + 4, false };
	uint64_t len = cfi_u(&c, 4);

	if (len == 0xffffffff) {
		c.end += 8;
		len = cfi_u(&c, 8);
	}
	c.end = c.p + len;
	c.bad = !len;
	return c;
}

static bool parse_cie(const uint8_t *p, struct cie *cie)
{
	struct cfi_cursor c = record(p);
	const char *aug;
	uint64_t version;

	if (cfi_u(&c, 4))
		return false;
	version = cfi_u(&c, 1);
	if (version != 1 && version != 3)
		return false;
	aug = (const char *)c.p;
	while (cfi_u(&c, 1) && !c.bad)
		;
	cie->code_align = cfi_uleb(&c);
	cie->data_align = cfi_sleb(&c);
	cie->ra = version == 1 ? cfi_u(&c, 1) : cfi_uleb(&c);
	cie->fde_enc = 0;
	cie->signal = false;
	cie->has_augmentation = *aug == 'z';
	if (*aug && *aug != 'z')
		return false;
	if (*aug) {
		uint64_t len = cfi_uleb(&c);
		const uint8_t *code = c.p + len;

		for (aug++; *aug; aug++) {
			uint8_t enc;

			switch (*aug) {
			case 'R': cie->fde_enc = (uint8_t)cfi_u(&c, 1); break;
			case 'L': cfi_u(&c, 1); break;
			case 'S': cie->signal = true; break;
			case 'P':
				enc = (uint8_t)cfi_u(&c, 1);
				encoded(&c, enc & ENC_FORM, NULL);
				break;
			default: return false;
			}
		}
		c.p = code;
	}
	cie->code = c.p;
	cie->end = c.end;
	return !c.bad && c.p <= c.end;
}

/* Step over an expression; where it is, for the row. */
static int64_t expression(struct run *r)
{
	const uint8_t *at = r->c.p;
	uint64_t len = cfi_uleb(&r->c);

	if (len > (uint64_t)(r->c.end - r->c.p))
		r->c.bad = true;
	else
		r->c.p += len;
	return at - r->row->base;
}

static void set_reg(struct run *r, uint64_t reg, enum cfi_kind kind, int64_t off)
{
	/* Vector registers and the like: nobody asks for them. */
	if (reg >= CFI_NR_REGS)
		return;
	r->row->kind[reg] = kind;
	r->row->off[reg] = (int32_t)off;
	if (off != (int32_t)off)
		r->c.bad = true;
}

static void restore_reg(struct run *r, uint64_t reg)
{
	if (reg < CFI_NR_REGS)
		set_reg(r, reg, r->initial.kind[reg], r->initial.off[reg]);
}

static void set_cfa(struct run *r, uint64_t reg, int64_t off)
{
	r->row->cfa_is_expr = false;
	r->row->cfa_reg = (uint8_t)reg;
	r->row->cfa_off = (int32_t)off;
	if (reg >= CFI_NR_REGS)
		r->c.bad = true;
}

static void advance(struct run *r, uint64_t by)
{
	r->at += by * r->cie->code_align;
}

static void remember(struct run *r)
{
	if (r->nr_saved == NR_REMEMBERED)
		r->c.bad = true;
	else
		r->saved[r->nr_saved++] = *r->row;
}

static void recall(struct run *r)
{
	if (!r->nr_saved)
		r->c.bad = true;
	else
		*r->row = r->saved[--r->nr_saved];
}

/* Bad tables may overflow it: what comes out is then checked like any other. */
static int64_t factored(const struct run *r, uint64_t n)
{
	return (int64_t)(n * (uint64_t)r->cie->data_align);
}

static void extended(struct run *r, unsigned op)
{
	struct cfi_cursor *c = &r->c;
	uint64_t reg;

	switch (op) {
	case CFA_NOP: break;
	case CFA_SET_LOC: r->at = encoded(c, r->cie->fde_enc, NULL); break;
	case CFA_ADVANCE1: advance(r, cfi_u(c, 1)); break;
	case CFA_ADVANCE2: advance(r, cfi_u(c, 2)); break;
	case CFA_ADVANCE4: advance(r, cfi_u(c, 4)); break;
	case CFA_OFFSET_EXT:
		reg = cfi_uleb(c);
		set_reg(r, reg, CFI_OFFSET, factored(r, cfi_uleb(c)));
		break;
	case CFA_OFFSET_EXT_SF:
		reg = cfi_uleb(c);
		set_reg(r, reg, CFI_OFFSET, factored(r, (uint64_t)cfi_sleb(c)));
		break;
	case CFA_NEGATIVE_OFFSET:
		reg = cfi_uleb(c);
		set_reg(r, reg, CFI_OFFSET, factored(r, -cfi_uleb(c)));
		break;
	case CFA_VAL_OFFSET:
		reg = cfi_uleb(c);
		set_reg(r, reg, CFI_VAL_OFFSET, factored(r, cfi_uleb(c)));
		break;
	case CFA_VAL_OFFSET_SF:
		reg = cfi_uleb(c);
		set_reg(r, reg, CFI_VAL_OFFSET, factored(r, (uint64_t)cfi_sleb(c)));
		break;
	case CFA_REGISTER:
		reg = cfi_uleb(c);
		set_reg(r, reg, CFI_REGISTER, (int64_t)cfi_uleb(c));
		break;
	case CFA_RESTORE_EXT: restore_reg(r, cfi_uleb(c)); break;
	case CFA_UNDEFINED: set_reg(r, cfi_uleb(c), CFI_UNDEFINED, 0); break;
	case CFA_SAME_VALUE: set_reg(r, cfi_uleb(c), CFI_SAME, 0); break;
	case CFA_EXPR:
		reg = cfi_uleb(c);
		set_reg(r, reg, CFI_EXPR, expression(r));
		break;
	case CFA_VAL_EXPR:
		reg = cfi_uleb(c);
		set_reg(r, reg, CFI_VAL_EXPR, expression(r));
		break;
	case CFA_REMEMBER: remember(r); break;
	case CFA_RESTORE_STATE: recall(r); break;
	case CFA_DEF_CFA:
		reg = cfi_uleb(c);
		set_cfa(r, reg, (int64_t)cfi_uleb(c));
		break;
	case CFA_DEF_CFA_SF:
		reg = cfi_uleb(c);
		set_cfa(r, reg, factored(r, (uint64_t)cfi_sleb(c)));
		break;
	case CFA_DEF_CFA_REGISTER: set_cfa(r, cfi_uleb(c), r->row->cfa_off); break;
	case CFA_DEF_CFA_OFFSET: set_cfa(r, r->row->cfa_reg, (int64_t)cfi_uleb(c)); break;
	case CFA_DEF_CFA_OFFSET_SF: set_cfa(r, r->row->cfa_reg, factored(r, (uint64_t)cfi_sleb(c))); break;
	case CFA_DEF_CFA_EXPR:
		r->row->cfa_is_expr = true;
		r->row->cfa_off = (int32_t)expression(r);
		break;
	case CFA_ARGS_SIZE: cfi_uleb(c); break;
	default: c->bad = true;
	}
}

/* Up to the end, or to the first instruction that is of a later pc. */
static bool run_to_pc(struct run *r, const uint8_t *code, const uint8_t *end)
{
	struct cfi_cursor *c = &r->c;

	*c = (struct cfi_cursor){ code, end, false };
	while (c->p < c->end && !c->bad && r->at <= r->pc) {
		unsigned op = (unsigned)cfi_u(c, 1), low = op & 0x3f;

		switch (op >> 6) {
		case CFA_ADVANCE: advance(r, low); break;
		case CFA_OFFSET:
			set_reg(r, low, CFI_OFFSET, factored(r, cfi_uleb(c)));
			break;
		case CFA_RESTORE: restore_reg(r, low); break;
		default: extended(r, low);
		}
	}
	return !c->bad;
}

static bool row_of(const uint8_t *fde, uintptr_t pc, struct cfi_row *row)
{
	struct cfi_cursor c = record(fde);
	const uint8_t *id_at = c.p;
	uint64_t id = cfi_u(&c, 4);
	struct cie cie;
	uintptr_t begin, range;

	if (c.bad || !id || !parse_cie(id_at - id, &cie) || cie.ra != CFI_RA)
		return false;
	begin = encoded(&c, (uint8_t)cie.fde_enc, NULL);
	range = encoded(&c, cie.fde_enc & ENC_FORM, NULL);
	if (c.bad || pc < begin || pc - begin >= range)
		return false;
	if (cie.has_augmentation) {
		uint64_t len = cfi_uleb(&c);

		c.p += len;
	}
	if (c.bad || c.p > c.end)
		return false;

	struct run r = { .cie = &cie, .at = begin, .pc = pc, .row = row };

	memset(row, 0, sizeof(*row));
	row->base = fde;
	row->signal = cie.signal;
	if (!run_to_pc(&r, cie.code, cie.end))
		return false;
	r.initial = *row;
	return run_to_pc(&r, c.p, c.end);
}

/* The FDE with the highest first pc that is not above @pc. */
static const uint8_t *fde_of(const uint8_t *hdr, uintptr_t pc)
{
	struct cfi_cursor c = { hdr, hdr + 32, false };
	const int32_t (*table)[2];
	int64_t rel = (int64_t)(pc - (uintptr_t)hdr);
	size_t lo = 0, hi;
	uint8_t frame_enc, count_enc, table_enc;

	if (cfi_u(&c, 1) != 1)
		return NULL;
	frame_enc = (uint8_t)cfi_u(&c, 1);
	count_enc = (uint8_t)cfi_u(&c, 1);
	table_enc = (uint8_t)cfi_u(&c, 1);
	if (count_enc == ENC_OMIT || table_enc != ENC_TABLE)
		return NULL;
	encoded(&c, frame_enc, hdr);
	hi = encoded(&c, count_enc, hdr);
	if (c.bad)
		return NULL;
	table = (const int32_t (*)[2])c.p;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (table[mid][0] <= rel)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? hdr + table[lo - 1][1] : NULL;
}

bool cfi_find_in(const uint8_t *hdr, uintptr_t pc, struct cfi_row *row)
{
	const uint8_t *fde = fde_of(hdr, pc);

	return fde && row_of(fde, pc, row);
}

bool cfi_find(uintptr_t pc, struct cfi_row *row)
{
	struct os_code code;

	return os_code_at(pc, &code) && code.eh_frame_hdr &&
	       cfi_find_in(code.eh_frame_hdr, pc, row);
}
