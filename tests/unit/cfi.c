/* SPDX-License-Identifier: MIT */
/*
 * lib/debug/cfi.c and cfi_expr.c, on tables that are written here byte by byte; and on
 * those of this program, where the compiler's word must agree with readelf's.
 */
#include "common.h"

#include <string.h>

#include "debug/cfi.h"

/* One module: .eh_frame_hdr with two functions, its CIE and two FDEs. */
static uint8_t image[4096] __attribute__((aligned(8)));

#define CIE_AT		256
#define FDE_AT		512
#define FDE2_AT		1024
#define CODE		((uintptr_t)image + (1 << 20))	/* nothing is there */
#define CODE_LEN	256

static void put32(size_t at, int64_t v)
{
	int32_t w = (int32_t)v;

	memcpy(image + at, &w, 4);
}

/* A record: its length, and what it begins with; padded by nops. */
static void put_record(size_t at, int32_t id, const uint8_t *body, size_t n)
{
	size_t len = ALIGN_UP(4 + n, 8ul);

	memset(image + at, 0, 4 + len);
	put32(at, (int64_t)len);
	put32(at + 4, id);
	memcpy(image + at + 8, body, n);
}

static const uint8_t *module_with(const uint8_t *cie_code, size_t cie_n, const uint8_t *fde_code,
				  size_t fde_n, const char *augmentation)
{
	uint8_t body[256];
	size_t n = 0;

	/* CIE: version, augmentation, code 1, data -8, RA 16, augmentation's data. */
	body[n++] = 1;
	memcpy(body + n, augmentation, strlen(augmentation) + 1);
	n += strlen(augmentation) + 1;
	body[n++] = 1;
	body[n++] = 0x78;
	body[n++] = 16;
	body[n++] = 1;
	body[n++] = 0x1b;	/* pc relative, 4 bytes, signed */
	memcpy(body + n, cie_code, cie_n);
	put_record(CIE_AT, 0, body, n + cie_n);

	/* FDEs: first pc, length, no augmentation, code. */
	for (size_t at = FDE_AT, pc = CODE; at <= FDE2_AT; at = at * 2, pc += 4 * CODE_LEN) {
		memset(body, 0, sizeof(body));
		memcpy(body + 9, fde_code, fde_n);
		put_record(at, (int32_t)(at + 4 - CIE_AT), body, 9 + fde_n);
		put32(at + 8, (int64_t)(pc - ((uintptr_t)image + at + 8)));
		put32(at + 12, CODE_LEN);
		if (at == FDE2_AT)
			break;
	}
	/* The table. */
	image[0] = 1;
	image[1] = 0x1b;
	image[2] = 0x03;
	image[3] = 0x3b;
	put32(4, CIE_AT - 4);
	put32(8, 2);
	put32(12, (int64_t)(CODE - (uintptr_t)image));
	put32(16, FDE_AT);
	put32(20, (int64_t)(CODE + 4 * CODE_LEN - (uintptr_t)image));
	put32(24, FDE2_AT);
	return image;
}

#define MODULE(cie, fde, aug) module_with(cie, sizeof(cie), fde, sizeof(fde), aug)

/* def_cfa rsp 8; offset rip -8: as every CIE here begins. */
static const uint8_t start[] = { 0x0c, 7, 8, 0x90, 1 };

