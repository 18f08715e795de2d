/* SPDX-License-Identifier: MIT */
/*
 * Call frame information: what .eh_frame says of one address of code.
 *
 * A row tells how the frame of the caller is found from the registers at a pc:
 * its CFA (the stack pointer before the call), and where each register that
 * the callee must preserve was saved. cfi_find() reads it from the module's
 * own tables; nothing is cached here.
 */
#ifndef STELE_DEBUG_CFI_H
#define STELE_DEBUG_CFI_H

#include "base/compiler.h"

/* DWARF register numbers of x86-64. */
#define CFI_RBX		3
#define CFI_FP		6
#define CFI_SP		7
#define CFI_RA		16
#define CFI_NR_REGS		17

enum cfi_kind {
	CFI_SAME,	/* not changed by this function */
	CFI_UNDEFINED,	/* lost; for the return address: the outermost frame */
	CFI_OFFSET,	/* saved at CFA + off */
	CFI_VAL_OFFSET,	/* is CFA + off */
	CFI_REGISTER,	/* is in register off */
	CFI_EXPR,	/* saved at the address that the expression gives */
	CFI_VAL_EXPR,	/* is what the expression gives */
};

/*
 * Small, as a few of them lie on the stack of whoever calls malloc. Expressions
 * are kept as where they are in the module's table, relative to base: the length
 * and then the operations.
 */
struct cfi_row {
	const uint8_t *base;
	bool cfa_is_expr;
	bool signal;			/* the caller was interrupted, not calling */
	uint8_t cfa_reg;		/* CFA = register + cfa_off */
	int32_t cfa_off;		/* or the expression */
	uint8_t kind[CFI_NR_REGS];		/* enum cfi_kind */
	int32_t off[CFI_NR_REGS];		/* offset, register or expression */
};

/* The row for @pc; false: nobody knows, or it cannot be understood. */
bool cfi_find(uintptr_t pc, struct cfi_row *row);

/* As cfi_find, with the module's .eh_frame_hdr. */
bool cfi_find_in(const uint8_t *hdr, uintptr_t pc, struct cfi_row *row);

/*
 * Evaluate an expression (its length, then its operations); @initial, if any, lies on the
 * stack first. Registers and memory are the caller's: either function
 * returns false when it cannot tell, and then so does this.
 */
struct cfi_machine {
	bool (*reg)(struct cfi_machine *m, unsigned reg, uintptr_t *value);
	bool (*load)(struct cfi_machine *m, uintptr_t addr, uintptr_t *value);
};
bool cfi_eval(struct cfi_machine *m, const uint8_t *expr, const uintptr_t *initial,
	      uintptr_t *result);

/* ---- between cfi.c and cfi_expr.c ---- */

struct cfi_cursor {
	const uint8_t *p, *end;
	uintptr_t bad;			/* ran over the end, or an encoding is unknown; no gap */
};

uint64_t cfi_u_slow(struct cfi_cursor *c, size_t bytes);
uint64_t cfi_uleb_slow(struct cfi_cursor *c);
int64_t cfi_sleb(struct cfi_cursor *c);

/* Little endian, as the machine. */
static inline uint64_t cfi_u(struct cfi_cursor *c, size_t bytes)
{
	if (likely(bytes == 1 && c->p < c->end))
		return *c->p++;
	return cfi_u_slow(c, bytes);
}

static inline int64_t cfi_s(struct cfi_cursor *c, size_t bytes)
{
	unsigned shift = 64 - 8 * (unsigned)bytes;

	return (int64_t)(cfi_u(c, bytes) << shift) >> shift;
}

static inline uint64_t cfi_uleb(struct cfi_cursor *c)
{
	if (likely(c->p < c->end && *c->p < 0x80))
		return *c->p++;
	return cfi_uleb_slow(c);
}

#endif
