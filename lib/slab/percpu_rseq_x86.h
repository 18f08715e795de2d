/* SPDX-License-Identifier: MIT */
/* x86-64: what restartable sequences begin with, and those of the hit path. */
#ifndef STELE_SLAB_PERCPU_RSEQ_X86_H
#define STELE_SLAB_PERCPU_RSEQ_X86_H

#define HAVE_RSEQ 1

/* Label 3: descriptor; 1..2: the sequence; 4: abort. */
#define RSEQ_BEGIN(abort_label) \
	".pushsection .data.rel.ro.rseq_cs, \"aw\"\n\t" \
	".balign 32\n" \
	"3:\n\t" \
	".long 0, 0\n\t" \
	".quad 1f, 2f - 1f, 4f\n\t" \
	".popsection\n\t" \
	".pushsection .text.rseq_abort, \"ax\"\n\t" \
	/* The signature, as operand of an instruction that traps. */ \
	".byte 0x0f, 0xb9, 0x3d\n\t" \
	".long 0x53053053\n" \
	"4:\n\t" \
	"jmp %l[" abort_label "]\n\t" \
	".popsection\n\t" \
	"leaq 3b(%%rip), %[region]\n\t" \
	"movq %[region], %%fs:8(%[area])\n" \
	"1:\n\t"

#define RSEQ_REGISTERED(label) \
	"cmpl $0, %%fs:4(%[area])\n\t" \
	"js %l[" label "]\n\t"

#define rseq_hit_pop(class, obj, miss) \
	do { \
		struct region *region_; \
		size_t top_; \
		__asm__ __volatile__ goto( \
			RSEQ_BEGIN(#miss) \
			RSEQ_REGISTERED(#miss) \
			"movl %%fs:24(%[area]), %k[region]\n\t" \
			"movq %c[regions](%[hit_], %[region], 8), %[region]\n\t" \
			"movl (%[region], %[index], 8), %k[top]\n\t" \
			"cmpl 4(%[region], %[index], 8), %k[top]\n\t" \
			"jbe %l[" #miss "]\n\t" \
			"movq -8(%[region], %[top]), %[out]\n\t" \
			"subl $8, %k[top]\n\t" \
			"movl %k[top], (%[region], %[index], 8)\n" \
			"2:\n\t" \
			: [out] "=&r"(obj), [region] "=&r"(region_), [top] "=&r"(top_) \
			: [area] "r"(hit.area), [hit_] "r"(&hit), \
			  [regions] "i"(offsetof(struct hit, region)), \
			  [index] "r"((size_t)(class)) \
			: "memory", "cc" \
			: miss); \
	} while (0)

#define rseq_hit_push(class, obj, miss) \
	do { \
		struct region *region_; \
		size_t top_; \
		__asm__ __volatile__ goto( \
			RSEQ_BEGIN(#miss) \
			RSEQ_REGISTERED(#miss) \
			"movl %%fs:24(%[area]), %k[region]\n\t" \
			"movq %c[regions](%[hit_], %[region], 8), %[region]\n\t" \
			"movl (%[region], %[index], 8), %k[top]\n\t" \
			"cmpl %c[end](%[region], %[index], 4), %k[top]\n\t" \
			"jae %l[" #miss "]\n\t" \
			"movq %[in], (%[region], %[top])\n\t" \
			"addl $8, %k[top]\n\t" \
			"movl %k[top], (%[region], %[index], 8)\n" \
			"2:\n\t" \
			: [region] "=&r"(region_), [top] "=&r"(top_) \
			: [in] "r"(obj), [area] "r"(hit.area), [hit_] "r"(&hit), \
			  [regions] "i"(offsetof(struct hit, region)), \
			  [end] "i"(offsetof(struct region, end)), \
			  [index] "r"((size_t)(class)) \
			: "memory", "cc" \
			: miss); \
	} while (0)

#endif