START_TEST(a_function)
{
	/* push rbp; mov rsp, rbp; push rbx; ...; the end, restored. */
	static const uint8_t code[] = {
		0x41, 0x0e, 16, 0x86, 2,	/* +1: CFA 16, rbp at -16 */
		0x43, 0x0d, 6,			/* +3: CFA by rbp */
		0x02, 4, 0x83, 3,		/* +4: rbx at -24 */
		0x0a,				/* remember */
		0x03, 0x10, 0, 0x0c, 7, 8,	/* +16: CFA rsp 8 */
		0xc3, 0xc6,			/* rbx, rbp as at first */
		0x41, 0x0b,			/* +1: as remembered */
	};
	const uint8_t *hdr = MODULE(start, code, "zR");
	struct cfi_row row;

	must(cfi_find_in(hdr, CODE, &row));
	must(row.cfa_reg == CFI_SP && row.cfa_off == 8 && !row.cfa_is_expr && !row.signal);
	must(row.kind[CFI_RA] == CFI_OFFSET && row.off[CFI_RA] == -8);
	must(row.kind[CFI_FP] == CFI_SAME);

	must(cfi_find_in(hdr, CODE + 1, &row));
	must(row.cfa_reg == CFI_SP && row.cfa_off == 16);
	must(row.kind[CFI_FP] == CFI_OFFSET && row.off[CFI_FP] == -16);

	must(cfi_find_in(hdr, CODE + 7, &row));
	must(row.cfa_reg == CFI_FP && row.cfa_off == 16 && row.kind[CFI_RBX] == CFI_SAME);
	must(cfi_find_in(hdr, CODE + 8, &row));
	must(row.kind[CFI_RBX] == CFI_OFFSET && row.off[CFI_RBX] == -24);

	must(cfi_find_in(hdr, CODE + 24, &row));
	must(row.cfa_reg == CFI_SP && row.cfa_off == 8);
	must(row.kind[CFI_RBX] == CFI_SAME && row.kind[CFI_FP] == CFI_SAME);
	must(cfi_find_in(hdr, CODE + 25, &row));
	must(row.cfa_reg == CFI_FP && row.kind[CFI_RBX] == CFI_OFFSET);
	must(cfi_find_in(hdr, CODE + CODE_LEN - 1, &row));

	/* The second function has rows of its own; between them is nothing. */
	must(cfi_find_in(hdr, CODE + 4 * CODE_LEN + 1, &row) && row.cfa_off == 16);
	must(!cfi_find_in(hdr, CODE - 1, &row));
	must(!cfi_find_in(hdr, CODE + CODE_LEN, &row));
	must(!cfi_find_in(hdr, CODE + 5 * CODE_LEN, &row));
}
END_TEST

START_TEST(outermost)
{
	static const uint8_t code[] = { 0x07, 16 };	/* undefined rip */
	struct cfi_row row;

	must(cfi_find_in(MODULE(start, code, "zR"), CODE + 3, &row));
	must_eq(row.kind[CFI_RA], CFI_UNDEFINED);
}
END_TEST

START_TEST(signal_frame)
{
	static const uint8_t code[] = { 0x00 };
	struct cfi_row row;

	must(cfi_find_in(MODULE(start, code, "zRS"), CODE, &row));
	must(row.signal);
}
END_TEST

/* What nobody understands is no row. */
START_TEST(damaged)
{
	static const uint8_t unknown[] = { 0x3f }, recall[] = { 0x0b }, endless[] = { 0x0e, 0xff };
	static const uint8_t good[] = { 0x00 };
	struct cfi_row row;

	must(!cfi_find_in(MODULE(start, unknown, "zR"), CODE, &row));
	must(!cfi_find_in(MODULE(start, recall, "zR"), CODE, &row));
	must(!cfi_find_in(MODULE(start, good, "zX"), CODE, &row));
	/* A number that runs on to the record's end. */
	MODULE(start, endless, "zR");
	memset(image + FDE_AT + 17 + 1, 0xff, 64);
	must(!cfi_find_in(image, CODE, &row));
	/* An .eh_frame_hdr of another version. */
	MODULE(start, good, "zR");
	must(cfi_find_in(image, CODE, &row));
	image[0] = 2;
	must(!cfi_find_in(image, CODE, &row));
}
END_TEST

/* Every pc of a random program gives a row or none, and ends. */
START_TEST(random_code)
{
	struct rng r = { 9 };
	struct cfi_row row;

	for (int i = 0; i < 20000; i++) {
		uint8_t code[100];

		for (size_t k = 0; k < sizeof(code); k++)
			code[k] = (uint8_t)rng_next(&r);
		module_with(start, sizeof(start), code, sizeof(code), "zR");
		for (size_t pc = 0; pc < CODE_LEN; pc += 50)
			cfi_find_in(image, CODE + pc, &row);
	}
}
END_TEST

/* ---- expressions ---- */

static uintptr_t words[8] = { 10, 11, 12, 13, 14, 15, 16, 17 };

static bool reg(struct cfi_machine *m __unused_arg, unsigned n, uintptr_t *v)
{
	*v = n == CFI_SP ? (uintptr_t)words : 1000 + n;
	return n != 9;
}

