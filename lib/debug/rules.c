/* SPDX-License-Identifier: MIT */
/*
 * The rule of each pc: its row boiled down to half a cache line, and kept.
 *
 * Sets of two rules, one line each, indexed so that neighbours in code are
 * neighbours here. Readers take a copy and check the sequence number; a writer
 * who finds another one in the entry leaves it. A rule of another generation
 * does not exist.
 *
 * Locking: none; a sequence number per entry.
 */
#include "debug/unwind.h"

#include <string.h>

#include "os/code.h"
#include "os/os.h"
#include "page/page.h"

#define SETS_ALL	4096u	/* where every block has a stack */
#define SETS_SAMPLES	512u	/* each page that it touches is a page fault, or two */
#define WORD		((int32_t)sizeof(uintptr_t))

const uint8_t rule_saved_regs[NR_SAVED] = { CFI_FP, CFI_RBX, 12, 13, 14, 15 };

struct set {
	struct rule way[2];
} __cacheline;
static_assert(sizeof(struct rule) == 32, "two to a line");

static struct set *sets;		/* NULL: no memory for it; constant after init */
static uint32_t set_mask;		/* ditto */
static bool fp_only;
static uintptr_t own_start, own_end;

bool unwind_is_own(uintptr_t pc)
{
	return pc - own_start < own_end - own_start;
}

void rule_init(bool frame_pointers, bool many)
{
	struct os_code own;

	if (os_code_at((uintptr_t)rule_init, &own)) {
		own_start = own.start;
		own_end = own.end;
	}
	fp_only = frame_pointers;
	set_mask = (many ? SETS_ALL : SETS_SAMPLES) - 1;
	sets = page_alloc_meta(bytes_pages((set_mask + 1) * sizeof(*sets)));
}

bool rule_frame_pointers(void)
{
	return fp_only;
}

static struct set *set_of(uintptr_t pc)
{
	return &sets[((pc >> 4) + (pc >> 16) * 0x9e5) & set_mask];
}

void rule_prefetch(uintptr_t pc)
{
	if (likely(sets))
		__builtin_prefetch(set_of(pc));
}

/* A multiple of the word that 16 bits of words hold. */
static bool is_short(int32_t off)
{
	return !(off % WORD) && off / WORD == (int16_t)(off / WORD);
}

static bool is_plain(const struct cfi_row *row)
{
	if (row->cfa_is_expr || row->signal || !is_short(row->cfa_off) ||
	    row->kind[CFI_SP] != CFI_SAME || row->kind[CFI_RA] != CFI_OFFSET ||
	    row->off[CFI_RA] != -WORD)
		return false;
	for (size_t i = 0; i < NR_SAVED; i++) {
		unsigned reg = rule_saved_regs[i];

		if (row->kind[reg] != CFI_SAME &&
		    (row->kind[reg] != CFI_OFFSET || !is_short(row->off[reg]) || !row->off[reg]))
			return false;
	}
	return true;
}

/* Do the bytes before a return address look like a call? */
static bool is_after_call(uintptr_t ra)
{
#if defined(__x86_64__)
	struct os_code code;
	uint8_t b[8];

	/* Code of a module can be read; where there is none, perhaps not. */
	if (os_code_at(ra - 7, &code))
		memcpy(b, (const void *)(ra - 7), 7);
	else if (os_peek((const void *)(ra - 7), b, 7))
		return false;
	if (b[2] == 0xe8)				/* call rel32 */
		return true;
	/* call r/m: ff /2 with its ModRM, and SIB and displacement if any. */
	for (unsigned i = 0; i <= 5; i++) {
		if (b[i] == 0xff && (b[i + 1] & 0x38) == 0x10)
			return true;
	}
	return false;
#else
	return ra != 0;
#endif
}

static void make_rule(uintptr_t pc, struct rule *r)
{
	struct cfi_row row;

	*r = (struct rule){ .pc = pc, .generation = stack_generation(),
			    .after_call = is_after_call(pc + 1) };
	if ((fp_only && !unwind_is_own(pc)) || !cfi_find(pc, &row)) {
		r->kind = RULE_FP;
	} else if (row.kind[CFI_RA] == CFI_UNDEFINED) {
		r->kind = RULE_END;
	} else if (is_plain(&row)) {
		r->kind = RULE_PLAIN;
		r->cfa_reg = row.cfa_reg;
		r->cfa_off = (int16_t)(row.cfa_off / WORD);
		for (size_t i = 0; i < NR_SAVED; i++)
			r->saved[i] = (int16_t)(row.off[rule_saved_regs[i]] / WORD);
	}
}

static bool read_rule(const struct rule *from, uintptr_t pc, struct rule *out)
{
	uint32_t seq = load_acquire(&from->seq);	/* pairs with write_rule */

	if (READ_ONCE(from->pc) != pc || seq & 1)
		return false;
	*out = *(const volatile struct rule *)from;
	read_fence();
	return READ_ONCE(from->seq) == seq && out->pc == pc &&
	       out->generation == stack_generation();
}

static void write_rule(struct rule *to, const struct rule *r)
{
	uint32_t seq = READ_ONCE(to->seq);

	if (seq & 1 || !__atomic_compare_exchange_n(&to->seq, &seq, seq + 1, false,
						    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	WRITE_ONCE(to->pc, r->pc);
	to->generation = r->generation;
	to->cfa_off = r->cfa_off;
	to->kind = r->kind;
	to->after_call = r->after_call;
	to->cfa_reg = r->cfa_reg;
	for (size_t i = 0; i < NR_SAVED; i++)
		to->saved[i] = r->saved[i];
	store_release(&to->seq, seq + 2);	/* pairs with read_rule */
}

void rule_find(uintptr_t pc, struct rule *out)
{
	struct set *set;

	if (unlikely(!sets)) {
		make_rule(pc, out);
		return;
	}
	set = set_of(pc);
	if (read_rule(&set->way[0], pc, out) || read_rule(&set->way[1], pc, out))
		return;
	make_rule(pc, out);
	/* The older of the two goes. */
	write_rule(&set->way[set->way[1].generation != out->generation ||
			     set->way[0].seq > set->way[1].seq], out);
}
