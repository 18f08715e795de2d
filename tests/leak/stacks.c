/* SPDX-License-Identifier: MIT */
/* Stacks that are hard to walk; scene "stacks". */
#include "truth.h"

#include <alloca.h>
#include <link.h>
#include <setjmp.h>

/* Deeper than any report is: the innermost frames are there. */
CALLED("stacks", case_deep, "direct 1 801 then=^case_deep<case_deep<case_deep<case_deep<", void *,
       (int depth))
{
	void *p = depth ? case_deep(depth - 1) : malloc(801);

	use(p);
	return p;
}

STEP("stacks", make_deep)
{
	use(case_deep(200));
}

CALLED("stacks", case_twenty, "direct 1 802 then=^(case_twenty<){20}make_twenty<run_cases<main$",
       void *, (int depth))
{
	void *p = depth ? case_twenty(depth - 1) : malloc(802);

	use(p);
	return p;
}

STEP("stacks", make_twenty)
{
	use(case_twenty(19));
}

/* 4096 stacks that differ. */
APART static void *left(int depth, int bits);
CALLED("stacks", case_bits, "direct 4096 98304", void *, (int depth, int bits))
{
	void *p = !depth ? malloc(24) :
		  bits & 1 ? case_bits(depth - 1, bits >> 1) : left(depth - 1, bits >> 1);

	use(p);
	return p;
}

APART static void *left(int depth, int bits)
{
	void *p = case_bits(depth, bits);

	__asm__ volatile("nop");
	use(p);
	return p;
}

STEP("stacks", make_bits)
{
	int i;

	for (i = 0; i < 4096; i++)
		use(case_bits(12, i));
}

#ifdef __x86_64__
/* It jumps to malloc: its caller is the innermost that the stack can know. */
__asm__(".text\n"
	".type tail_call, @function\n"
	"tail_call:\n\t"
	".cfi_startproc\n\t"
	"jmp malloc@plt\n\t"
	".cfi_endproc\n\t"
	".size tail_call, . - tail_call\n");
extern void *tail_call(size_t size);
CASE("stacks", case_tail, "direct 1 803 then=^case_tail<run_cases<main$")
{
	use(tail_call(803));
}

/* Written by hand, and says nothing about its frame. The caller of malloc is known all the same. */
__asm__(".text\n"
	".globl case_no_rules\n"
	".type case_no_rules, @function\n"
	"case_no_rules:\n\t"
	"sub $72, %rsp\n\t"
	"mov $804, %edi\n\t"
	"call malloc@plt\n\t"
	"add $72, %rsp\n\t"
	"xor %eax, %eax\n\t"
	"ret\n\t"
	".size case_no_rules, . - case_no_rules\n");
extern void case_no_rules(void);
EXPECT("stacks", case_no_rules, "direct 1 804 then=^case_no_rules");
STEP("stacks", make_no_rules)
{
	case_no_rules();
}

/* The register of frame pointers holds anything: a number, a wild address, a false frame. */
__asm__(".text\n"
	".globl case_wild_rbp\n"
	".type case_wild_rbp, @function\n"
	"case_wild_rbp:\n\t"
	".cfi_startproc\n\t"
	"push %rbp\n\t"
	".cfi_def_cfa_offset 16\n\t"
	".cfi_offset rbp, -16\n\t"
	"mov %rdi, %rbp\n\t"
	"mov $805, %edi\n\t"
	"call malloc@plt\n\t"
	"pop %rbp\n\t"
	".cfi_def_cfa_offset 8\n\t"
	".cfi_restore rbp\n\t"
	"ret\n\t"
	".cfi_endproc\n\t"
	".size case_wild_rbp, . - case_wild_rbp\n");
extern void *case_wild_rbp(uintptr_t rbp);
EXPECT("stacks", case_wild_rbp,
       "direct 6 4830 then=^case_wild_rbp<make_wild_rbp<run_cases<main$");
STEP("stacks", make_wild_rbp)
{
	uintptr_t frame[4] = {0, (uintptr_t)truth_fail + 1, 0, (uintptr_t)truth_note + 1};
	uintptr_t rbp[] = {0, 1, 0x7fff0000dead, (uintptr_t)-8, (uintptr_t)frame, (uintptr_t)frame + 4};
	size_t i;

	frame[0] = (uintptr_t)(frame + 2);
	use(frame);
	for (i = 0; i < ARRAY_LEN(rbp); i++)
		use(case_wild_rbp(rbp[i]));
}
#endif

/* A frame whose size only its function knows. */
CASE("stacks", case_alloca, "direct 10 8060 then=^case_alloca<run_cases<main$")
{
	size_t i;

	for (i = 1; i <= 10; i++) {
		volatile char *room = alloca(i * 1000);

		room[0] = 1;
		use(malloc(806));
	}
}

/* Over frames of others: libc's, and the dynamic linker's with its lock held. */
CALLED("stacks", case_in_comparator, "direct 1 807 then=^case_in_comparator<.*<make_sorted<.*main$",
       int, (const void *a, const void *b))
{
	static int once;

	if (!once++)
		use(malloc(807));
	return *(const int *)a - *(const int *)b;
}

STEP("stacks", make_sorted)
{
	int n[] = {3, 1, 2};

	qsort(n, 3, sizeof(n[0]), case_in_comparator);
}

CALLED("stacks", case_in_phdr, "direct 1 808 then=^case_in_phdr<.*<make_in_phdr<run_cases<main$",
       int, (struct dl_phdr_info *info, size_t size, void *arg))
{
	(void)info, (void)size, (void)arg;
	use(malloc(808));
	return 1;
}

STEP("stacks", make_in_phdr)
{
	dl_iterate_phdr(case_in_phdr, NULL);
}

static jmp_buf back;
CALLED("stacks", case_jumped, "direct 3 2427 then=^(case_jumped<)+make_jumped<", void, (int depth))
{
	void *volatile mine = malloc(809);

	use(mine);
	if (depth)
		case_jumped(depth - 1);
	if (mine)
		longjmp(back, 1);
	use(mine);
}

STEP("stacks", make_jumped)
{
	if (!setjmp(back))
		case_jumped(2);
}

/* The call is the last instruction of its function: the return address is another's. */
CALLED("stacks", case_no_return, "direct 1 810 then=^case_no_return<ends_in_call<make_no_return<",
       __attribute__((noreturn)) void, (void))
{
	use(malloc(810));
	longjmp(back, 1);
}

APART static void ends_in_call(void)
{
	volatile int room[4] = {1};

	if (room[0])
		case_no_return();
	__builtin_unreachable();
}

STEP("stacks", make_no_return)
{
	if (!setjmp(back))
		ends_in_call();
}

__attribute__((always_inline)) static inline void inlined(size_t size)
{
	void *p = malloc(size);

	use(p);
}
CASE("stacks", case_inlined, "direct 1 811 then=^inlined<case_inlined<run_cases<main$")
{
	inlined(811);
}

/* The same place, called from two. */
APART static void *common(void)
{
	void *p = malloc(812);

	use(p);
	return p;
}

CASE("stacks", case_common_one, "direct 1 812 then=^common<case_common_one<")
{
	use(common());
}

CASE("stacks", case_common_two, "direct 2 1624 then=^common<case_common_two<")
{
	use(common());
	use(common());
}