static bool load(struct cfi_machine *m __unused_arg, uintptr_t at, uintptr_t *v)
{
	if (at - (uintptr_t)words > sizeof(words) - sizeof(*v))
		return false;
	/* Random code asks for odd addresses. */
	memcpy(v, (const void *)at, sizeof(*v));
	return true;
}

static struct cfi_machine machine = { reg, load };

/* @code: its length first. */
static bool eval(const uint8_t *code, const uintptr_t *initial, uintptr_t *result)
{
	return cfi_eval(&machine, code, initial, result);
}

#define gives(value, ...) \
	do { \
		const uint8_t ops_[] = { __VA_ARGS__ }; \
		uint8_t code_[64] = { sizeof(ops_) }; \
		uintptr_t r_ = 0; \
		memcpy(code_ + 1, ops_, sizeof(ops_)); \
		must(eval(code_, NULL, &r_)); \
		must_eq(r_, value); \
	} while (0)

#define fails(...) \
	do { \
		const uint8_t ops_[] = { __VA_ARGS__ }; \
		uint8_t code_[64] = { sizeof(ops_) }; \
		uintptr_t r_; \
		memcpy(code_ + 1, ops_, sizeof(ops_)); \
		must(!eval(code_, NULL, &r_)); \
	} while (0)

START_TEST(expressions)
{
	uintptr_t at = 7, r;
	static const uint8_t plus_one[] = { 2, 0x23, 1 };

	gives(5, 0x35);					/* lit5 */
	gives(0xfe, 0x08, 0xfe);			/* const1u */
	gives((uintptr_t)-2, 0x09, 0xfe);		/* const1s */
	gives(0x1234, 0x0a, 0x34, 0x12);
	gives((uintptr_t)-1, 0x0d, 0xff, 0xff, 0xff, 0xff);
	gives(300, 0x10, 0xac, 0x02);			/* constu */
	gives((uintptr_t)-3, 0x11, 0x7d);		/* consts */
	gives(1006 - 8, 0x76, 0x78);			/* breg6 -8 */
	gives(11, 0x77, 8, 0x06);			/* breg7 8, deref */
	gives(13, 0x77, 24, 0x94, 8);			/* deref_size 8 */
	gives(7, 0x33, 0x34, 0x22);			/* 3 + 4 */
	gives((uintptr_t)-1, 0x33, 0x34, 0x1c);		/* 3 - 4 */
	gives(12, 0x33, 0x34, 0x1e);
	gives(24, 0x33, 0x33, 0x24);			/* 3 << 3 */
	gives(1, 0x34, 0x33, 0x2a);			/* 4 >= 3 */
	gives(0, 0x34, 0x33, 0x2d);			/* 4 < 3 */
	gives(4, 0x33, 0x34, 0x13, 0x14 - 2, 0x13, 0x34, 0x16, 0x13);	/* dup, drop, swap */
	gives(1, 0x31, 0x32, 0x33, 0x17, 0x13);		/* rot: 3 1 2; drop */
	gives(9, 0x31, 0x28, 2, 0, 0x35, 0x96, 0x39);	/* bra over lit5 */
	/* The entry of a PLT: rsp + 8, and 8 more from its 11th byte on. */
	gives((uintptr_t)words + 8 + ((1016 & 15) >= 11) * 8,
	      0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22);
	must(eval(plus_one, &at, &r) && r == 8);
	/* Nothing on the stack; what cannot be read; unknown; for ever. */
	fails(0x22);
	fails(0x96);
	fails(0x79, 0);
	fails(0x31, 0x06);
	fails(0xf0);
	fails(0x2f, 0xfd, 0xff);
	fails(0x08);
}
END_TEST

START_TEST(random_expressions)
{
	struct rng r = { 5 };

	for (int i = 0; i < 300000; i++) {
		uint8_t code[64] = { 63 };
		uintptr_t v;

		for (size_t k = 1; k < sizeof(code); k++)
			code[k] = (uint8_t)rng_next(&r);
		eval(code, NULL, &v);
	}
}
END_TEST

int main(void)
{
	const TTest *tests[] = { a_function, outermost, signal_frame, damaged, random_code,
				 expressions, random_expressions };

	return unit_run("cfi", tests, ARRAY_SIZE(tests));
}
